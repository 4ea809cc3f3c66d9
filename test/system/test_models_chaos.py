"""Workers killed at random under load, in each concurrency: the only failed requests are those that were inside them.

Counted from both sides, without a race between looking and dying. A victim is frozen (SIGSTOP), looked at, and killed
(SIGKILL) while it is frozen, so that what is seen is what it dies with: the sockets in its table of descriptors, which
sock_diag(7) knows by their client's port. It is as random as a bare SIGKILL, which also ends a process between any two of
its instructions. On the other side one thread drives all clients, without retries, and keeps what became of each connection.
Then:

- each failed request was on a connection that was in the hands of a worker when that was killed, and of the worker that
  had answered on it before; one that was refused, or reset while it waited in the queue, is on nobody's list;
- each connection in the hands of a killed worker is one of the clients', and failed there, or had its whole answer;
- the obituary of each worker counts the requests that the clients had answers for from that pid, and at most those besides
  that failed there; and as many open connections as it had: exactly, but for the one thing that the worker was just at
  when it was frozen (it does, then counts).

It lasts 3 s for each concurrency, with 20 kills a second; PRONGD_CHAOS_SECONDS=30 is the long run.
"""

import collections
import contextlib
import errno
import os
import random
import re
import selectors
import signal
import socket
import threading
import time

import pytest

import harness
from harness import LIMIT, WORKER, wait_until

SECONDS = float(os.environ.get("PRONGD_CHAOS_SECONDS", "3"))
KILLS_PER_SECOND = 20
READY = re.compile(WORKER.pattern + r": ready after")
DICE = 20261123 if os.environ.get("CI") else random.SystemRandom().randrange(1 << 30)
SEED = int(os.environ.get("PRONGD_TEST_SEED", DICE))

# (request line, bytes of body, what the answer's body is; None: the pid). What is not the pid is asked only on a
# connection whose worker is known.
FIRST = [("GET /pid", 0, None), ("POST /pid", 700, None), ("POST /pid", 200_000, None)]
LATER = [*FIRST, ("POST /size", 3_000, b"3000"), ("POST /size", 300_000, b"300000"), ("GET /sleep?ms=3", 0, b"ok"),
         ("GET /burn?ms=1", 0, b"ok"), ("GET /stream?parts=3&size=1000&ms=1", 0, b"p" * 3000)]


class Exchange:
    """One connection of a client, from connect() to its end, and the request that is under way on it."""

    def __init__(self, address, keep):
        self.opened = time.monotonic()
        self.keep = keep
        self.pid = None  # who answers here
        self.answers = 0
        self.failure = None  # why the request under way failed
        self.given_up = False  # closed between two requests
        self.in_hands_of = None  # the killed worker that had it
        self.unsent = b""
        self.received = b""
        self.wanted = None
        self.socket = socket.socket()
        self.socket.connect(address)  # loopback: at once, or the queue is full
        self.socket.setblocking(False)
        self.port = self.socket.getsockname()[1]

    def __repr__(self):
        return f"port {self.port}, pid {self.pid}, {self.answers} answers, {self.failure}"

    def begin(self, request):
        line, size, self.wanted = request
        close = "" if self.keep else "Connection: close\r\n"
        length = f"Content-Length: {size}\r\n" if size or line.startswith("POST") else ""
        self.unsent = f"{line} HTTP/1.1\r\nHost: t\r\n{close}{length}\r\n".encode() + b"b" * size
        self.received = b""

    def body(self):
        """(the whole body, whether the server closes), or None while more is to come."""
        head, end, rest = self.received.partition(b"\r\n\r\n")
        if not end:
            return None
        assert head.startswith(b"HTTP/1.1 200 "), head
        closes = b"\r\nConnection: close" in head
        if length := re.search(rb"\r\nContent-Length: (\d+)", head):
            return (rest, closes) if len(rest) >= int(length[1]) else None
        if not rest.endswith(b"\r\n0\r\n\r\n"):
            return None
        return b"".join(re.findall(rb"p+", rest)), closes


