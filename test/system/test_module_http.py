"""HTTP modules: requests, answers, bodies in and out, deferred answers, timers, the log (test/modules/probe.cpp)."""

import contextlib
import re
import signal

import pytest

from client import Connection, get
from harness import wait_until
from modules import GONE, MODELS, WAITING, metric, module_pool, path_of, vanish

MEGABYTE = 1 << 20


def start(session, concurrency="event", *, config="", **more):
    daemon = session.start(module_pool("probe", concurrency, **more) + config)
    return daemon, daemon.address("probe")


def fnv(data):
    value = 0xcbf29ce484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001b3 & 0xffffffffffffffff
    return value


def sum_of(data):
    return f"size={len(data)} sum={fnv(data)}\n".encode()


def pattern(size):
    return b"".join(b"%07d\n" % number for number in range(-(-size // 8)))[:size]


def post(connection, target, body, *, chunks=None, headers=()):
    if chunks is None:
        connection.request(target, "POST", [f"Content-Length: {len(body)}", *headers])
        connection.send(body)
    else:
        connection.request(target, "POST", ["Transfer-Encoding: chunked", *headers])
        for at in range(0, len(body), chunks):
            part = body[at:at + chunks]
            connection.send(b"%x\r\n%s\r\n" % (len(part), part))
        connection.send(b"0\r\n\r\n")
    return connection.response()


# ------------------------------------------------------------------------------------------------- requests and answers


@pytest.mark.parametrize("concurrency", MODELS)
def test_a_module_sees_all_of_a_request(session, concurrency):
    daemon, address = start(session, concurrency)
    with Connection(address) as connection:
        answer = connection.get("/request?a=1&b=x+y%26z&a=2&bare", headers=["X-Probe:  some value ", "x-probe: second"])
        seen = answer.body.decode().splitlines()
        port = connection.socket.getsockname()[1]
    for line in ("method=GET", "path=/request", "raw_path=/request", "target=/request?a=1&b=x+y%26z&a=2&bare",
                 "raw_query=a=1&b=x+y%26z&a=2&bare", "host=test", "version_minor=1", "scheme=http", "peer=127.0.0.1",
                 f"peer_port={port}", "client=127.0.0.1", "has_body=no", "query.a=1", "query.b=x y&z", "query.a=2",
                 "query.bare=", "found=some value", "header.X-Probe=some value", "header.x-probe=second"):
        assert line in seen, f"{line} in {seen}"
    with Connection(address) as connection:
        seen = connection.get("/%72equest?%", version="1.0").body.decode().splitlines()
    for line in ("path=/request", "raw_path=/%72equest", "version_minor=0", "query.%="):
        assert line in seen, f"{line} in {seen}"


def test_a_module_sees_prefix_and_client_as_the_pool_says(session):
    daemon, address = start(session, path_prefix="/below", trusted_proxies=["127.0.0.0/8"])
    seen = get(address, "/below/request").body.decode().splitlines()
    assert "path=/request" in seen and "prefix=/below" in seen
    with Connection(address) as connection:
        seen = connection.get("/below/request", headers=["X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: https"])
    seen = seen.body.decode().splitlines()
    assert {"client=192.0.2.7", "peer=127.0.0.1", "scheme=https"} <= set(seen)


@pytest.mark.parametrize("concurrency", MODELS)
def test_answers_have_the_status_headers_and_body_that_the_module_gave(session, concurrency):
    daemon, address = start(session, concurrency)
    with Connection(address) as connection:
        for status in (200, 201, 299, 404, 418, 599):
            answer = connection.get(f"/answer?status={status}&name=X-Own&value=a%20b&body=text")
            assert (answer.status, answer.headers["x-own"], answer.body) == (status, "a b", b"text")
            assert "date" in answer.headers and answer.headers["content-length"] == "4"
        assert connection.get("/answer?status=204&body=none").status == 204
        head = connection.get("/answer?body=text", method="HEAD")
        assert (head.status, head.headers["content-length"]) == (200, "4")
        assert connection.get("/large?bytes=3000000").body == pattern(3_000_000)
        assert connection.get("/twice").body == b"once\n"
    daemon.wait("info +.*refused: the request has been answered before")


WRONG = [("status=199", "status 199"), ("status=600", "status 600"), ("status=100", "status 100"),
         ("name=no%20name&value=x", "no name of a header"), ("name=&value=x", "no name of a header"),
         ("name=a%0d%0ab&value=x", "no name of a header"), ("name=Content-Length&value=7", "Content-Length"),
         ("name=connection&value=close", "Connection"), ("name=X&value=a%0d%0aEvil:%201", "header"),
         ("name=X&value=a%00b", "header"), ("name=X&value=a%1bb", "control character")]


@pytest.mark.parametrize("concurrency", MODELS)
def test_an_answer_that_cannot_be_is_500_and_a_line_in_the_log(session, concurrency):
    daemon, address = start(session, concurrency)
    daemon.expect(r" error .*(probe\.so|a request failed: the (answer has a|module returned without))")
    with Connection(address) as connection:
        for asked, why in WRONG:
            mark = daemon.log.mark()
            answer = connection.get(f"/answer?{asked}")
            assert (answer.status, "evil" in answer.headers) == (500, False), asked
            daemon.wait(rf"error .*{why}", mark)
        mark = daemon.log.mark()
        assert connection.get("/silent").status == 500
        assert connection.get("/pid").status == 200


# -------------------------------------------------------------------------------------------------------------- bodies in


@pytest.mark.parametrize("concurrency", MODELS)
@pytest.mark.parametrize("target", ["/body", "/read"])
def test_whole_bodies_come_from_memory_and_from_a_file(session, concurrency, target):
    daemon, address = start(session, concurrency, http={"body_buffer": "16KiB"})
    with Connection(address) as connection:
        for size in (0, 1, 999, 16 << 10, (16 << 10) + 1, 200_000):
            body = pattern(size)
            assert post(connection, target, body).body == sum_of(body)
            assert post(connection, target, body, chunks=5000).body == sum_of(body)


@pytest.mark.parametrize("concurrency", MODELS)
def test_bodies_come_piece_by_piece(session, concurrency):
    daemon, address = start(session, concurrency, http={"body_buffer": "16KiB"})
    with Connection(address) as connection:
        for size in (1, 20_000, 300_000):
            body = pattern(size)
            answer = post(connection, "/pieces", body)
            assert answer.body == sum_of(body) and int(answer.headers["pieces"]) >= 1
            assert post(connection, "/pieces", body, chunks=7000).body == sum_of(body)
        empty = post(connection, "/pieces", b"", chunks=7000)
        assert (empty.body, empty.headers["pieces"]) == (sum_of(b""), "0")
        assert connection.get("/pid").status == 200
    daemon.wait("upload ended after 300000 bytes", count=2)
    daemon.wait("upload ended after 0 bytes")


@pytest.mark.parametrize("concurrency", MODELS)
def test_an_upload_that_has_enough_answers_before_its_end(session, concurrency):
    daemon, address = start(session, concurrency, http={"body_buffer": "16KiB"})
    with Connection(address) as connection:
        answer = post(connection, "/pieces?enough=1000", pattern(50_000))
        assert (answer.status, answer.body) == (413, b"enough\n")
    daemon.wait(r"upload ended after \d+ bytes")
    with Connection(address) as connection:
        assert post(connection, "/pieces?enough=1000", pattern(1000)).status == 200


def test_in_event_pieces_come_while_the_client_still_sends(session):
    daemon, address = start(session, http={"max_body": "1GiB"})
    with Connection(address) as connection:
        connection.request("/pieces?enough=1000", "POST", [f"Content-Length: {500 * MEGABYTE}"])
        with contextlib.suppress(*GONE):
            connection.send(pattern(5000))
        assert connection.response().status == 413


@pytest.mark.parametrize("concurrency", MODELS)
def test_a_client_that_expects_100_continue_gets_it(session, concurrency):
    daemon, address = start(session, concurrency)
    for target in ("/body", "/pieces"):
        with Connection(address) as connection:
            connection.request(target, "POST", ["Content-Length: 5", "Expect: 100-continue"])
            assert connection.head().status == 100
            connection.send(b"hello")
            assert connection.response().body == sum_of(b"hello")


@pytest.mark.parametrize("concurrency", MODELS)
@pytest.mark.parametrize("query, body, why", [("?refuse=1", b"any", "no upload today"),
                                              ("", b"throw here", "a piece that cannot be")])
def test_an_upload_whose_function_or_piece_throws_is_500_and_ends(session, concurrency, query, body, why):
    daemon, address = start(session, concurrency)
    daemon.expect(why)
    with Connection(address) as connection:
        assert post(connection, "/pieces" + query, body).status == 500
    daemon.wait(f"error .*{why}")
    if not query:
        daemon.wait("upload ended after 0 bytes")
    assert get(address, "/pid").status == 200


def test_an_upload_whose_client_vanishes_is_ended(session):
    daemon, address = start(session)
    with Connection(address) as connection:
        connection.request("/pieces", "POST", ["Content-Length: 100000"])
        connection.send(b"x" * 3000)
        vanish(connection)
    daemon.wait(r"upload ended after \d+ bytes")


# ------------------------------------------------------------------------------------------------------------- bodies out


@pytest.mark.parametrize("concurrency", MODELS)
def test_files_and_parts_of_them_are_sent(session, concurrency):
    daemon, address = start(session, concurrency)
    whole = session.big_file(size=3 * MEGABYTE)
    path = session.site / "big.bin"
    with Connection(address) as connection:
        answer = connection.get(f"/file?path={path}")
        assert (answer.status, answer.headers["content-type"]) == (200, "text/x-probe") and answer.body == whole
        answer = connection.get(f"/part?path={path}&offset=1000&length=500000")
        assert answer.status == 206 and answer.body == whole[1000:501_000]
        assert connection.get(f"/file?path={path}", method="HEAD").headers["content-length"] == str(len(whole))
        assert connection.get("/file?path=/nowhere").status == 404
        assert connection.get(f"/file?path={session.site}").status == 404
        assert connection.get("/pid").status == 200


@pytest.mark.parametrize("concurrency", MODELS)
@pytest.mark.parametrize("length", ["", "&length=1"])
def test_streamed_bodies_are_whole_in_chunks_and_with_a_length(session, concurrency, length):
    daemon, address = start(session, concurrency)
    with Connection(address) as connection:
        for size in (8, 4096, 5 * MEGABYTE):
            answer = connection.get(f"/stream?bytes={size}{length}")
            assert answer.body == pattern(size)
            assert ("content-length" in answer.headers) == bool(length)
            daemon.wait(f"stream ended after {size} bytes")
        assert connection.get(f"/stream?bytes=8000{length}", method="HEAD").status == 200
        assert connection.get("/pid").status == 200
    if not length:
        with Connection(address) as connection:
            connection.request("/stream?bytes=80000", version="1.0")
            head = connection.head()
            assert "transfer-encoding" not in head.headers
            assert connection._data + b"".join(iter(lambda: connection.socket.recv(1 << 16), b"")) == pattern(80_000)


def test_a_streamed_body_is_made_as_its_slow_client_takes_it(session):
    daemon, address = start(session)
    with Connection(address, receive_buffer=4096) as connection:
        connection.request(f"/stream?bytes={400 * MEGABYTE}&length=1")
        connection.head()
        assert get(address, "/pid").status == 200
    made = int(daemon.wait(r"stream ended after (\d+) bytes")[1])
    assert made < 40 * MEGABYTE, "it stood still while nobody read"


@pytest.mark.parametrize("concurrency", MODELS)
def test_a_streamed_body_ends_when_its_client_vanishes(session, concurrency):
    daemon, address = start(session, concurrency, http={"output_buffer": "64KiB", "output_spool": "0B"})
    for _ in range(3):
        mark = daemon.log.mark()
        with Connection(address, receive_buffer=4096) as connection:
            connection.request(f"/stream?bytes={400 * MEGABYTE}")
            connection.head()
        made = int(daemon.wait(r"stream ended after (\d+) bytes", mark)[1])
        assert made < 40 * MEGABYTE
    wait_until(lambda: get(address, "/pid").status == 200, "the thread back")


@pytest.mark.parametrize("concurrency", MODELS)
def test_a_body_that_cannot_go_on_is_cut(session, concurrency):
    daemon, address = start(session, concurrency)
    daemon.expect("cut|cannot go on|failed|the source has run dry")
    for target in ("/cut", "/throw"):
        with Connection(address) as connection, pytest.raises(GONE):
            connection.get(target)
    daemon.wait("error .*the source has run dry")
    assert get(address, "/pid").status == 200


def test_a_body_that_waits_goes_on_when_it_is_woken(session):
    daemon, address = start(session)
    with Connection(address) as connection, Connection(address) as other:
        connection.request("/trickle")
        assert other.get("/pid").status == 200
        assert connection.response().body == b"line 1\nline 2\nline 3\n"
        assert connection.get("/pid").status == 200


# --------------------------------------------------------------------------------------------------------------- deferred


def test_deferred_answers_come_from_timers_descriptors_and_other_threads(session):
    daemon, address = start(session, workers=1)
    with contextlib.ExitStack() as stack:
        slow = stack.enter_context(Connection(address))
        slow.request("/later?ms=200")
        for target, body in (("/later?ms=1", b"later\n"), ("/later?ms=0", b"later\n"), ("/descriptor", b"readable\n"),
                             ("/post", b"posted\n"), ("/post?count=1000", b"posted\n")):
            with Connection(address) as connection:
                for _ in range(3):
                    answer = connection.get(target)
                    assert (answer.status, answer.body) == (200, body)
        answer = slow.response()
        assert (answer.body, answer.headers["later"]) == (b"later\n", "yes")
        many = [stack.enter_context(Connection(address)) for _ in range(100)]
        for number, connection in enumerate(many):
            connection.request(f"/later?ms={100 - number}")
        for connection in many:
            assert connection.response().body == b"later\n"


def test_pipelined_requests_wait_for_a_deferred_answer(session):
    daemon, address = start(session, workers=1)
    with Connection(address) as connection:
        connection.send(b"GET /later?ms=50 HTTP/1.1\r\nHost: t\r\n\r\nGET /answer?body=next HTTP/1.1\r\nHost: t\r\n\r\n")
        assert connection.response().body == b"later\n"
        assert connection.response().body == b"next"


def test_a_deferred_answer_whose_client_has_gone_goes_to_nobody(session):
    daemon, address = start(session, workers=1)
    with Connection(address) as connection:
        connection.request("/never")
        daemon.wait("waiting for ever")
        vanish(connection)
    daemon.wait("a client of /never is gone")
    with Connection(address) as connection:
        connection.request("/later?ms=100")
        vanish(connection)
    daemon.wait("a client of /later is gone")
    daemon.wait("answered later")
    assert get(address, "/pid").status == 200


def test_a_dropped_answer_is_500(session):
    daemon, address = start(session)
    daemon.expect("error .*dropped")
    with Connection(address) as connection:
        assert connection.get("/drop").status == 500
        assert connection.get("/pid").status == 200
    daemon.wait(r"error .*probe\.so.*dropped")


def test_a_deferred_answer_over_request_timeout_is_504_and_the_worker_goes_on(session):
    daemon, address = start(session, workers=1, request_timeout="300ms")
    daemon.expect(r"warn .*/never was not answered within request_timeout = 300ms")
    before = daemon.workers("probe")
    with Connection(address) as connection:
        connection.request("/never")
        assert get(address, "/pid").status == 200
        assert connection.response().status == 504
    daemon.wait("a client of /never is gone")
    daemon.wait("was not answered within request_timeout")
    assert get(address, "/later?ms=1").body == b"later\n"
    assert daemon.workers("probe") == before


@pytest.mark.parametrize("concurrency", WAITING)
def test_elsewhere_than_in_event_an_answer_cannot_come_later(session, concurrency):
    daemon, address = start(session, concurrency)
    daemon.expect("the answer cannot come later")
    assert get(address, "/later?ms=1").status == 500
    daemon.wait("error .*the answer cannot come later: only in `event`")
    assert get(address, "/pid").status == 200


def test_a_stop_waits_for_deferred_answers_within_the_grace(session):
    daemon, address = start(session, workers=1)
    with Connection(address) as connection, Connection(address) as other:
        assert other.get("/pid").status == 200
        connection.request("/later?ms=300")
        assert other.get("/pid").status == 200
        daemon.send(signal.SIGTERM)
        daemon.wait("probe drains")
        assert connection.response().body == b"later\n"
    assert daemon.wait_exit() == 0
    assert daemon.log.find("probe stops")


# -------------------------------------------------------------------------------------------- timers, log, metrics, life


@pytest.mark.parametrize("concurrency", MODELS)
def test_timers_fire_in_an_idle_worker(session, concurrency):
    daemon, address = start(session, concurrency, workers=1)
    with Connection(address) as connection:
        first = int(connection.get("/timer").body)
    wait_until(lambda: int(get(address, "/timer").body) >= first + 3, "the timer")


@pytest.mark.parametrize("concurrency", MODELS)
def test_a_module_starts_drains_and_stops_once_in_each_worker(session, concurrency):
    daemon, address = start(session, concurrency, workers=2)
    path = re.escape(str(path_of("probe")))
    for slot in range(2):
        daemon.wait(rf"probe/worker\[{slot}\] gen=1 pid=\d+: probe starts in probe slot {slot} generation 1 threads "
                    rf"{3 if concurrency == 'thread' else 1} of {path}$")
    daemon.reload()
    for word in ("probe drains", "probe stops"):
        daemon.wait(rf"gen=1 pid=\d+: {word}", count=2)
    assert len(daemon.log.find("probe starts")) == 4
    daemon.send(signal.SIGTERM)
    assert daemon.wait_exit() == 0
    assert len(daemon.log.find("probe stops")) == 4
    assert not daemon.log.find("too early")


@pytest.mark.parametrize("concurrency", MODELS)
def test_log_lines_have_the_prefix_of_the_worker_and_are_escaped(session, concurrency):
    daemon, address = start(session, concurrency, workers=1)
    daemon.expect("a warning line|an error line")
    assert get(address, "/log").status == 200
    pid = daemon.workers("probe")[0]
    for level, text in (("debug", "a debug line"), ("info", r"an info line with \\x1b\[31m and \\xff"),
                        ("warn", r"a warning line"), ("error", "an error line")):
        daemon.wait(rf"{level} +probe/worker\[0\] gen=1 pid={pid}: .*{text}")
    assert daemon.log.find("first line") and not daemon.log.find("second line")


def test_a_modules_own_numbers_come_to_prongctl_and_to_prometheus(session):
    daemon, address = start(session, workers=2, config=session.status_pool())
    for _ in range(10):
        get(address, "/count?by=3")
    with Connection(address) as connection:
        connection.get("/count?level=7&took_ms=20")
    wait_until(lambda: (found := metric(daemon, "probe", "probe_counted_total", kind="plain")) and found["value"] == 31,
               "the counter")
    assert metric(daemon, "probe", "probe_level")["value"] == 7
    text = get(daemon.address("status"), "/metrics").body.decode()
    assert re.search(r'^\w*probe_counted_total\{[^}]*kind="plain"[^}]*\} 31$', text, re.M), text
    assert re.search(r'^\w*probe_level\{[^}]*\} 7$', text, re.M)
    assert re.search(r'^\w*probe_took_seconds_count\{[^}]*\} 1$', text, re.M)
