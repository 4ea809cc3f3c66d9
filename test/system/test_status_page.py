"""The status page in a real browser, against a real daemon: what an operator sees when workers are busy, are killed,
are reloaded, and when nobody answers any more."""

import contextlib
import re
import signal

import pytest

import browser as chromium
from browser import Browser, origin_of
from client import Connection, get
from harness import free_port, is_sanitized, table, wait_until

pytestmark = [
    pytest.mark.skipif(is_sanitized(), reason="the page is the same in every build: the optimised one shows it"),
    pytest.mark.skipif(not chromium.is_there(), reason=f"needs {chromium.PACKAGES}"),
]

ESCAPE = "\ue00c"  # WebDriver's name of the key


@pytest.fixture(scope="module")
def browser():
    made = Browser()
    try:
        yield made
    finally:
        made.end()


def with_status(session, concurrency="thread", **more):
    """A daemon of prongd-trial with a pool `status` beside its own; returns it and the page's address."""
    daemon = session.start_trial(concurrency, text=session.status_pool(), **more)
    return daemon, url_of(daemon)


def url_of(daemon):
    host, port = daemon.address("status")
    return f"http://{host}:{port}/"


def tile(slot=0, pool="trial"):
    return f'.tile[data-pool="{pool}"][data-slot="{slot}"]'


def tile_data(browser, slot=0, pool="trial"):
    return browser.value("({...document.querySelector(arguments[0]).dataset})", tile(slot, pool))


def wait_live(browser):
    browser.wait("document.body.dataset.link === 'live' && document.querySelector('.tile') !== null", "a live page")


def soon(browser, expression, what):
    """Waits for what the page shows, and spares the test the rest of the second until it asks again."""
    return browser.wait(f"(tryNow(), {expression})", what)


def wait_phase(browser, phase, slot=0):
    soon(browser, f"document.querySelector('{tile(slot)}')?.dataset.phase === '{phase}'",
         f"worker {slot} shown as {phase}")


def cell(pool, column):
    return f'tr[data-pool="{pool}"] [data-column="{column}"]'


def fact(browser, name):
    return browser.text(f'[data-fact="{name}"]')


def test_the_page_asks_nobody_but_its_daemon_and_nothing_in_it_is_refused(session, browser):
    daemon, url = with_status(session, workers=2)
    browser.open(url)
    wait_live(browser)
    browser.wait("document.querySelector('.plot .low').getAttribute('d')", "a chart with something in it")
    asked = browser.requests()
    assert {origin_of(each) for each in asked if not each.startswith("data:")} == {url.rstrip("/")}
    assert {each.removeprefix(url) for each in asked if not each.startswith("data:")} <= {"", "status.json"}
    assert browser.console() == [], "no error, no refusal by the policy"
    policy = get(daemon.address("status"), "/").headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert fact(browser, "pid") == str(daemon.pid)
    assert fact(browser, "generation") == "1"
    assert browser.text("#state") == "serving"
    assert len(browser.value("[...document.querySelectorAll('#pool-rows tr')].map((row) => row.dataset.pool)")) == 2
    assert browser.text(cell("trial", "workers")).split()[0] == "2/2"


def test_what_a_worker_is_busy_with_is_shown_as_text(session, browser):
    daemon, url = with_status(session, threads=3)
    browser.open(url)
    wait_live(browser)
    wait_phase(browser, "idle")
    target = "/sleep?ms=600000&<img/src=x/onerror=alert(1)>"
    with Connection(daemon.address("trial")) as connection:
        connection.request(target)
        wait_phase(browser, "busy")
        assert "busy" in browser.text(tile()), "not by colour alone"
        browser.click(tile())
        soon(browser, "document.querySelector('.thread .code')", "what its thread is at")
        panel = browser.text("#detail")
        assert "trial/worker[0]" in panel
        assert "1 of 3 busy" in panel
        assert f"GET {target}" in panel
        host, port = connection.socket.getsockname()
        assert f"{host}:{port}" in panel
        assert browser.value("document.images.length") == 0
        soon(browser, "Number.parseFloat(document.querySelector('.thread .first b').innerText) >= 1.5", "it grows older")
        browser.press(ESCAPE)
        assert target not in browser.text("#detail")
        # The keyboard does what the mouse does.
        browser.run("document.querySelector(arguments[0]).blur(); document.querySelector(arguments[0]).focus()", tile())
        assert target in browser.text("#detail")
        daemon.kill_worker(daemon.workers("trial")[0])
        soon(browser, "document.querySelector('#events li')", "the death")
        wait_phase(browser, "idle")
    # Its request is told with the death, and is no more than text there either.
    assert target in browser.text("#events") and "signal 9 (SIGKILL)" in browser.text("#events")
    assert browser.value("document.images.length") == 0
    assert browser.console() == []