class Clients:
    """All clients, in one thread. Each asks again as soon as it has an answer, until stop()."""

    def __init__(self, address, chance, keep, short):
        self.closed = []  # Exchanges that are over
        self.live = set()
        self.answers = collections.Counter()  # by pid
        self.error = None
        self._address, self._chance, self._kinds = address, chance, [True] * keep + [False] * short
        self._selector = selectors.DefaultSelector()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self):
        """Lets the requests under way have their answers."""
        self._stopping.set()
        self._thread.join(LIMIT)
        assert not self._thread.is_alive(), f"no answer, and no end: {self.live}"

    def _run(self):
        try:
            for keep in self._kinds:
                self._open(keep)
            while self.live:
                for key, events in self._selector.select(1):
                    self._turn(key.data, events)
        except Exception as error:  # the thread must tell whatever it met
            self.error = error

    def _open(self, keep):
        exchange = Exchange(self._address, keep)
        self.live.add(exchange)
        self._selector.register(exchange.socket, selectors.EVENT_READ, exchange)
        self._ask(exchange)

    def _ask(self, exchange):
        exchange.begin(self._chance.choice(FIRST if exchange.pid is None else LATER))
        self._send(exchange)

    def _send(self, exchange):
        try:
            sent = exchange.socket.send(exchange.unsent)
            exchange.unsent = exchange.unsent[sent:]
        except BlockingIOError:
            pass
        except (ConnectionResetError, BrokenPipeError) as error:
            return self._over(exchange, errno.errorcode[error.errno])
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if exchange.unsent else 0)
        self._selector.modify(exchange.socket, events, exchange)

    def _turn(self, exchange, events):
        if events & selectors.EVENT_READ:
            try:
                data = exchange.socket.recv(1 << 18)
            except BlockingIOError:
                return
            except ConnectionResetError:
                return self._over(exchange, "ECONNRESET")
            if not data:
                return self._over(exchange, f"closed after {len(exchange.received)} bytes of the answer")
            exchange.received += data
            if (answer := exchange.body()) is not None:
                return self._answered(exchange, *answer)
        if events & selectors.EVENT_WRITE and exchange.unsent:
            self._send(exchange)

    def _answered(self, exchange, body, closes):
        assert not exchange.unsent, "an answer before the request was sent"
        if exchange.wanted is None:
            assert exchange.pid in (None, int(body)), f"{exchange} answered by {body}"
            exchange.pid = int(body)
        else:
            assert body == exchange.wanted, f"{exchange}: {body[:50]}"
        exchange.answers += 1
        self.answers[exchange.pid] += 1
        if closes or self._stopping.is_set():
            return self._over(exchange, None)
        # A connection that is closed by now was closed between two requests, which is the server's right.
        with contextlib.suppress(BlockingIOError):
            try:
                gone = exchange.socket.recv(1) == b""
            except ConnectionResetError:
                gone = True
            assert gone, "bytes behind the answer"
            exchange.given_up = True
            return self._over(exchange, None)
        return self._ask(exchange)

    def _over(self, exchange, failure):
        exchange.failure = failure
        self._selector.unregister(exchange.socket)
        exchange.socket.close()
        self.live.remove(exchange)
        self.closed.append(exchange)
        if not self._stopping.is_set():
            self._open(exchange.keep)


class Kill:
    def __init__(self, pid, looked, ports, sockets):
        self.pid, self.looked, self.ports, self.sockets = pid, looked, ports, sockets


def sockets_of(pid):
    """How many sockets a process has, the listener, the channel and connections that both sides have ended included."""
    return sum(target.startswith("socket:") for target in harness.descriptors(pid).values())


def freeze_look_and_kill(daemon, pid, port):
    """Ends a worker, and tells what it held."""
    os.kill(pid, signal.SIGSTOP)
    harness.wait_until(lambda: harness.is_frozen(pid), f"worker {pid} frozen")
    kill = Kill(pid, time.monotonic(), harness.tcp_clients_of(pid, port), sockets_of(pid))
    daemon.kill_worker(pid)
    return kill


def kill_at_random(daemon, port, chance):
    """20 a second; whoever is ready by then."""
    kills, live, mark = [], {}, 0
    begin = time.monotonic()
    pause = threading.Event()
    while len(kills) < SECONDS * KILLS_PER_SECOND:
        pause.wait(max(0.002, begin + len(kills) / KILLS_PER_SECOND - time.monotonic()))
        assert time.monotonic() < begin + SECONDS + LIMIT, f"only {len(kills)} kills"
        lines, mark = daemon.log.lines[mark:], daemon.log.mark()
        for line in lines:
            if (found := READY.search(line)) is not None:
                live[int(found["slot"])] = int(found["pid"])
        if not live:
            continue
        slot = chance.choice(sorted(live))
        kills.append(freeze_look_and_kill(daemon, live.pop(slot), port))
    return kills


