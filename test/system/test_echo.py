"""Connections without HTTP: the echo service in the three models, over TCP and UNIX sockets."""

import contextlib
import os
import selectors
import signal
import socket
import threading
import time

import pytest

import harness
from client import Connection
from harness import LIMIT, SCALE, descriptors, holder_of, resident_kib, table, wait_until

MODELS = ["event", "thread", "process"]
MANY_AT_ONCE = ["event", "thread"]
FAMILIES = ["tcp", "unix"]
MEGABYTE = 1 << 20


def echo_pool(session, concurrency, family="tcp", **more):
    """A pool `echo`; its UNIX socket is in the test's folder."""
    listen = "127.0.0.1:0" if family == "tcp" else f"unix:{session.folder}/echo.sock"
    if concurrency == "thread":
        more.setdefault("threads", 3)
    return table("pool.echo", listen=[listen], concurrency=concurrency, workers=more.pop("workers", 2), echo={}, **more)


def address_of(session, daemon, family="tcp"):
    return daemon.address("echo") if family == "tcp" else f"{session.folder}/echo.sock"


class Client:
    """A raw connection."""

    def __init__(self, address, **more):
        self._connection = Connection(address, **more)
        self.socket = self._connection.socket

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._connection.close()

    def send(self, data):
        self.socket.sendall(data)

    def receive(self, size):
        data = b""
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            assert part, f"the connection ended after {len(data)} of {size} bytes"
            data += part
        return data

    def ask(self, data):
        self.send(data)
        answer = self.receive(len(data))
        assert answer == data
        return answer

    def rest(self):
        """Everything up to the end of the stream."""
        parts = []
        while part := self.socket.recv(1 << 16):
            parts.append(part)
        return b"".join(parts)

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)


def worker_of(daemon, client):
    """Which worker holds the connection."""
    return wait_until(lambda: holder_of(client, daemon.workers("echo").values()), "a worker to hold the connection")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("concurrency", MODELS)
def test_100_megabytes_come_back_while_the_client_reads_slowly_and_others_are_served(session, concurrency, family):
    daemon = session.start(echo_pool(session, concurrency, family))
    address = address_of(session, daemon, family)
    size = 100 * MEGABYTE
    block = os.urandom(MEGABYTE)
    with Client(address) as slow:

        def send():
            for _ in range(size // MEGABYTE):
                slow.send(block)
            slow.half_close()

        sender = threading.Thread(target=send)
        sender.start()
        received, served = 0, 0
        while part := slow.socket.recv(MEGABYTE):
            at = received % MEGABYTE
            assert (block[at:] + block)[:len(part)] == part
            received += len(part)
            if received // (10 * MEGABYTE) > served:  # a tenth: the reader stands still while another one is served
                served += 1
                with Client(address) as other:
                    for _ in range(10):
                        other.ask(b"between")
        sender.join(LIMIT)
        assert received == size and served == 10


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("concurrency", MODELS)
def test_a_half_closed_client_gets_the_rest_and_then_the_end(session, concurrency, family):
    daemon = session.start(echo_pool(session, concurrency, family))
    address = address_of(session, daemon, family)
    for size in (0, 1, 100_000):
        data = os.urandom(size)
        with Client(address) as client:
            client.send(data)
            client.half_close()
            assert client.rest() == data


@pytest.mark.parametrize("concurrency", MODELS)
def test_a_client_that_sends_and_never_reads_is_stopped_and_then_cut(session, concurrency):
    limits = {"send_timeout": f"{int(700 * SCALE)}ms", "buffer": "16KiB"}
    daemon = session.start(echo_pool(session, concurrency, workers=1, stream=limits))
    pid = daemon.workers("echo")[0]
    before = resident_kib(pid)
    with Client(daemon.address("echo"), receive_buffer=4096) as greedy:
        greedy.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        sent = 0
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            while True:
                sent += greedy.socket.send(bytes(65536))
        assert sent < 20 * MEGABYTE  # what the kernel's buffers take
    assert resident_kib(pid) - before < 2_000 * (10 if harness.is_sanitized() else 1)
    with Client(daemon.address("echo")) as client:
        client.ask(b"still there")


@pytest.mark.parametrize("concurrency", MANY_AT_ONCE)
def test_a_thousand_connections_at_once(session, concurrency):
    daemon = session.start(echo_pool(session, concurrency))
    at_rest = {pid: len(descriptors(pid)) for pid in daemon.workers("echo").values()}
    address = daemon.address("echo")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(address)) for _ in range(1_000)]
        for round_number in range(3):
            for number, client in enumerate(clients):
                client.send(b"%d of %d;" % (round_number, number))
            for number, client in enumerate(clients):
                expected = b"%d of %d;" % (round_number, number)
                assert client.receive(len(expected)) == expected
        held = sum(len(descriptors(pid)) - at_rest[pid] for pid in at_rest)
        assert held == 1_000
    wait_until(lambda: {pid: len(descriptors(pid)) for pid in at_rest} == at_rest, "all connections closed")


