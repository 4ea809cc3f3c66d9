"""The three ways to serve many clients: where application code runs, what a worker accepts, and what becomes of code that
is stuck, crashes, or is left by its client. The application is prongd-trial's (test/trial/worker_main.cpp)."""

import contextlib
import os
import re
import signal
import socket
import threading
import time

import pytest

import harness
from client import Connection, Cut, get
from harness import LIMIT, SCALE, descriptors, is_gone, process, wait_until

MODELS = ["event", "thread", "process"]
ON_THREADS = ["thread", "process"]


def tasks(pid):
    """Names of the process's threads, the main thread first."""
    return [open(f"/proc/{pid}/task/{task}/comm", encoding="ascii").read().strip()
            for task in sorted(os.listdir(f"/proc/{pid}/task"), key=int)]


def sleeps_of(pid):
    """How often the process's threads have gone to sleep: each wake-up ends in one."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status", encoding="ascii") as file:
            total += int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", file.read(), re.M)[1])
    return total


@pytest.mark.parametrize("concurrency", MODELS)
def test_every_kind_of_answer_comes_through(session, concurrency):
    daemon = session.start_trial(concurrency)
    address = daemon.address("trial")
    with Connection(address) as connection:
        for _ in range(3):
            assert connection.get("/").body == b"ok"
            assert connection.get("/nothing").status == 404
        connection.send(b"POST /body HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello")
        assert connection.response().body == b"hello"
        connection.request("/throw")
        daemon.expect("a request failed: asked for")
        assert connection.response().status == 500
        assert connection.get("/", method="HEAD").body == b""
    with Connection(address) as connection:  # a body that is made while it is sent, of unknown size
        connection.request("/stream?parts=50&size=1000")
        head = connection.head()
        assert head.headers["transfer-encoding"] == "chunked"
        data = b""
        while not data.endswith(b"0\r\n\r\n"):
            data += connection._data or connection.socket.recv(65536)
            connection._data = b""
        assert data.count(b"p") == 50_000
    with Connection(address) as connection:  # one that breaks off
        connection.request("/breaks?parts=2")
        with pytest.raises((Cut, ConnectionResetError)):
            connection.head()
            while connection._more():
                pass
            raise Cut("the end of the connection")
    daemon.expect("a request failed")


@pytest.mark.parametrize("concurrency", MODELS)
def test_pipelined_requests_are_answered_in_their_order(session, concurrency):
    daemon = session.start_trial(concurrency)
    with Connection(daemon.address("trial")) as connection:
        wanted = []
        text = b""
        for number in range(40):
            body = b"number %d" % number
            wanted.append(body)
            text += b"POST /body HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        connection.send(text)
        assert [connection.response().body for _ in wanted] == wanted


def test_where_application_code_runs(session):
    daemon = session.start_trial("event")
    assert get(daemon.address("trial"), "/thread").body == b"main"
    assert len(tasks(daemon.workers("trial")[0])) == 1
    daemon.stop()
    daemon = session.start_trial("process")
    for _ in range(5):
        assert get(daemon.address("trial"), "/thread").body == b"main"
    assert tasks(daemon.workers("trial")[0])[1:] == ["prongd-io"]
    daemon.stop()
    daemon = session.start_trial("thread", threads=3)
    names = tasks(daemon.workers("trial")[0])[1:]
    assert sorted(names) == ["prongd-app", "prongd-app", "prongd-io"]
    # Three at once are on three threads, one of which is the main thread.
    address, seen, gate = daemon.address("trial"), set(), threading.Barrier(3)

    def ask():
        with Connection(address) as connection:
            gate.wait(LIMIT)
            connection.request("/sleep?ms=200")
            connection.response()
            seen.add(connection.get("/thread").body)

    clients = [threading.Thread(target=ask) for _ in range(3)]
    for client in clients:
        client.start()
    for client in clients:
        client.join(LIMIT)
    assert seen


def test_as_many_requests_run_at_once_as_a_worker_has_threads(session):
    daemon = session.start_trial("thread", threads=3, workers=2)
    begin = time.monotonic()
    with contextlib.ExitStack() as stack:
        asked = [stack.enter_context(Connection(daemon.address("trial"))) for _ in range(12)]
        for connection in asked:
            connection.request("/sleep?ms=500", headers=["Connection: close"])
        for connection in asked:
            assert connection.response().body == b"ok"
    took = time.monotonic() - begin
    assert 1.0 <= took < 1.0 + 0.9 * SCALE  # 12 requests, 6 at once, half a second each


@pytest.mark.parametrize("concurrency", ON_THREADS)
def test_no_request_waits_behind_a_busy_worker_while_another_is_idle(session, concurrency):
    """As many requests as the pool can work on at once all run at once, however unevenly workers are woken."""
    more = {"threads": 2} if concurrency == "thread" else {}
    daemon = session.start_trial(concurrency, workers=4, **more)
    at_once = 8 if concurrency == "thread" else 4
    for _ in range(5):
        begin = time.monotonic()
        with contextlib.ExitStack() as stack:
            asked = [stack.enter_context(Connection(daemon.address("trial"))) for _ in range(at_once)]
            for connection in asked:
                connection.request("/sleep?ms=300", headers=["Connection: close"])
            for connection in asked:
                assert connection.response().body == b"ok"
        assert time.monotonic() - begin < 0.3 + 0.25 * SCALE


@pytest.mark.parametrize("concurrency", ON_THREADS)
def test_workers_with_several_listeners_take_what_comes_on_any_of_them(session, concurrency):
    """A worker that hears of two listeners at once, and can take one connection, is not the only one who has heard."""
    more = {"threads": 1} if concurrency == "thread" else {}
    ports = [harness.free_port() for _ in range(3)]
    daemon = session.start_trial(concurrency, workers=3, listen=[f"127.0.0.1:{port}" for port in ports], **more)
    for _ in range(10):
        begin = time.monotonic()
        with contextlib.ExitStack() as stack:
            asked = [stack.enter_context(Connection(("127.0.0.1", port))) for port in ports]
            for connection in asked:
                connection.request("/sleep?ms=400", headers=["Connection: close"])
            for connection in asked:
                assert connection.response().body == b"ok"
        assert time.monotonic() - begin < 0.4 + 0.38 * SCALE
    daemon.check_quiet()


def test_a_worker_in_process_holds_one_connection(session):
    daemon = session.start_trial("process", workers=1)
    address = daemon.address("trial")
    with Connection(address) as first, Connection(address) as second:
        first.request("/sleep?ms=300")
        second.request("/pid", headers=["Connection: close"])
        begin = time.monotonic()
        assert first.response().closes  # somebody waits
        assert second.response().status == 200
        assert time.monotonic() - begin >= 0.2
        assert first.at_end()


def test_in_process_a_connection_is_kept_while_nobody_waits_and_given_up_for_who_waits(session):
    daemon = session.start_trial("process", workers=1)
    address = daemon.address("trial")
    with Connection(address) as kept:
        for _ in range(5):
            assert not kept.get("/pid").closes
        begin = time.monotonic()
        assert get(address, "/pid").status == 200  # the idle one goes
        assert time.monotonic() - begin < 0.5 * SCALE
        assert kept.at_end()


def test_in_process_an_idle_connection_is_not_given_up_while_a_sibling_is_free(session):
    daemon = session.start_trial("process", workers=3)
    address = daemon.address("trial")
    with Connection(address) as kept:
        pid = kept.get("/pid").body
        for _ in range(50):
            assert get(address, "/pid").body != pid
        assert kept.get("/pid").body == pid


def test_in_process_a_silent_client_does_not_keep_the_worker_for_itself(session):
    path = session.folder / "s"
    daemon = session.start_trial("process", workers=1, listen=[f"unix:{path}"])
    wait_until(path.exists, "the socket")
    with Connection(str(path)):  # no TCP_DEFER_ACCEPT there
        assert get(str(path), "/pid").status == 200
    daemon.check_quiet()


@pytest.mark.parametrize("concurrency", ON_THREADS)
def test_the_obituary_counts_what_was_answered_and_not_what_was_begun(session, concurrency):
    daemon = session.start_trial(concurrency, workers=1)
    address, pid = daemon.address("trial"), daemon.workers("trial")[0]
    with Connection(address) as connection:
        for _ in range(3):
            assert connection.get("/").body == b"ok"
        connection.request("/stream?parts=100000&size=1000&ms=5")  # several minutes
        assert connection.head().status == 200
        daemon.kill_worker(pid)
        daemon.wait(rf"pid={pid}: killed by signal 9 .*, 1 connections, 3 requests")
    wait_until(lambda: daemon.workers("trial").get(0) not in (None, pid), "its successor")


@pytest.mark.parametrize("concurrency", ON_THREADS)
def test_the_client_of_a_stuck_request_gets_504_and_the_worker_is_replaced(session, concurrency):
    daemon = session.start_trial(concurrency, workers=1, request_timeout="400ms", graceful_timeout="5s")
    address, before = daemon.address("trial"), daemon.workers("trial")[0]
    daemon.expect(r"overran request_timeout = 400ms; its thread is lost, so this worker finishes")
    with Connection(address) as stuck:
        begin = time.monotonic()
        stuck.request("/hang?a=%0a")
        answer = stuck.response()
        assert answer.status == 504 and answer.closes
        assert 0.4 <= time.monotonic() - begin < 0.4 + 1.5 * SCALE
    daemon.wait(rf"pid={before}: GET /hang\?a=%0a overran request_timeout = 400ms; its thread is lost")
    daemon.wait(rf"pid={before}: exited with status 0 .*GET /hang\?a=%0a overran request_timeout")
    assert int(get(address, "/pid").body) != before
    assert is_gone(before)


def test_the_other_requests_of_a_worker_with_a_stuck_thread_are_finished(session):
    daemon = session.start_trial("thread", workers=1, threads=4, request_timeout="700ms", graceful_timeout="10s")
    address, before = daemon.address("trial"), daemon.workers("trial")[0]
    daemon.expect("overran request_timeout")
    with Connection(address) as stuck, Connection(address) as slow, Connection(address) as idle:
        assert int(idle.get("/pid").body) == before
        stuck.request("/hang")
        slow.request("/sleep?ms=300")
        assert slow.response().status == 200
        slow.request("/stream?parts=6&size=10&ms=250")  # longer than request_timeout, but each piece is in time
        assert stuck.response().status == 504
        slow.head()
        data = slow._data
        while not data.endswith(b"0\r\n\r\n"):
            data += slow.socket.recv(65536) or b"?"
            assert not data.endswith(b"?")
        assert data.count(b"p") == 60
        assert int(idle.get("/pid").body) == before  # its last answer
        assert idle.at_end()
    daemon.wait(rf"pid={before}: exited with status 0")


def test_when_all_threads_are_stuck_what_waits_is_told_so_at_once(session):
    daemon = session.start_trial("process", workers=1, request_timeout="500ms", graceful_timeout="20s")
    daemon.expect("overran request_timeout")
    before = daemon.workers("trial")[0]
    with Connection(daemon.address("trial")) as stuck:
        stuck.send(b"GET /loop HTTP/1.1\r\nHost: t\r\n\r\nGET /pid HTTP/1.1\r\nHost: t\r\n\r\n")
        assert stuck.response().status == 504
        mark = time.monotonic()
        daemon.wait(rf"pid={before}: exited with status 0")
        assert time.monotonic() - mark < 3 * SCALE  # not the whole grace


def test_requests_that_wait_too_long_for_a_thread_are_answered_and_the_worker_goes_on(session):
    daemon = session.start_trial("thread", workers=1, threads=1, request_timeout="600ms")
    address, pid = daemon.address("trial"), daemon.workers("trial")[0]
    daemon.expect(r"waited for a thread for request_timeout = 600ms; all 1 are busy")
    with contextlib.ExitStack() as stack:
        waiting = [stack.enter_context(Connection(address)) for _ in range(4)]
        for connection in waiting:
            assert int(connection.get("/pid").body) == pid
        for connection in waiting:
            connection.request("/sleep?ms=450")
        answers = sorted(connection.response().status for connection in waiting)
        assert answers == [200, 200, 504, 504]
        assert int(get(address, "/pid").body) == pid


@pytest.mark.parametrize("concurrency", ON_THREADS)
def test_a_stuck_request_whose_client_has_left_is_noticed_too(session, concurrency):
    daemon = session.start_trial(concurrency, workers=1, request_timeout="400ms")
    before = daemon.workers("trial")[0]
    daemon.expect("overran request_timeout")
    connection = Connection(daemon.address("trial"))
    used = harness.cpu_seconds(before)
    connection.request("/loop")
    wait_until(lambda: harness.cpu_seconds(before) > used + 0.02, "a thread to be in its loop")
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()  # with a reset
    daemon.wait(rf"pid={before}: .*overran request_timeout = 400ms")
    daemon.wait(rf"pid={before}: exited with status 0")
    wait_until(lambda: 0 in daemon.workers("trial") or 1 in daemon.workers("trial"), "a new worker")


@pytest.mark.parametrize("way", ["/hang", "/loop"])
def test_a_request_that_blocks_the_loop_costs_its_worker_and_nobody_else(session, way):
    timeout = harness.duration(500 * SCALE)
    daemon = session.start_trial("event", workers=2, request_timeout=timeout)
    address, before = daemon.address("trial"), daemon.workers("trial")
    said = rf"killed by the master: the loop was in GET {way}\?a=%0a for [\d.]+m?s, request_timeout = {timeout}"
    daemon.expect(said)
    with Connection(address) as stuck:
        stuck.request(f"{way}?a=%0a")
        with pytest.raises((Cut, ConnectionResetError)):
            stuck.response()
    line = daemon.wait(rf"pid=(\d+): killed by signal 6 \(SIGABRT[^)]*\) after .*; {said} \[PR0310\]")
    lost = int(line[1])
    assert lost in before.values()
    after = wait_until(lambda: len(found := set(daemon.workers("trial").values())) == 2 and found, "its successor")
    assert set(before.values()) - {lost} < after and lost not in after
    assert not daemon.log.find("backoff"), "it had served"
    assert get(address, "/pid").status == 200


def test_a_loop_that_is_busy_but_not_stuck_is_left_alone(session):
    daemon = session.start_trial("event", workers=1, request_timeout="400ms")
    address, pid = daemon.address("trial"), daemon.workers("trial")[0]
    with Connection(address) as one, Connection(address) as other:
        for _ in range(8):  # each in time, all of them together in none
            one.send(b"GET /sleep?ms=100 HTTP/1.1\r\nHost: t\r\n\r\n" * 2)
            other.request("/sleep?ms=100")
            assert [one.response().status, one.response().status, other.response().status] == [200, 200, 200]
    with Connection(address) as slow:
        slow.request("/stream?parts=10&size=10&ms=100")
        assert len(slow.response().body) == 100
    assert daemon.workers("trial") == {0: pid}


def test_a_loop_without_request_timeout_may_block_as_long_as_it_likes(session):
    daemon = session.start_trial("event", workers=1, request_timeout="0")
    with Connection(daemon.address("trial")) as connection:
        connection.request("/sleep?ms=1200")
        assert connection.response().status == 200
    daemon.check_quiet()


@pytest.mark.parametrize("concurrency", ON_THREADS)
@pytest.mark.parametrize("way, death", [("crash", "killed by signal 11"), ("abort", "killed by signal 6"),
                                        ("exit", "exited with status 7")])
def test_code_that_crashes_takes_its_worker_and_nobody_else(session, concurrency, way, death):
    if way == "crash" and harness.is_sanitized():
        pytest.skip("the sanitizer turns the signal into a report")
    daemon = session.start_trial(concurrency, workers=2)
    address = daemon.address("trial")
    daemon.expect(death)
    pids = set(daemon.workers("trial").values())
    with Connection(address) as crasher:
        crasher.request("/" + way)
        with pytest.raises((Cut, ConnectionResetError)):
            crasher.response()
    match = daemon.wait(rf"pid=(\d+): {death}")
    assert int(match[1]) in pids
    wait_until(lambda: len(daemon.workers("trial")) == 2, "two workers again")
    assert get(address, "/pid").status == 200


@pytest.mark.parametrize("concurrency", ON_THREADS)
def test_a_stop_waits_for_requests_under_way_and_cuts_what_is_stuck_at_the_end_of_the_grace(session, concurrency):
    daemon = session.start_trial(concurrency, workers=2, graceful_timeout="1500ms", request_timeout="0")
    address = daemon.address("trial")
    with Connection(address) as works, Connection(address) as hangs:
        works.request("/sleep?ms=600")
        hangs.request("/hang")
        pids = daemon.workers("trial").values()
        wait_until(lambda: harness.holder_of(works, pids) and harness.holder_of(hangs, pids), "both at work")
        daemon.expect("the grace is over: 1 connections cut")
        daemon.send(signal.SIGTERM)
        assert works.response().body == b"ok"
        with pytest.raises((Cut, ConnectionResetError)):
            hangs.response()
    assert daemon.wait_exit() == 0


@pytest.mark.parametrize("concurrency", ON_THREADS)
def test_a_reload_loses_no_request_that_is_under_way(session, concurrency):
    daemon = session.start_trial(concurrency, workers=2)
    address = daemon.address("trial")
    with Connection(address) as works, Connection(address) as idle:
        idle.get("/")
        works.request("/sleep?ms=800")
        pids = daemon.workers("trial").values()
        wait_until(lambda: harness.holder_of(works, pids), "the request at work")
        daemon.reload()
        assert idle.get("/").status == 200
        assert works.response().body == b"ok"
    assert get(address, "/").status == 200


@pytest.mark.parametrize("concurrency", MODELS)
def test_an_idle_worker_sleeps(session, concurrency):
    daemon = session.start_trial(concurrency, workers=1)
    pid = daemon.workers("trial")[0]
    with Connection(daemon.address("trial")) as connection:
        connection.get("/")
        before = sleeps_of(pid)
        threading.Event().wait(2)  # the time that is looked at
        assert sleeps_of(pid) - before <= 4  # two a second


def test_nothing_is_left_of_requests_whose_clients_vanish(session):
    daemon = session.start_trial("thread", workers=1, threads=4)
    address, pid = daemon.address("trial"), daemon.workers("trial")[0]
    get(address, "/")
    before = len(descriptors(pid))
    for number in range(150):
        connection = Connection(address)
        connection.request(["/sleep?ms=5", "/stream?parts=2000&size=1000", "/body", "/"][number % 4])
        if number % 3 == 0:
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()
    wait_until(lambda: len(descriptors(pid)) <= before, lambda: f"descriptors back at {before}: {descriptors(pid)}")
    assert get(address, "/pid").body == str(pid).encode()


@pytest.mark.parametrize("concurrency", MODELS)
def test_each_answer_has_its_line_in_the_access_log(session, concurrency):
    path = session.folder / "access.log"
    more = {} if concurrency == "event" else {"request_timeout": "500ms"}
    daemon = session.start_trial(concurrency, workers=2, access_log={
        "path": path, "format": "{status} {method} {target} {service_us}"}, **more)
    address = daemon.address("trial")
    wanted = []
    for number in range(20):
        with Connection(address) as connection:
            for target in (f"/?a={number}", f"/sleep?ms=2&a={number}", f"/none?a={number}"):
                connection.get(target)
                wanted.append(f"{404 if 'none' in target else 200} GET {target}")
    if concurrency != "event":
        daemon.expect("overran request_timeout")
        assert get(address, "/hang").status == 504
        wanted.append("504 GET /hang")
    daemon.stop()
    lines = [line.rpartition(" ") for line in path.read_text().splitlines()]
    assert sorted(line[0] for line in lines) == sorted(wanted)
    for text, _, time_us in lines:
        assert int(time_us) >= (2000 if "/sleep" in text else 500_000 if "/hang" in text else 0)
