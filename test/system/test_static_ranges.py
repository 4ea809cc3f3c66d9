"""Parts of files over HTTP (RFC 9110 section 14): what download managers, video players and attackers ask for."""

import email
import os
import subprocess

import pytest

import harness
from client import Connection, get

SIZE = 300_000


@pytest.fixture
def content(session):
    """A small file, which workers keep in memory, and a large one, which they keep open."""
    body = bytes(os.urandom(1 << 16)) * 5
    (session.site / "large.bin").write_bytes(body[:SIZE])
    (session.site / "small.bin").write_bytes(body[:1000])
    return body[:SIZE]


@pytest.fixture
def served(session, content):
    return session.start(session.pool(workers=1))


def parts_of(answer):
    """[(Content-Range, bytes)] of a multipart/byteranges, read by Python's own MIME parser."""
    text = b"Content-Type: " + answer.headers["content-type"].encode() + b"\r\n\r\n" + answer.body
    message = email.message_from_bytes(text)
    assert message.get_content_type() == "multipart/byteranges" and message.is_multipart()
    return [(part["content-range"], part["content-type"]) for part in message.get_payload()]


@pytest.mark.parametrize("name", ["small.bin", "large.bin"])
@pytest.mark.parametrize("value, first, last", [("0-0", 0, 0), ("0-499", 0, 499), ("500-999", 500, 999),
                                                ("999-", 999, -1), ("-1", -1, -1), ("0-", 0, -1),
                                                ("-99999999999999999999", 0, -1), ("1-99999999999999999999", 1, -1),
                                                ("0-99,50-199", 0, 199)])
def test_one_range(session, served, content, name, value, first, last):
    body = content if name == "large.bin" else content[:1000]
    first, last = first % len(body), last % len(body)
    with Connection(served.address()) as connection:
        answer = connection.get("/" + name, headers=[f"Range: bytes={value}"])
        assert answer.status == 206
        assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(body)}"
        assert answer.headers["content-length"] == str(last - first + 1)
        assert answer.headers["accept-ranges"] == "bytes"
        assert answer.body == body[first:last + 1]
        assert connection.get("/" + name).body == body, "and the connection is in step"


@pytest.mark.parametrize("name", ["small.bin", "large.bin"])
def test_several_ranges(session, served, content, name):
    body = content if name == "large.bin" else content[:1000]
    wanted = [(900, 949), (0, 99), (200, 200), (len(body) - 7, len(body) - 1)]
    value = "900-949, 0-99,200-200,-7"
    with Connection(served.address()) as connection:
        answer = connection.get("/" + name, headers=[f"Range: bytes={value}"])
        assert answer.status == 206 and "content-range" not in answer.headers
        assert [part[0] for part in parts_of(answer)] == [f"bytes {a}-{b}/{len(body)}" for a, b in wanted]
        # The bytes themselves by hand: MIME parsers think of lines.
        rest = answer.body
        for a, b in wanted:
            head, _, rest = rest.partition(b"\r\n\r\n")
            assert f"Content-Range: bytes {a}-{b}/{len(body)}".encode() in head
            assert rest[:b - a + 1] == body[a:b + 1]
            rest = rest[b - a + 1:]
        boundary = answer.headers["content-type"].partition("boundary=")[2]
        assert rest == f"\r\n--{boundary}--\r\n".encode()
        assert connection.get("/" + name).body == body


@pytest.mark.parametrize("value", ["bytes=300000-", "bytes=300000-300001", "bytes=-0", "bytes=99999999999999999999-"])
def test_a_range_behind_the_end_is_416_and_says_how_long_the_file_is(session, served, value):
    with Connection(served.address()) as connection:
        answer = connection.get("/large.bin", headers=[f"Range: {value}"])
        assert answer.status == 416
        assert answer.headers["content-range"] == f"bytes */{SIZE}"
        assert connection.get("/a.txt").status == 200


@pytest.mark.parametrize("value", ["bytes=", "bytes=x", "bytes=2-1", "lines=1-2", "bytes=1", "bytes=1-2x",
                                   "bytes=" + ",".join(f"{i}-{i}" for i in range(0, 400, 2)),
                                   "bytes=" + "0-," * 1000])
def test_a_range_that_is_none_or_absurd_gets_the_whole_file(session, served, content, value):
    answer = get(served.address(), "/large.bin")
    with Connection(served.address()) as connection:
        answer = connection.get("/large.bin", headers=[f"Range: {value}"])
        assert answer.status == 200 and answer.body == content and "content-range" not in answer.headers


def test_the_answer_to_many_ranges_is_not_larger_than_the_file_and_little(session, served, content):
    """What a server sends for one request stays near the size of the file, whatever is asked for."""
    value = ",".join(f"{i}-" for i in range(16))
    answer = get_with(served, "/large.bin", f"Range: bytes={value}")
    assert answer.status == 206 and len(answer.body) <= SIZE + 200