@pytest.mark.parametrize("family", FAMILIES)
def test_in_process_a_worker_holds_one_connection_and_the_others_wait_for_a_free_one(session, family):
    daemon = session.start(echo_pool(session, "process", family, workers=2))
    address = address_of(session, daemon, family)
    with contextlib.ExitStack() as stack:
        holders = [stack.enter_context(Client(address)) for _ in range(2)]
        for holder in holders:
            holder.ask(b"mine")
        if family == "tcp":
            assert len({worker_of(daemon, holder) for holder in holders}) == 2
        waiting = [stack.enter_context(Client(address)) for _ in range(4)]
        for client in waiting:
            client.send(b"waits")
        # Nobody gives an idle stream up for those who wait: it is served on.
        with selectors.DefaultSelector() as selector:
            for client in waiting:
                selector.register(client.socket, selectors.EVENT_READ)
            for _ in range(20):
                assert holders[0].ask(b"still mine") and holders[1].ask(b"and mine")
                assert not selector.select(timeout=0.005)
        holders[0].half_close()
        assert holders[0].rest() == b""
        for client in waiting:  # by the sibling that is free, one after the other, while the other one holds on
            assert client.receive(5) == b"waits"
            client.half_close()
            assert client.rest() == b""
        holders[1].ask(b"the end")


@pytest.mark.parametrize("concurrency", MODELS)
def test_a_killed_worker_takes_its_own_connections_with_it_and_no_other(session, concurrency):
    daemon = session.start(echo_pool(session, concurrency))
    address = daemon.address("echo")
    with contextlib.ExitStack() as stack:
        clients = {}
        while len(clients) < 2:  # one of each worker
            client = stack.enter_context(Client(address))
            client.ask(b"x")
            clients.setdefault(worker_of(daemon, client), client)
        dead, alive = clients
        daemon.kill_worker(dead)
        with pytest.raises((ConnectionResetError, AssertionError)):
            clients[dead].ask(b"nobody answers")
        clients[alive].ask(b"nothing has happened")
        with Client(address) as fresh:
            fresh.ask(b"new")
    wait_until(lambda: len(daemon.workers("echo")) == 2, "the dead worker's successor")


class Talkers:
    """Clients that talk all the time, each in a thread: over connections that stay, and over a new one each time."""

    def __init__(self, address, stay, short):
        self.exchanges, self.failures = 0, []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(address, kind))
                         for kind in ["stays"] * stay + ["short"] * short]
        for thread in self._threads:
            thread.start()

    def _run(self, address, kind):
        try:
            while not self._stop.is_set():
                with Client(address) as client:
                    while not self._stop.is_set():
                        client.ask(os.urandom(200))
                        self.exchanges += 1
                        if kind == "short":
                            client.half_close()
                            assert client.rest() == b""
                            break
        except Exception as failure:  # pylint: disable=broad-exception-caught
            self.failures.append(f"{kind}: {failure!r}")

    def wait_for(self, more):
        wanted = self.exchanges + more
        wait_until(lambda: self.exchanges >= wanted or self.failures, f"{more} exchanges more")

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(LIMIT)


@pytest.mark.parametrize("concurrency", MODELS)
def test_no_connection_is_cut_by_20_reloads_before_its_grace_is_over(session, concurrency):
    pool = echo_pool(session, concurrency, workers=3 if concurrency == "process" else 2, graceful_timeout="10m")
    daemon = session.start(pool)
    # In `process` a connection that stays takes a worker of every generation that it began in.
    talkers = Talkers(daemon.address("echo"), stay=1 if concurrency == "process" else 4, short=2)
    try:
        for _ in range(20):
            talkers.wait_for(20)
            daemon.reload()
        talkers.wait_for(20)
    finally:
        talkers.stop()
    assert talkers.failures == []
    wait_until(lambda: len(daemon.children()) == (3 if concurrency == "process" else 2), "the old workers' end")


