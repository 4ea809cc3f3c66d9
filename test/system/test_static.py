"""Files over HTTP, end to end: what a browser, a script and an attacker get."""

import contextlib
import email.utils
import http.client
import os
import socket
import threading
import time

import pytest

import harness
from client import Connection, get


@pytest.fixture
def served(session):
    """A daemon over a site with all sorts of files."""
    site = session.site
    (site / "sub").mkdir()
    (site / "sub" / "index.html").write_text("sub index\n")
    (site / "empty").mkdir()
    (site / "nothing.txt").write_bytes(b"")
    (site / "style.css").write_text("body {}\n")
    (site / "code.js").write_text("1\n")
    (site / "image.png").write_bytes(b"\x89PNG")
    (site / "data.unknownext").write_bytes(b"??")
    (site / "with space.txt").write_text("space\n")
    (site / "ünïcode.txt").write_text("unicode\n")
    (site / ".hidden").write_text("hidden\n")
    (session.folder / "secret.txt").write_text("secret\n")
    (site / "out").symlink_to("../secret.txt")
    (site / "out-absolute").symlink_to(session.folder / "secret.txt")
    (site / "outdir").symlink_to("..")
    (site / "inside").symlink_to("a.txt")
    os.mkfifo(site / "fifo")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(site / "socket"))
    return session.start(session.pool(workers=2, http={"header_timeout": "2s", "idle_timeout": "2s"}))


def test_a_file_comes_whole_with_its_headers(session, served):
    answer = get(served.address(), "/a.txt")
    stat = (session.site / "a.txt").stat()
    assert (answer.status, answer.reason, answer.version) == (200, "OK", "HTTP/1.1")
    assert answer.body == b"a small text\n"
    headers = answer.headers
    assert headers["content-length"] == "13"
    assert headers["content-type"].startswith("text/plain")
    assert email.utils.parsedate_to_datetime(headers["last-modified"]).timestamp() == int(stat.st_mtime)
    assert headers["etag"].strip("W/").startswith('"') and headers["etag"].endswith('"')
    assert abs(email.utils.parsedate_to_datetime(headers["date"]).timestamp() - time.time()) < 5
    assert headers["server"].startswith("prongd")


def test_head_says_what_get_would_and_sends_no_body(session, served):
    with Connection(served.address()) as connection:
        plain = connection.get("/a.txt")
        head = connection.get("/a.txt", method="HEAD")
        assert head.status == 200 and head.body == b""
        assert {k: v for k, v in head.headers.items() if k != "date"} == \
            {k: v for k, v in plain.headers.items() if k != "date"}
        assert connection.get("/a.txt").body == plain.body, "and the connection is in step"


@pytest.mark.parametrize("target, status, body", [
    ("/", 200, b"<h1>index</h1>\n"),
    ("/index.html", 200, b"<h1>index</h1>\n"),
    ("/sub/", 200, b"sub index\n"),
    ("/a.txt?query=1", 200, b"a small text\n"),
    ("/with%20space.txt", 200, b"space\n"),
    ("/%C3%BCn%C3%AFcode.txt", 200, b"unicode\n"),
    ("/%61.txt", 200, b"a small text\n"),
    ("/inside", 200, b"a small text\n"),
    ("/nothing.txt", 200, b""),
    ("/sub/../a.txt", 200, b"a small text\n"),
    ("//a.txt", 200, b"a small text\n"),
    ("http://test/a.txt", 200, b"a small text\n"),
    ("/none.txt", 404, None),
    ("/a.txt/", 404, None),
    ("/sub/none/x", 404, None),
    ("/empty/", 403, None),
    ("/fifo", 403, None),
    ("/socket", 403, None),
    ("/.hidden", 404, None),
    ("/%zz", 400, None),
])
def test_targets(session, served, target, status, body):
    answer = get(served.address(), target)
    assert answer.status == status, answer
    if body is not None:
        assert answer.body == body


def test_a_folder_without_its_slash_is_sent_there(session, served):
    answer = get(served.address(), "/sub?x=1")
    assert answer.status in (301, 308)
    assert answer.headers["location"].endswith("/sub/?x=1") or answer.headers["location"].endswith("/sub/")


@pytest.mark.parametrize("target", [
    "/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/%2e%2e%2fsecret.txt", "/sub/../../secret.txt",
    "/sub/%2e%2e/%2e%2e/secret.txt", "/..%5csecret.txt", "/..\\secret.txt", "/out", "/out-absolute",
    "/outdir/secret.txt", "/outdir/", "/a.txt%00.png", "/%00", "//etc/passwd", "/sub//../..//secret.txt",
    "/....//secret.txt", "/%252e%252e/secret.txt", "/" + "../" * 40 + "etc/passwd",
    "/" + "%2e%2e/" * 40 + "etc/passwd", "/../site/../secret.txt", "../secret.txt", "/proc/self/environ",
    "http://test/../secret.txt", "/\u00c0\u00ae\u00c0\u00ae/secret.txt", "/%c0%ae%c0%ae/secret.txt",
])
def test_no_way_leads_out_of_the_root(session, served, target):
    with contextlib.suppress(ConnectionResetError):
        answer = get(served.address(), target)
        assert answer.status in (400, 403, 404), answer
        assert b"secret" not in answer.body and b"root:" not in answer.body
    assert get(served.address(), "/a.txt").status == 200