def test_a_killed_worker_shows_as_an_event_and_its_place_gets_a_new_process(session, browser):
    daemon, url = with_status(session, workers=3)
    browser.open(url)
    wait_live(browser)
    before = {slot: int(tile_data(browser, slot)["pid"]) for slot in range(3)}
    assert before == daemon.workers("trial")
    daemon.kill_worker(before[1], signal.SIGSEGV)
    soon(browser, f"document.querySelector('{tile(1)}')?.dataset.pid > 0 && "
         f"document.querySelector('{tile(1)}').dataset.pid !== '{before[1]}'", "another process in the tile")
    wait_phase(browser, "idle", 1)
    assert int(tile_data(browser, 1)["pid"]) == daemon.workers("trial")[1]
    assert int(tile_data(browser, 0)["pid"]) == before[0]
    event = browser.text("#events li")
    assert f"trial/worker[1] gen=1 pid={before[1]}" in event and "signal 11 (SIGSEGV)" in event
    assert browser.text(cell("trial", "deaths")).split() == ["1", "SIGSEGV", "×1"]
    assert "signal 11" in browser.text(cell("trial", "last"))
    assert browser.value("document.querySelectorAll('.plot .sign-death').length") == 3, "a mark in each chart"


def test_a_reload_shows_its_generation_and_a_failed_one_why(session, browser):
    daemon, url = with_status(session, workers=2)
    browser.open(url)
    wait_live(browser)
    browser.click(tile(1))
    good = daemon.config_path.read_text()
    daemon.reload()
    soon(browser, f"document.querySelector('[data-fact=generation]').innerText === '2' && "
         f"document.querySelector('{tile()}')?.dataset.generation === '2'", "the new generation")
    soon(browser, "document.querySelectorAll('.tile[data-generation=\"1\"]').length === 0", "the old one gone")
    assert "generation 2" in browser.text("#events")
    assert browser.text('#detail [data-property="generation"]') == "2", "the choice goes on to the worker that follows"
    daemon.reload_fails(good.replace("workers", "wrokers"))
    notice = soon(browser, "document.querySelector('#notices')?.innerText", "a notice")
    assert "generation 2 goes on" in notice and 'did you mean "workers"' in notice
    assert fact(browser, "reloads") == "1, 1 failed"
    daemon.reload(good)
    soon(browser, "document.querySelector('#notices').children.length === 0", "the notice gone")


def test_the_numbers_are_those_that_were_served(session, browser):
    daemon, url = with_status(session, workers=2)
    address = daemon.address("trial")
    browser.open(url)
    wait_live(browser)
    for _ in range(41):
        assert get(address, "/").status == 200
    assert get(address, "/throw").status == 500
    daemon.expect("asked for")
    soon(browser, f"document.querySelector('{cell('trial', 'rate')} .sub').innerText === '42 in all'", "42 requests")
    assert re.fullmatch(r"[\d.]+", browser.text(cell("trial", "rate") + " .main"))
    assert "1 5xx" in browser.text(cell("trial", "errors"))
    assert re.search(r"p50\s+[\d.]+ (µs|ms)\s+p99\s+[\d.]+ (µs|ms)", browser.text(cell("trial", "service")))
    # One pool alone, in the charts and below.
    assert browser.value("document.querySelectorAll('.tile').length") == 3
    browser.click('tr[data-pool="trial"] .pick')
    assert browser.value("document.querySelectorAll('.tile').length") == 2
    assert browser.value("document.querySelector('#scope').value") == "trial"
    assert browser.value("location.hash") == "#pool=trial"