@pytest.mark.parametrize("concurrency", MODELS)
def test_a_stop_ends_silent_streams_after_the_idle_grace(session, concurrency):
    limits = {"idle_grace": "600ms"}
    daemon = session.start(echo_pool(session, concurrency, stream=limits))
    with Client(daemon.address("echo")) as client:
        client.ask(b"before")
        start = time.monotonic()
        daemon.send(signal.SIGTERM)
        daemon.wait("graceful stop asked by SIGTERM")
        client.ask(b"while it drains")
        assert client.rest() == b""
        assert 0.55 < time.monotonic() - start < 5 * SCALE
        assert daemon.wait_exit() == 0


@pytest.mark.parametrize("concurrency", MODELS)
def test_a_stop_lets_a_stream_that_is_under_way_go_on_up_to_the_graceful_timeout(session, concurrency):
    grace = 0.5 * SCALE
    limits = {"idle_grace": f"{int(grace * 1000)}ms"}
    daemon = session.start(echo_pool(session, concurrency, stream=limits, graceful_timeout="10m"))
    with Client(daemon.address("echo")) as client, Client(daemon.address("echo")) as silent:
        client.ask(b"before")
        silent.ask(b"before")
        daemon.send(signal.SIGTERM)
        daemon.wait("graceful stop asked by SIGTERM")
        start = time.monotonic()
        while time.monotonic() - start < 4 * grace:  # many exchanges, and between them nothing is under way
            client.ask(b"x" * 1_000)
        assert silent.rest() == b""
        start = time.monotonic()
        assert client.rest() == b""
        assert time.monotonic() - start > 0.9 * grace
    assert daemon.wait_exit() == 0


def test_at_the_end_of_the_grace_a_stream_is_cut_however_busy_it_is(session):
    daemon = session.start(echo_pool(session, "event", workers=1, graceful_timeout="500ms"))
    daemon.expect("warn +echo/worker.*the grace is over: 1 connections cut in the middle of a stream")
    with Client(daemon.address("echo")) as client:
        client.ask(b"before")
        daemon.send(signal.SIGTERM)
        with pytest.raises((ConnectionResetError, BrokenPipeError, AssertionError)):
            while True:
                client.ask(bytes(100_000))
    assert daemon.wait_exit() == 0


@pytest.mark.parametrize("concurrency", MODELS)
def test_a_silent_stream_ends_after_the_idle_timeout_and_one_that_talks_does_not(session, concurrency):
    timeout = 0.4 * SCALE
    daemon = session.start(echo_pool(session, concurrency, stream={"idle_timeout": f"{int(timeout * 1000)}ms"}))
    with Client(daemon.address("echo")) as client:
        start = time.monotonic()
        while time.monotonic() - start < 3 * timeout:
            client.ask(b"x")
            with selectors.DefaultSelector() as selector:
                selector.register(client.socket, selectors.EVENT_READ)
                assert not selector.select(timeout=timeout / 8)
        start = time.monotonic()
        assert client.rest() == b""
        assert 0.7 * timeout < time.monotonic() - start < 20 * timeout


@pytest.mark.parametrize("concurrency", MODELS)
def test_nothing_is_left_of_clients_that_vanish(session, concurrency):
    daemon = session.start(echo_pool(session, concurrency), environment=harness.level_memory())
    address = daemon.address("echo")
    pids = list(daemon.workers("echo").values())

    def vanish(times):
        for number in range(times):
            with Client(address) as client:
                client.send(os.urandom(50_000 if number % 3 == 0 else 10))
                if number % 2 == 0:
                    client.receive(1)
                # With a reset, in the middle of it all.
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    at_rest = {pid: len(descriptors(pid)) for pid in pids}
    vanish(1_000 if harness.is_sanitized() else 100)  # the sanitizer's own tables grow for longer
    # What leaks grows with each thousand; what threads and allocators keep for the next time does not.
    growth = []
    for _ in range(4):
        before = [resident_kib(pid) for pid in pids]
        vanish(1_000)
        wait_until(lambda: {pid: len(descriptors(pid)) for pid in pids} == at_rest, "all connections closed")
        growth.append(max(resident_kib(pid) - old for pid, old in zip(pids, before)))
        if growth[-1] < 1_000 * (5 if harness.is_sanitized() else 1):
            break
    else:
        pytest.fail(f"grows by more than a KiB for each connection: {growth} KiB")
    with Client(address) as client:
        client.ask(b"still there")


# ---- with an application that misbehaves (test/trial/worker_main.cpp)