def test_a_symlink_swapped_in_between_never_leads_out(session, served):
    """The check and the open must be one step."""
    link, target = session.site / "swap", session.site / "swap.new"
    stop = threading.Event()

    def swap():
        while not stop.is_set():
            for aim in ("a.txt", "../secret.txt"):
                target.symlink_to(aim)
                target.rename(link)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        with Connection(served.address()) as connection:
            for _ in range(1500):
                answer = connection.get("/swap")
                assert b"secret" not in answer.body
                if answer.closes:
                    break
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("name, kind", [("index.html", "text/html"), ("style.css", "text/css"),
                                        ("code.js", "text/javascript"), ("image.png", "image/png"),
                                        ("data.unknownext", "application/octet-stream")])
def test_mime_types(session, served, name, kind):
    assert get(served.address(), "/" + name).headers["content-type"].startswith(kind)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_other_methods_are_405_with_allow(session, served, method):
    with Connection(served.address()) as connection:
        answer = connection.get("/a.txt", method=method)
        assert answer.status == 405
        allowed = {word.strip() for word in answer.headers["allow"].split(",")}
        assert {"GET", "HEAD"} <= allowed and method not in allowed


@pytest.mark.parametrize("raw, statuses", [
    (b"nonsense\r\n\r\n", (400, )),
    (b"GET / HTTP/3.7\r\nHost: x\r\n\r\n", (400, 505)),
    (b"GET /a.txt HTTP/1.1\r\n\r\n", (400, )),  # RFC 9112 section 3.2: no Host
    (b"GET / HTTP/1.1\r\nHost: x\r\nBad Header: y\r\n\r\n", (400, )),
    (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", (400, )),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 32, (400, )),  # somebody speaks TLS
    (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", (414, 431)),
    (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", (431, )),
    (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 20_000 + b"\r\n", (431, )),
])
def test_a_bad_request_gets_its_status_and_the_connection_ends(session, served, raw, statuses):
    with Connection(served.address()) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.send(raw)
        answer = connection.response()
        assert answer.status in statuses, answer
        assert answer.closes
        with contextlib.suppress(ConnectionResetError):
            assert connection.at_end()
    assert get(served.address(), "/a.txt").status == 200


def test_keep_alive_serves_many_requests_and_close_ends_it(session, served):
    with Connection(served.address()) as connection:
        for _ in range(50):
            assert not connection.get("/a.txt").closes
        assert connection.get("/a.txt", headers=["Connection: close"]).closes
        assert connection.at_end()


def test_http_1_0_closes_unless_keep_alive_is_asked_for(session, served):
    with Connection(served.address()) as connection:
        assert connection.get("/a.txt", version="1.0").status == 200
        assert connection.at_end()
    with Connection(served.address()) as connection:
        answer = connection.get("/a.txt", version="1.0", headers=["Connection: keep-alive"])
        if not answer.closes and answer.headers.get("connection", "").lower() == "keep-alive":
            assert connection.get("/a.txt").status == 200


def test_pipelined_requests_are_answered_in_order(session, served):
    with Connection(served.address()) as connection:
        targets = ["/a.txt", "/", "/none", "/sub/", "/nothing.txt"] * 10
        connection.send(b"".join(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for target in targets))
        bodies = {"/a.txt": b"a small text\n", "/": b"<h1>index</h1>\n", "/sub/": b"sub index\n", "/nothing.txt": b""}
        for target in targets:
            answer = connection.response()
            assert answer.status == (404 if target == "/none" else 200)
            if target in bodies:
                assert answer.body == bodies[target]


def test_a_request_byte_by_byte_is_understood(session, served):
    with Connection(served.address()) as connection:
        for byte in b"GET /a.txt HTTP/1.1\r\nHost: x\r\nX-Long: " + b"y" * 50 + b"\r\n\r\n":
            connection.send(bytes([byte]))
        assert connection.response().body == b"a small text\n"


def test_the_body_of_a_get_is_not_taken_for_the_next_request(session, served):
    """Request smuggling: whether the server reads the body away or closes, what is in it is never answered."""
    smuggled = b"GET /sub/ HTTP/1.1\r\nHost: x\r\n\r\n"
    with Connection(served.address()) as connection:
        connection.send(b"GET /a.txt HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(smuggled), smuggled))
        first = connection.response()
        assert first.status in (200, 400, 413)
        if first.closes:
            with contextlib.suppress(ConnectionResetError):
                assert connection.at_end()
        else:
            assert connection.get("/nothing.txt").body == b""


def test_a_large_file_comes_whole_to_fast_and_slow_readers(session, served):
    body = session.big_file(size=16 << 20)
    with Connection(served.address()) as fast, Connection(served.address(), receive_buffer=8192) as slow:
        fast.request("/big.bin")
        slow.request("/big.bin")
        assert fast.response().body == body
        assert slow.response().body == body
        assert fast.get("/a.txt").status == 200


def test_many_large_downloads_share_two_workers(session, served):
    body = session.big_file(size=4 << 20)
    results = []

    def download():
        results.append(get(served.address(), "/big.bin").body == body)

    threads = [threading.Thread(target=download) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(harness.LIMIT)
    assert results == [True] * 24


def test_a_client_that_never_finishes_its_header_is_let_go(session, served):
    with Connection(served.address()) as connection:
        connection.send(b"GET / HTTP/1.1\r\nHost: x\r\nX: ")
        start = time.monotonic()
        with contextlib.suppress(ConnectionResetError):
            while connection._more():
                pass
        assert 1.5 < time.monotonic() - start < 2 + 5 * harness.SCALE


def test_an_idle_connection_is_closed_after_the_idle_timeout(session, served):
    with Connection(served.address()) as connection:
        connection.get("/a.txt")
        start = time.monotonic()
        assert connection.at_end()
        assert 1.5 < time.monotonic() - start < 2 + 5 * harness.SCALE


def test_a_file_replaced_while_it_is_served_comes_from_one_version(session, served):
    path = session.site / "version.bin"
    path.write_bytes(b"1" * (8 << 20))
    with Connection(served.address(), receive_buffer=8192) as connection:
        connection.request("/version.bin")
        answer = connection.head()
        other = session.site / "version.new"
        other.write_bytes(b"2" * (8 << 20))
        other.rename(path)
        assert set(connection.body(answer).body) == {ord("1")}
    # A worker that has it in its cache sees the change when cache_ttl is over.
    harness.wait_until(lambda: set(get(served.address(), "/version.bin").body) == {ord("2")}, "the other version")


def test_a_file_cut_short_while_it_is_served_ends_the_connection(session, served):
    path = session.site / "cut.bin"
    path.write_bytes(b"1" * (32 << 20))
    with Connection(served.address(), receive_buffer=8192) as connection:
        connection.request("/cut.bin")
        answer = connection.head()
        os.truncate(path, 1000)
        with pytest.raises(Exception, match="missing|reset"):
            connection.body(answer)
    served.expect(r"warn .*cut\.bin became shorter")
    served.wait(r"warn .*/cut\.bin became shorter while it was sent, so its client was cut")
    assert get(served.address(), "/a.txt").status == 200


def test_pythons_own_client_is_content(session, served):
    host, port = served.address()
    client = http.client.HTTPConnection(host, port, timeout=harness.LIMIT)
    try:
        for target, size in (("/a.txt", 13), ("/", 15), ("/none", None)):
            client.request("GET", target)
            answer = client.getresponse()
            body = answer.read()
            assert size is None or len(body) == size
    finally:
        client.close()


def test_conditional_requests(session, served):
    with Connection(served.address()) as connection:
        first = connection.get("/a.txt")
        etag, date = first.headers["etag"], first.headers["last-modified"]
        for headers, status in (([f"If-None-Match: {etag}"], 304), ([f"If-Modified-Since: {date}"], 304),
                                (['If-None-Match: "other"'], 200), ([f'If-None-Match: "x", W/{etag}'], 304),
                                (['If-None-Match: "other"', f"If-Modified-Since: {date}"], 200),
                                (['If-Match: "other"'], 412), ([f"If-Match: {etag}"], 200)):
            answer = connection.get("/a.txt", headers=headers)
            assert answer.status == status, (headers, answer)
            if status == 304:
                assert answer.headers["etag"] == etag and answer.body == b""
    (session.site / "a.txt").write_text("a changed text!\n")
    changed = harness.wait_until(lambda: (now := get(served.address(), "/a.txt")).body == b"a changed text!\n" and now,
                                 "the changed file, when cache_ttl is over")
    assert changed.headers["etag"] != etag


def test_the_server_header_can_be_left_out_and_the_index_changed(session):
    (session.site / "start.htm").write_text("start\n")
    daemon = session.start(session.pool(http={"server_header": False},
                                        static={"root": session.site, "index": ["none.html", "start.htm"],
                                                "default_type": "text/x-other"}))
    answer = get(daemon.address(), "/")
    assert answer.body == b"start\n" and "server" not in answer.headers
    (session.site / "x.unknownext").write_text("x")
    assert get(daemon.address(), "/x.unknownext").headers["content-type"] == "text/x-other"


def test_an_answer_does_not_wait_for_a_delayed_acknowledgement(session, served):
    """Headers and a body in separate small segments without TCP_NODELAY stall 40 ms (facts.md)."""
    with Connection(served.address()) as connection:
        times = []
        for _ in range(20):
            start = time.monotonic()
            connection.get("/a.txt")
            times.append(time.monotonic() - start)
    assert sorted(times)[10] < 0.03
