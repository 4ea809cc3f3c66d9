"""What one client may cost the others: times, rates, sizes, and what is left of a client that has vanished."""

import os
import random
import socket
import threading
from pathlib import Path

import pytest

import harness
from client import Connection, Cut, get
from harness import wait_until
from limits import is_sanitized


def respond(daemon_pool, **http):
    """A pool of one worker that answers everything with ok."""
    return harness.table("pool.files", listen=["127.0.0.1:0"], workers=1, respond={"body": "ok"}, http=http or
                         {"server_header": True}, **daemon_pool)


def end_of(connection):
    """What comes until the server ends the connection."""
    data = b""
    while part := connection.socket.recv(65536):
        data += part
    return data


def test_a_head_that_does_not_end_is_408_and_others_are_served_meanwhile(session):
    daemon = session.start(respond({}, header_timeout="300ms"))
    with Connection(daemon.address()) as slow:
        slow.send(b"GET / HTTP/1.1\r\nHo")
        assert get(daemon.address()).status == 200
        assert end_of(slow).startswith(b"HTTP/1.1 408 ")


def test_each_of_many_pipelined_heads_has_the_whole_time(session):
    """Each piece ends one head and begins the next, so that the server waits for the rest of a head all the time."""
    daemon = session.start(respond({}, header_timeout="1s"))
    head = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
    with Connection(daemon.address()) as steady:
        steady.send(head[:5])
        pause = threading.Event()
        for _ in range(60):
            pause.wait(0.03)  # the pace of the client is what is tested
            steady.send(head[5:] + head[:5])
            assert steady.response().status == 200


def test_a_body_slower_than_its_rate_is_408(session):
    daemon = session.start(respond({}, body_timeout="400ms", min_body_rate="10kB"))
    with Connection(daemon.address()) as slow:
        slow.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100)
        assert end_of(slow).startswith(b"HTTP/1.1 408 ")


def test_a_body_that_keeps_its_rate_may_take_many_rounds(session):
    daemon = session.start(respond({}, body_timeout="600ms", min_body_rate="2B"))
    with Connection(daemon.address()) as slow:
        slow.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 40\r\n\r\n")
        pause = threading.Event()
        for _ in range(40):
            pause.wait(0.05)  # the pace of the client is what is tested: some rounds, with room for a busy machine
            slow.send(b"x")
        assert slow.response().status == 200


def large_file(session, size=40 << 20):
    with (session.site / "large").open("wb") as file:
        file.truncate(size)
    return "/large"


def test_a_client_that_takes_nothing_is_cut(session):
    target = large_file(session)
    daemon = session.start(session.pool(workers=1, http={"send_timeout": "300ms"}))
    worker = daemon.workers()[0]

    def sockets():
        return len([found for found in harness.descriptors(worker).values() if found.startswith("socket:")])

    before = sockets()
    with Connection(daemon.address(), receive_buffer=4096) as stalled:
        stalled.request(target)
        wait_until(lambda: sockets() > before, "the connection in the worker")
        wait_until(lambda: sockets() == before, "the end of the connection")
        with pytest.raises((Cut, ConnectionError)):
            stalled.response("GET")
    assert get(daemon.address()).status == 200


def test_a_slow_client_that_goes_on_taking_is_not_cut(session):
    """The kernel's buffers hold many rounds' worth: what the client takes of them has to count."""
    target = large_file(session)
    daemon = session.start(session.pool(workers=1, http={"send_timeout": "700ms", "min_send_rate": "1kB"}))
    with Connection(daemon.address(), receive_buffer=65536) as slow:
        slow.request(target)
        pause = threading.Event()
        taken = 0
        for _ in range(60):
            pause.wait(0.05)  # the pace of the client is what is tested
            taken += len(slow.socket.recv(16384))
        assert taken > 0
        while taken < 40 << 20:
            part = slow.socket.recv(1 << 20)
            assert part, f"cut after {taken} bytes"
            taken += len(part)


def test_the_last_request_of_a_connection_says_so(session):
    daemon = session.start(respond({}, keepalive_requests=3))
    with Connection(daemon.address()) as connection:
        closes = []
        for _ in range(3):
            connection.request()
            closes.append(connection.response().closes)
        assert closes == [False, False, True]
        assert connection.socket.recv(1) == b""


def test_an_idle_connection_ends_after_its_time(session):
    daemon = session.start(respond({}, idle_timeout="200ms"))
    with Connection(daemon.address()) as connection:
        connection.request()
        assert connection.response().status == 200
        assert connection.socket.recv(1) == b""


def test_empty_lines_do_not_keep_an_idle_connection(session):
    daemon = session.start(respond({}, idle_timeout="300ms"))
    with Connection(daemon.address()) as connection:
        connection.request()
        assert connection.response().status == 200
        connection.socket.settimeout(0.05)  # the pace of the client is what is tested
        for _ in range(100):
            try:
                connection.send(b"\r\n")
                assert connection.socket.recv(1) == b""
            except TimeoutError:
                continue
            except ConnectionError:
                pass
            return
    pytest.fail("the connection lives on")