def match(kills, exchanges):
    """Notes with each exchange which killed worker had it. Ports are used again, but by one connection at a time."""
    by_port = collections.defaultdict(list)
    for exchange in exchanges:
        by_port[exchange.port].append(exchange)
    strangers = []
    for kill in kills:
        for port in kill.ports:
            of_port = [each for each in by_port[port] if each.opened <= kill.looked]
            if not of_port:
                strangers.append((kill.pid, port))
                continue
            assert of_port[-1].in_hands_of is None, f"two workers held {of_port[-1]}"
            of_port[-1].in_hands_of = kill
    return strangers


def obituaries(daemon):
    """{pid: (connections, requests, open connections)}."""
    pattern = re.compile(WORKER.pattern + r": (?:killed|exited) .*?, (?P<connections>\d+) connections?, "
                         r"(?P<requests>\d+) requests?(?:, (?P<open>\d+) connections? open)?")
    return {int(found["pid"]): (int(found["connections"]), int(found["requests"]), int(found["open"] or 0))
            for found in daemon.log.find(pattern)}


@pytest.mark.parametrize("concurrency", ["process", "thread", "event"])
def test_only_requests_inside_killed_workers_fail(session, concurrency):
    print(f"PRONGD_TEST_SEED={SEED}")
    chance = random.Random(SEED)
    workers = 12 if concurrency == "process" else 4
    daemon = session.start_trial(concurrency, workers=workers, **({"threads": 3} if concurrency == "thread" else {}))
    address = daemon.address("trial")
    own_sockets = sockets_of(daemon.workers("trial")[0])
    clients = Clients(address, random.Random(SEED + 1), keep=6, short=4)
    kills = kill_at_random(daemon, address[1], chance)
    clients.stop()
    assert clients.error is None, f"{clients.error!r}"
    killed = {kill.pid for kill in kills}
    for pid in killed:
        daemon.wait(rf"pid={pid}: killed by signal 9 ")
    wait_until(lambda: len(daemon.workers("trial")) == workers, "all places filled")
    daemon.stop()

    strangers = match(kills, clients.closed)
    failed = [each for each in clients.closed if each.failure is not None]
    held = [each for each in clients.closed if each.in_hands_of is not None]
    idle, answered = sum(each.given_up for each in held), sum(not each.given_up and each.failure is None for each in held)
    print(f"{concurrency}: {len(kills)} kills, {sum(clients.answers.values())} answers, {len(failed)} failed requests; in the "
          f"killed workers {len(held)} connections: {len(held) - idle - answered} failed, {idle} idle, {answered} answered")
    assert len(killed) == len(kills)
    assert not strangers, f"held by killed workers, and no client's: {strangers}"
    outside = [each for each in failed if each.in_hands_of is None]
    assert not outside, f"failed, and in no killed worker: {outside}"
    assert not [each for each in failed if each.pid not in (None, each.in_hands_of.pid)], "answered by another worker"
    if concurrency != "process":  # where a client that is idle for long is given up for one that waits
        outside = [each for each in clients.closed if each.given_up and each.in_hands_of is None]
        assert not outside, f"closed between two requests, and in no killed worker: {outside}"
    assert failed, "the test has hit nobody"

    told = obituaries(daemon)
    assert killed <= set(told), "an obituary for each"
    assert set(clients.answers) <= set(told)
    for pid, (connections, requests, still_open) in told.items():
        slack = 1 if pid in killed else 0
        answers, inside = clients.answers[pid], sum(each.in_hands_of.pid == pid for each in failed)
        assert answers - slack <= requests <= answers + inside, \
            f"{pid}: {answers} answers and {inside} that failed, {requests} counted"
        assert connections + slack >= len({id(each) for each in clients.closed if each.pid == pid})
        if pid in killed:
            open_then = next(kill.sockets for kill in kills if kill.pid == pid) - own_sockets
            assert abs(still_open - open_then) <= 1, f"{pid}: {still_open} open in the obituary, {open_then} descriptors"