def test_a_paused_pool_says_so_and_how_many_wait(session, browser):
    daemon, url = with_status(session)
    browser.open(url)
    wait_live(browser)
    assert browser.text(cell("trial", "queue")).split()[-1] == "–"
    assert daemon.control("pause", "trial").returncode == 0
    soon(browser, "document.querySelector('#notices')?.innerText.includes('Pool trial is paused')", "that it is paused")
    assert browser.text('tr[data-pool="trial"] .chip') == "paused"
    with Connection(daemon.address("trial")) as connection:
        connection.request("/")
        soon(browser, "document.querySelector('#notices').innerText.includes('1 connection waits')", "who waits")
        assert "1 waiting" in browser.text(cell("trial", "queue"))
        assert daemon.control("resume", "trial").returncode == 0
        assert connection.response().status == 200
    soon(browser, "document.querySelector('#notices').children.length === 0", "the notice gone")


def test_a_daemon_that_is_gone_is_said_to_be_and_the_next_one_is_found(session, browser):
    port = free_port()
    status = session.status_pool(listen=[f"127.0.0.1:{port}"])
    first = session.start(status + session.pool(workers=2))
    for _ in range(30):
        get(first.address(), "/a.txt")
    browser.open(f"http://127.0.0.1:{port}/")
    wait_live(browser)
    soon(browser, "document.querySelector('[data-pool=files] [data-column=rate] .main').innerText !== '–'", "a rate")
    first.stop()
    browser.wait("document.body.dataset.link === 'lost'", "that nobody answers")
    assert browser.text("#state") == "unreachable"
    notice = browser.text("#notices")
    assert "unreachable" in notice and re.search(r"since \d\d:\d\d:\d\d", notice) and "Next attempt in" in notice
    assert "Below is what it said last" in notice
    assert browser.value("document.querySelectorAll('.tile').length") >= 1, "it may have been asked while it stopped"
    browser.wait("getComputedStyle(document.querySelector('main')).filter === 'grayscale(1)'", "it is greyed")
    assert f"{first.pid}" == fact(browser, "pid")
    browser.wait("link.pause >= 2000", "pauses that grow")
    second = session.start(status + session.pool(workers=1))
    # There is no button any more where the page was quicker.
    browser.run("document.querySelector('#notices button')?.click()")
    wait_live(browser)
    soon(browser, f"document.querySelector('[data-fact=pid]').innerText === '{second.pid}'", "the new daemon")
    assert browser.text("#notices") == ""
    soon(browser, "document.querySelector('[data-pool=files] [data-column=rate] .main').innerText !== '–'", "a rate")
    assert "-" not in browser.text(cell("files", "rate")), "no rate of the two daemons' difference"
    assert browser.value("[...memory.series.values()].flat().every((each) => !(each.rate < 0))")
    assert browser.value("document.querySelectorAll('.plot .sign-start').length") == 3, "the restart is marked"