@pytest.mark.parametrize("request_text, status", [
    (b"GET /" + b"x" * 300 + b" HTTP/1.1\r\nHost: h\r\n\r\n", 414),
    (b"GET / HTTP/1.1\r\nHost: h\r\nA: " + b"x" * 300 + b"\r\n\r\n", 431),
    (b"GET / HTTP/1.1\r\nHost: h\r\n" + b"A: x\r\n" * 20 + b"\r\n", 431),
    (b"GET / HTTP/1.1\r\nHost: h\r\n" + b"A: " + b"x" * 180 + b"\r\n" + (b"B: " + b"x" * 180 + b"\r\n") * 9, 431),
    (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n", 413),
    (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n", 413),
    (b"GET / HTTP/1.1\r\nHost: h\r\nA_B: c\r\n\r\n", 400),
], ids=["line", "header", "headers", "head", "length", "chunks", "underscore"])
def test_each_limit_has_its_status_and_ends_the_connection(session, request_text, status):
    daemon = session.start(
        respond({}, max_request_line="256B", max_header_line="256B", max_header="1KiB", max_headers=12,
                max_body="1000B", underscore_headers="refuse"))
    with Connection(daemon.address()) as connection:
        connection.send(request_text)
        answer = end_of(connection)
        assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer
        assert b"\r\nConnection: close\r\n" in answer


def worker_memory(pid):
    """Anonymous resident memory, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise LookupError("no RssAnon")


@pytest.mark.skipif(is_sanitized(), reason="a sanitizer's memory says nothing")
@pytest.mark.parametrize("pipelined", [1, 150])
def test_an_idle_connection_costs_at_most_two_kibibytes_of_user_space(session, pipelined):
    number = 4000 if pipelined == 1 else 500
    access_log = {} if pipelined == 1 else {"access_log": {"path": str(session.folder / "access.log")}}
    daemon = session.start(respond({"max_connections": number + 100, **access_log}))
    worker = daemon.workers()[0]
    address = daemon.address()

    def idle_connection():
        connection = Connection(address)
        if pipelined == 1:
            connection.request(headers=["User-Agent: " + "x" * 300, "Cookie: " + "y" * 500])
        else:
            connection.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n" * pipelined)
        for _ in range(pipelined):
            assert connection.response().status == 200
        return connection

    idle = [idle_connection() for _ in range(100)]  # what is allocated once
    before = worker_memory(worker)
    idle += [idle_connection() for _ in range(number)]
    each = (worker_memory(worker) - before) / number
    print(f"{each:.0f} bytes of user space for an idle connection")
    assert each <= 2048, f"{each:.0f} bytes for an idle connection"
    for connection in idle:
        connection.close()


def vanish(address, request_text, generator, how):
    """A client that sends a part of its request, perhaps takes a part of the answer, and is gone."""
    with socket.create_connection(address) as client:
        client.sendall(request_text[:generator.randrange(len(request_text) + 1)])
        if how == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        elif how == "half":
            client.shutdown(socket.SHUT_WR)
        if generator.random() < 0.5:
            client.settimeout(0.001)
            try:
                client.recv(generator.randrange(1, 5000))
            except OSError:
                pass


@pytest.mark.parametrize("app", ["respond", "static"])
def test_clients_that_vanish_at_any_byte_leave_nothing_behind(session, app):
    """PRONGD_VANISHING scales it: the issue's figure is 100,000 (see docs/performance.md)."""
    number = int(os.environ.get("PRONGD_VANISHING", "1500"))
    (session.site / "page").write_bytes(b"p" * 300_000)
    config = respond({}) if app == "respond" else session.pool(workers=1)
    daemon = session.start(config)
    worker = daemon.workers()[0]
    generator = random.Random(3)
    requests = [
        b"GET /page HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /page HTTP/1.1\r\nHost: h\r\n\r\nGET /page HTTP/1.1\r\nHost: h\r\n\r\n",
        b"POST /page HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000,
        b"POST /page HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n",
        b"BROKEN\r\n\r\n",
    ]

    def vanish_some(count):
        for _ in range(count):
            vanish(daemon.address(), generator.choice(requests), generator, generator.choice(["close", "reset", "half"]))

    def at_rest():
        return len([target for target in harness.descriptors(worker).values() if target.startswith("socket:")])

    vanish_some(300)
    assert get(daemon.address()).status == 200
    rest = wait_until(lambda: at_rest() if at_rest() <= 3 else None, lambda: f"closed connections: {at_rest()}")
    memory = worker_memory(worker)
    vanish_some(number)
    wait_until(lambda: at_rest() <= rest, lambda: f"closed connections: {at_rest()} against {rest}")
    assert get(daemon.address()).status == 200
    assert daemon.workers()[0] == worker
    if not is_sanitized():
        assert worker_memory(worker) - memory < 256 * 1024