@pytest.mark.parametrize("concurrency", MODELS)
def test_an_application_that_throws_loses_that_connection_and_no_other(session, concurrency):
    daemon = session.start(echo_pool(session, concurrency), program=harness.TRIAL)
    daemon.expect("error echo/worker.*: a stream failed: asked for")
    address = daemon.address("echo")
    with Client(address) as other, Client(address) as client:
        other.ask(b"before")
        client.send(b"throw")
        with pytest.raises(ConnectionResetError):
            client.rest()
        other.ask(b"after")
    daemon.wait("a stream failed: asked for")


@pytest.mark.parametrize("concurrency", ["thread", "process"])
def test_a_stuck_stream_is_cut_and_its_worker_replaced_while_others_go_on(session, concurrency):
    timeout = harness.duration(400 * SCALE)
    more = {"request_timeout": timeout, "workers": 1 if concurrency == "thread" else 2}
    daemon = session.start(echo_pool(session, concurrency, **more), program=harness.TRIAL)
    daemon.expect(f"an event of a stream overran request_timeout = {timeout}; its thread is lost")
    address = daemon.address("echo")
    with Client(address) as other, Client(address) as stuck:
        other.ask(b"before")
        stuck.ask(b"well so far")
        lost = worker_of(daemon, stuck)
        stuck.send(b"hang")
        with pytest.raises(ConnectionResetError):
            stuck.rest()
        other.ask(b"on another thread of the same worker, or in another worker")
        with Client(address) as fresh:
            fresh.ask(b"by the one that takes its place")
            assert worker_of(daemon, fresh) != lost
    daemon.wait(rf"pid={lost}: exited with status 0")
    wait_until(lambda: len(daemon.workers("echo")) == more["workers"], "the successor")


def test_a_stream_that_blocks_the_loop_costs_its_worker_and_nobody_else(session):
    timeout = harness.duration(500 * SCALE)
    daemon = session.start(echo_pool(session, "event", request_timeout=timeout), program=harness.TRIAL)
    said = rf"killed by the master: the loop was in an event of a stream for [\d.]+m?s, request_timeout = {timeout}"
    daemon.expect(said)
    with Client(daemon.address("echo")) as stuck:
        stuck.ask(b"well so far")
        lost = worker_of(daemon, stuck)
        stuck.send(b"hang")
        with pytest.raises(ConnectionResetError):
            if stuck.rest() == b"":
                raise ConnectionResetError
    daemon.wait(rf"pid={lost}: killed by signal 6 .*; {said}")
    wait_until(lambda: len(daemon.workers("echo")) == 2, "the successor")


@pytest.mark.parametrize("concurrency", MODELS)
def test_a_crash_in_a_stream_is_the_end_of_its_worker_alone(session, concurrency):
    daemon = session.start(echo_pool(session, concurrency), program=harness.TRIAL)
    daemon.expect("killed by signal 11")
    address = daemon.address("echo")
    with Client(address) as client:
        client.send(b"crash")
        with pytest.raises(ConnectionResetError):
            if client.rest() == b"":
                raise ConnectionResetError
        with Client(address) as fresh:
            fresh.ask(b"served")
    daemon.wait("killed by signal 11")
    wait_until(lambda: len(daemon.workers("echo")) == 2, "the successor")


@pytest.mark.parametrize("concurrency", MODELS)
def test_what_an_application_has_to_say_waits_for_a_slow_client_outside_the_memory(session, concurrency):
    daemon = session.start(echo_pool(session, concurrency, workers=1), program=harness.TRIAL)
    pid = daemon.workers("echo")[0]
    before = resident_kib(pid)
    with Client(daemon.address("echo"), receive_buffer=4096) as client:
        client.send(b"flood")
        received = client.receive(100_000)
        assert resident_kib(pid) - before < 2_000 * (10 if harness.is_sanitized() else 1)
        received += client.receive(10_000_000 - 100_000)
        assert received == b"f" * 10_000_000
        client.ask(b"and goes on")


def test_a_stream_is_accepted_before_its_client_says_anything(session):
    """With TCP_DEFER_ACCEPT a protocol in which the server speaks first would wait for a second."""
    daemon = session.start(echo_pool(session, "event", workers=1))
    with Client(daemon.address("echo")) as client:
        start = time.monotonic()
        assert worker_of(daemon, client) == daemon.workers("echo")[0]
        assert time.monotonic() - start < 0.8 * SCALE


def test_keys_of_http_are_refused_beside_echo(session):
    path = session.config(echo_pool(session, "event", http={"idle_timeout": "1s"}))
    done = session.run("--check", "--config", path)
    assert done.returncode == 2 and "pool.echo.http has no meaning here: the pool speaks no HTTP" in done.stderr