def test_rates_and_percentiles_are_of_the_time_between_two_answers(session, browser):
    """Fed with answers that no daemon gives so quickly: of the script alone."""
    _, url = with_status(session)
    browser.open(url)
    wait_live(browser)
    found = browser.run("""
        const pool = (requests, buckets) => ({name: "a", requests, lost: 0, statuses: {},
            service_time: {buckets}, queue_delay: {buckets: []}});
        const answer = (pid, uptime, ...rest) => ({pid, uptime_seconds: uptime, pools: [pool(...rest)], workers: []});
        const it = new Memory();
        it.take(answer(1, 10, 1000, [[0.000001, 500], [0.001024, 500]]), 1);
        it.take(answer(1, 12, 1100, [[0.000001, 500], [0.001024, 600]]), 3);  // 100 in 2 s, all in [0.896, 1.024) ms
        it.take(answer(1, 12, 1100, [[0.000001, 500], [0.001024, 600]]), 3.1);  // the same moment once more
        it.take(answer(1, 13, 900, [[0.000001, 400]]), 4);  // counters that went down
        it.take(answer(1, 14, 900, [[0.000001, 400]]), 5);  // nothing happened
        it.take(answer(2, 1, 5, [[0.000001, 5]]), 6);       // another daemon
        it.take(answer(2, 2, 25, [[0.000001, 5], [0.000002, 10], [0.00002, 10]]), 7);
        it.interrupt(8);
        it.take(answer(2, 9, 99, []), 9);                   // after a pause: nothing is known of it
        return it.series.get("a").map((each) => ["rate", "service50", "service99"].map((key) => each[key] ?? null));
    """)
    assert [each[0] for each in found] == [None, 50, None, None, 0, None, 20, None, None]
    assert found[1][1] == pytest.approx(0.000896 + 0.000128 * 0.495)
    assert found[1][2] == pytest.approx(0.000896 + 0.000128 * 0.985)
    assert [each[1:] for each in found[2:6]] == [[None, None]] * 4
    assert found[6][1] == pytest.approx(0.000001 + 0.000001 * 0.95)
    assert found[6][2] == pytest.approx(0.000016 + 0.000004 * 0.95)
    texts = browser.value("[duration(0.00085), duration(0.00124), duration(3.2), age(3.21), age(250), age(190000), "
                          "rate(0), rate(0.25), rate(1234.4), bytes(71 * 2 ** 20), delay(0.0000005)]")
    assert texts == ["850 µs", "1.24 ms", "3.20 s", "3.2s", "4m 10s", "2d 4h", "0", "0.3", "1,234", "71 MiB", "<1 ms"]


def test_what_goes_takes_the_focus_from_nothing_else(session, browser):
    _, url = with_status(session)
    browser.open(url)
    wait_live(browser)
    order = browser.run("""
        const parent = document.body.appendChild(document.createElement("div")), held = new Map();
        const make = (name) => ({root: element("button", "", name)});
        const show = (...names) => keep(parent, held, names, (name) => name, make, () => {});
        show("a", "b", "d");
        held.get("d").root.focus();
        show("b", "c", "d");
        return [...parent.children].map((each) => each.textContent).join("") + document.activeElement.textContent;
    """)
    assert order == "bcdd"


def test_it_is_light_or_dark_as_the_reader_prefers_and_fits_on_a_phone(session, browser):
    _, url = with_status(session, workers=6)
    browser.open(url)
    wait_live(browser)
    colours = {}
    for scheme in ("light", "dark"):
        browser.prefer(scheme)
        colours[scheme] = browser.value("getComputedStyle(document.body).backgroundColor")
    luminance = {scheme: sum(map(int, re.findall(r"\d+", colour)[:3])) for scheme, colour in colours.items()}
    assert luminance["light"] > 600 and luminance["dark"] < 150, colours
    for width in (390, 800, 1280, 1920):
        browser.resize(width, 900)
        wait_until(lambda w=width: browser.value("innerWidth") == w, "the new width")
        assert browser.value("document.documentElement.scrollWidth") <= width, f"no scrolling sideways at {width}"
    browser.prefer("light")


def test_a_program_that_serves_a_connection_is_busy(session, browser):
    cat = table("pool.cat", listen=[f"127.0.0.1:{free_port()}"], exec={"command": ["/bin/cat"]})
    daemon = session.start(session.pool() + session.status_pool() + cat)
    browser.open(url_of(daemon))
    wait_live(browser)
    with contextlib.closing(Connection(daemon.address("cat"))) as connection:
        connection.send(b"hello\n")
        soon(browser, "document.querySelector('.tile[data-pool=cat][data-phase=busy]')", "a busy program")
        assert "1 busy" in browser.text(cell("cat", "workers"))
    soon(browser, "!document.querySelector('.tile[data-pool=cat][data-phase=busy]')", "its end")
