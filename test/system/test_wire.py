"""The corpus of raw requests over TCP: the statuses, how many answers there are, and who may go on, must be as written
whether the bytes come whole, one by one, or in two pieces."""

import errno
import select
import socket
import time
from dataclasses import dataclass

import pytest

import corpus
import harness
from client import Connection
from limits import LIMIT, is_sanitized

PROBE = b"GET /probe HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n"
BATCH = 250  # connections at once: the harness must not run into its own limit of descriptors
LONG = 1000  # bytes; of longer entries only some positions are tried
SAMPLES = 40


@dataclass
class Talk:
    """One connection on which an entry is sent in pieces, and what came back."""
    entry: corpus.Entry
    address: tuple
    pieces: list
    socket: object = None
    said: bytes = b""
    reset: bool = False
    broken: bool = False  # it takes no more bytes

    def open(self):
        self.socket = Connection(self.address).socket  # TCP_NODELAY
        self.socket.setblocking(False)

    def send(self, number):
        if self.broken or number >= len(self.pieces):
            return
        try:
            sent = self.socket.send(self.pieces[number])
            assert sent == len(self.pieces[number]), "the socket's buffer is full"
        except (BrokenPipeError, ConnectionResetError):
            self.broken = True

    def end_input(self):
        """Behind what is not whole nothing more comes."""
        if self.entry.end == "waiting" and not self.broken:
            try:
                self.socket.shutdown(socket.SHUT_WR)
            except OSError as error:
                assert error.errno == errno.ENOTCONN, error

    def read(self):
        """True at the end of the connection."""
        try:
            data = self.socket.recv(65536)
        except BlockingIOError:
            return False
        except ConnectionResetError:
            self.reset = True
            return True
        self.said += data
        return not data

    def close(self):
        # Without TIME_WAIT: there are more connections than ports.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()


def send_all(talks):
    """Sends the first piece of each, then the second of each, and so on.

    In between, a request on another connection is waited for: the pool's one worker takes what is ready in its order, so
    that it has read each piece before the next one is sent.
    """
    for talk in talks:
        talk.open()
        talk.send(0)
    with Connection(talks[0].address) as turn:
        for number in range(1, max(len(talk.pieces) for talk in talks)):
            assert turn.get("/turn").status == 200
            for talk in talks:
                talk.send(number)
        turn.get("/turn")
    for talk in talks:
        talk.end_input()


def read_all(talks):
    """Reads each to its end, which all have."""
    poll = select.epoll()
    waiting = {talk.socket.fileno(): talk for talk in talks}
    for descriptor in waiting:
        poll.register(descriptor, select.EPOLLIN)
    deadline = time.monotonic() + LIMIT
    while waiting and time.monotonic() < deadline:
        for descriptor, _ in poll.poll(0.1):
            if waiting[descriptor].read():
                poll.unregister(descriptor)
                del waiting[descriptor]
    poll.close()
    return list(waiting.values())


def answers_in(said, methods):
    """(status, Connection) of each answer; `methods` says which have no body. Raises ValueError when it is no stream of
    answers."""
    found = []
    while said:
        head, end, said = said.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        if not end or not lines[0].startswith("HTTP/1.1 "):
            raise ValueError(f"no answer: {head[:80]!r}")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        is_head = len(found) < len(methods) and methods[len(found)] == "HEAD"
        length = 0 if is_head else int(fields["content-length"])
        if len(said) < length:
            raise ValueError("a body that is too short")
        said = said[length:]
        found.append((int(lines[0].split(" ")[1]), fields.get("connection", "")))
    return found


def complaint(talk):
    """What is not as the entry says, or None."""
    entry = talk.entry
    wanted = [answer.status for answer in entry.answers] + [200] * (entry.end == "open")
    try:
        found = answers_in(talk.said, [answer.method for answer in entry.answers])
    except (ValueError, KeyError) as error:
        return f"{error!r} in {talk.said!r}"
    statuses = [status for status, _ in found]
    if statuses != wanted:
        return f"answers {statuses}, not {wanted}"
    for answer, (_, connection) in zip(entry.answers, found):
        if (answer.refused and connection != "close") or answer.connection not in (None, connection):
            return f"Connection: {connection} for {answer}"
    # An answer that refuses must reach the client whatever it has sent: no reset may overtake it.
    if talk.reset and (entry.refused or entry.end != "close"):
        return "the connection was reset"
    return None


def hold(talks):
    """Runs all, and fails with the first complaints."""
    complaints = []
    by_address = {}
    for talk in talks:
        by_address.setdefault(talk.address, []).append(talk)
    for same in by_address.values():
        for start in range(0, len(same), BATCH):
            batch = same[start:start + BATCH]
            try:
                send_all(batch)
                late = read_all(batch)
            finally:
                for talk in batch:
                    if talk.socket is not None:
                        talk.close()
            complaints += [f"{talk.entry.name}: no end of the connection; {talk.said!r}" for talk in late]
            complaints += [f"{talk.entry.name} in pieces of {[len(piece) for piece in talk.pieces][:3]}...: {what}"
                           for talk in batch if talk not in late and (what := complaint(talk))]
            if len(complaints) > 20:
                break
    assert not complaints, "\n".join(complaints[:20])


ENTRIES = [entry for entry in corpus.read() if entry.app != "keep" and not entry.wrong]


@pytest.fixture
def wire(session):
    """The address of a pool of one worker for each set of limits in the corpus: wire(entry)."""
    ports, text = {}, ""
    for entry in ENTRIES:
        key = str(entry.limits)
        if key not in ports:
            ports[key] = harness.free_port()
            text += harness.table(f"pool.wire{len(ports)}", listen=[f"127.0.0.1:{ports[key]}"], workers=1,
                                  http=entry.limits, respond={"body": "seen"})
    session.start(text)
    return lambda entry: ("127.0.0.1", ports[str(entry.limits)])


def end_of(entry):
    """What is sent behind an entry: a request that shows whether the connection goes on."""
    return [] if entry.end == "waiting" else [PROBE]


def test_requests_that_come_whole(session, wire):
    hold([Talk(entry, wire(entry), [entry.data, *end_of(entry)]) for entry in ENTRIES])


def test_requests_that_come_together_with_the_next_one(session, wire):
    hold([Talk(entry, wire(entry), [entry.data + b"".join(end_of(entry))]) for entry in ENTRIES])


def test_requests_that_come_byte_by_byte(session, wire):
    hold([Talk(entry, wire(entry), [bytes([byte]) for byte in entry.data] + end_of(entry)) for entry in ENTRIES])


def positions(entry):
    """Where an entry is split: everywhere, if it is not too long."""
    size = len(entry.data)
    step = size // SAMPLES if size > LONG else 5 if is_sanitized() else 1
    # Not the same places of all entries, which begin alike.
    return range(1 + len(entry.name) % step, size, step)


def test_requests_that_come_in_two_pieces(session, wire):
    hold([Talk(entry, wire(entry), [entry.data[:at], entry.data[at:], *end_of(entry)])
          for entry in ENTRIES for at in positions(entry)])
