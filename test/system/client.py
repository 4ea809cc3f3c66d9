"""A small HTTP/1.1 client over plain sockets, and constant load made of it.

Not http.client: the tests must see what that hides (an answer cut in the middle, a connection closed before the first
byte, a reset), may never retry, and send what a well-behaved client would not.
"""

import contextlib
import socket
import threading
import time

from limits import LIMIT


class Cut(Exception):
    """The connection ended before the answer was whole."""


class Response:
    def __init__(self, status, reason, headers, body, version):
        self.status, self.reason, self.headers, self.body, self.version = status, reason, headers, body, version

    def __repr__(self):
        return f"{self.status} {self.reason} {self.headers} {len(self.body)} bytes"

    @property
    def closes(self):
        return self.headers.get("connection", "").lower() == "close"


class Connection:
    """One connection: `address` is (host, port), a path, or "@name" for the abstract namespace."""

    def __init__(self, address, timeout=LIMIT, receive_buffer=None):
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX)
            target = "\0" + address[1:] if address.startswith("@") else address
        else:
            self.socket = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
            target = tuple(address)
        self.socket.settimeout(timeout)
        self._slow = receive_buffer is not None
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            self.socket.connect(target)
            if not isinstance(address, str):
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            self.socket.close()
            raise
        self._data = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def request(self, target="/", method="GET", headers=(), version="1.1"):
        lines = [f"{method} {target} HTTP/{version}", "Host: test", *headers, "", ""]
        self.send("\r\n".join(lines).encode("latin-1"))

    def _more(self):
        data = self.socket.recv(256 * 1024)
        if not data:
            return False
        self._data += data
        return True

    def head(self):
        """Reads up to the end of the header; returns a Response without its body."""
        while b"\r\n\r\n" not in self._data:
            if not self._more():
                raise Cut(f"closed after {len(self._data)} bytes of the header")
        text, _, self._data = self._data.partition(b"\r\n\r\n")
        first, *rest = text.decode("latin-1").split("\r\n")
        version, _, line = first.partition(" ")
        status, _, reason = line.partition(" ")
        headers = {}
        for entry in rest:
            key, _, value = entry.partition(":")
            headers[key.strip().lower()] = value.strip()
        return Response(int(status), reason, headers, b"", version)

    def body(self, response):
        """Reads the body that the header promised."""
        if response.headers.get("transfer-encoding") == "chunked":
            response.body = self._chunks()
            return response
        length = int(response.headers.get("content-length", "0"))
        if self._slow:  # it has held the server up for long enough
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        parts, missing = [self._data[:length]], length - len(self._data)
        self._data = self._data[length:]
        while missing > 0:
            data = self.socket.recv(min(missing, 1 << 20))
            if not data:
                raise Cut(f"closed with {missing} of {length} bytes of the body missing")
            parts.append(data)
            missing -= len(data)
        response.body = b"".join(parts)
        return response

    def _take(self, size):
        while len(self._data) < size:
            if not self._more():
                raise Cut("closed in the middle of a chunked body")
        taken, self._data = self._data[:size], self._data[size:]
        return taken

    def _chunks(self):
        parts = []
        while True:
            line = b""
            while not line.endswith(b"\r\n"):
                line += self._take(1)
            size = int(line, 16)
            parts.append(self._take(size))
            if self._take(2) != b"\r\n":
                raise Cut("a chunk does not end where it should")
            if size == 0:
                return b"".join(parts)

    def response(self, method="GET"):
        answer = self.head()
        if method == "HEAD" or answer.status in (204, 304) or answer.status < 200:
            return answer
        return self.body(answer)

    def get(self, target="/", **more):
        self.request(target, **more)
        return self.response(more.get("method", "GET"))

    def at_end(self):
        """Waits for the server's end of the connection; True if it closed in an orderly way, with nothing unread."""
        return not self._data and not self._more()


def get(address, target="/", **more):
    """One request on a connection of its own."""
    with Connection(address) as connection:
        return connection.get(target, headers=["Connection: close"], **more)


class Load:
    """Constant load by threads that never retry. Anything but the whole expected answer is a failure."""

    def __init__(self, address, files, short=2, keep_alive=3, tolerate=()):
        """`files` is {target: expected body}. Exceptions of `tolerate` only count as cuts (a worker was killed)."""
        self.failures = []
        self.cuts = 0
        self._tolerate = tolerate
        self.answers = 0
        self.closes = 0  # answers with Connection: close on a keep-alive connection
        self._address, self._files = address, list(files.items())
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(self._short, n), daemon=True) for n in range(short)]
        self._threads += [threading.Thread(target=self._run, args=(self._keep, n), daemon=True)
                          for n in range(keep_alive)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(LIMIT)

    def wait_for(self, more):
        """Waits until that many more answers have come."""
        goal, deadline = self.answers + more, time.monotonic() + LIMIT
        pause = threading.Event()
        while self.answers < goal and not self.failures:
            assert time.monotonic() < deadline, "the load gets no answers"
            pause.wait(0.002)

    def _run(self, client, number):
        turn = number
        try:
            while not self._stop.is_set():
                try:
                    turn = client(turn)
                except self._tolerate:
                    with self._lock:
                        self.cuts += 1
        except Exception as error:  # a thread must tell whatever it met
            with self._lock:
                self.failures.append(f"{client.__name__} {number}: {type(error).__name__}: {error}")

    def _check(self, answer, body):
        if answer.status != 200 or answer.body != body:
            raise AssertionError(f"wrong answer: {answer}")
        with self._lock:
            self.answers += 1

    def _short(self, turn):
        target, body = self._files[turn % len(self._files)]
        self._check(get(self._address, target), body)
        return turn + 1

    def _keep(self, turn):
        """One keep-alive connection, used until the server announces its end."""
        with Connection(self._address) as connection:
            while not self._stop.is_set():
                target, body = self._files[turn % len(self._files)]
                turn += 1
                answer = connection.get(target)
                self._check(answer, body)
                if answer.closes:
                    with self._lock:
                        self.closes += 1
                    break
        return turn


@contextlib.contextmanager
def connections(address, number, **more):
    """Opens that many connections, closes them at the end."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Connection(address, **more)) for _ in range(number)]