def get_with(daemon, target, *headers, method="GET"):
    with Connection(daemon.address()) as connection:
        return connection.get(target, headers=list(headers), method=method)


def test_if_range_gives_a_part_of_the_same_file_only(session, served):
    whole = get(served.address(), "/large.bin")
    etag, date = whole.headers["etag"], whole.headers["last-modified"]
    for condition, status in ((etag, 206), (date, 206), ('"other"', 200), ("W/" + etag, 200), ("nonsense", 200),
                              ("Sun, 06 Nov 1994 08:49:37 GMT", 200)):
        answer = get_with(served, "/large.bin", "Range: bytes=0-9", f"If-Range: {condition}")
        assert answer.status == status, condition
    assert get_with(served, "/large.bin", "Range: bytes=0-9", f"If-None-Match: {etag}").status == 304
    assert get_with(served, "/large.bin", "Range: bytes=999999-", 'If-Match: "other"').status == 412


def test_head_has_no_ranges(session, served):
    answer = get_with(served, "/large.bin", "Range: bytes=0-9", method="HEAD")
    assert answer.status == 200 and answer.headers["content-length"] == str(SIZE)


def test_a_huge_sparse_file(session, served):
    path, size = session.site / "huge.bin", 4 << 40
    try:
        with open(path, "wb") as file:
            file.truncate(size)
            file.seek(size - 4)
            file.write(b"tail")
    except OSError as error:
        pytest.skip(f"no files of {size} bytes here: {error}")
    with Connection(served.address()) as connection:
        assert connection.get("/huge.bin", method="HEAD").headers["content-length"] == str(size)
        answer = connection.get("/huge.bin", headers=["Range: bytes=-8"])
        assert answer.body == b"\0\0\0\0tail"
        assert answer.headers["content-range"] == f"bytes {size - 8}-{size - 1}/{size}"
        answer = connection.get("/huge.bin", headers=[f"Range: bytes=0-1,{size - 4}-"])
        assert b"tail" in answer.body and len(parts_of(answer)) == 2
        assert connection.get("/huge.bin", headers=[f"Range: bytes={size}-"]).status == 416
    # A client that asks for all of it and goes away costs nothing.
    with Connection(served.address(), receive_buffer=8192) as connection:
        connection.request("/huge.bin")
        assert connection.head().headers["content-length"] == str(size)
    assert get(served.address(), "/a.txt").status == 200


def test_a_slow_reader_of_several_large_parts_holds_nobody_up(session, served):
    body = session.big_file(size=16 << 20)
    half = len(body) // 2
    with Connection(served.address(), receive_buffer=8192) as slow, Connection(served.address()) as fast:
        slow.request("/big.bin", headers=[f"Range: bytes=0-{half - 10},{half}-"])
        for _ in range(20):
            assert fast.get("/a.txt").status == 200
        answer = slow.response()
        assert answer.status == 206 and body[:half - 9] in answer.body and body[half:] in answer.body


def test_pipelined_ranges_are_answered_in_order(session, served, content):
    with Connection(served.address()) as connection:
        connection.send(b"".join(b"GET /%s HTTP/1.1\r\nHost: x\r\nRange: bytes=%d-%d\r\n\r\n" %
                                 (name, at, at + 9) for at in range(0, 500, 10) for name in (b"small.bin", b"large.bin")))
        for at in range(0, 500, 10):
            for _ in range(2):
                assert connection.response().body == content[at:at + 10]


def test_curl_resumes_a_download(session, served, content):
    host, port = served.address()
    target = session.folder / "download"
    target.write_bytes(content[:1234])
    subprocess.run(["curl", "-sS", "--fail", "-C", "-", "-o", target, f"http://{host}:{port}/large.bin"], check=True,
                   timeout=harness.LIMIT)
    assert target.read_bytes() == content
    part = subprocess.run(["curl", "-sS", "--fail", "-r", "10-19", f"http://{host}:{port}/large.bin"], check=True,
                          timeout=harness.LIMIT, stdout=subprocess.PIPE).stdout
    assert part == content[10:20]


def test_a_file_that_is_cut_short_while_a_part_of_it_is_sent_ends_the_connection(session, served):
    path = session.site / "cut.bin"
    path.write_bytes(b"1" * (32 << 20))
    with Connection(served.address(), receive_buffer=8192) as connection:
        connection.request("/cut.bin", headers=["Range: bytes=1000000-1999999,3000000-"])
        answer = connection.head()
        assert answer.status == 206
        os.truncate(path, 1_500_000)
        with pytest.raises(Exception, match="missing|reset"):
            connection.body(answer)
    served.expect(r"warn .*cut\.bin became shorter")
    served.wait(r"warn .*/cut\.bin became shorter while it was sent, so its client was cut")
    assert get(served.address(), "/a.txt").status == 200
