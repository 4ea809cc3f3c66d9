"""Pools of modules for the tests: where the modules are, and the TOML of a pool with one."""

import os
import shutil
import socket
import struct
from pathlib import Path

from client import Connection, Cut
from harness import is_sanitized, table
from limits import PRONGD

BUILD = Path(PRONGD).parents[2]
EXAMPLES = BUILD / "docs/examples"
MODULES = BUILD / "test/modules"

MODELS = ["event", "thread", "process"]
GONE = (Cut, ConnectionResetError, BrokenPipeError)  # what a client meets whose worker has died
WAITING = ["thread", "process"]  # those in which a module may wait


def path_of(name):
    """A module of the tests, or an example."""
    path = MODULES / f"{name}.so"
    return path if path.exists() else EXAMPLES / f"{name}.so"


def module_pool(name, concurrency="event", *, module=None, path=None, options=None, stream=None, protocol=None, **more):
    """The TOML of a pool that runs a module (by default the one of the pool's name)."""
    app = {"path": path or path_of(module or name)}
    if protocol or stream is not None:
        app["protocol"] = protocol or "stream"
    if options:
        app["options"] = options
    if stream:
        more["stream"] = stream
    if concurrency == "thread":
        more.setdefault("threads", 3)
    more.setdefault("workers", 2)
    more.setdefault("listen", ["127.0.0.1:0"])
    return table(f"pool.{name}", concurrency=concurrency, module=app, **more)


def vanish(client):
    """Ends a client's connection with a reset."""
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.socket.close()


def install(source, target):
    """Puts a file in the place of another as install(1) does: those who run the old one keep it."""
    fresh = Path(f"{target}.new")
    shutil.copy(source, fresh)
    os.replace(fresh, target)


def plain_crashes():
    """The environment of a daemon whose workers crash on purpose. The sanitizers make no report of it, so that what is
    seen is what users see."""
    if not is_sanitized():
        return {}
    options = [os.environ.get("ASAN_OPTIONS", ""), "handle_segv=0", "handle_abort=0", "handle_sigbus=0", "detect_leaks=0"]
    return {"ASAN_OPTIONS": ":".join(filter(None, options))}


def metric(daemon, pool, name, **labels):
    """What a module counts itself, as prongctl tells it; None: nothing of that name."""
    found = [each for each in daemon.ask("status")["pools"] if each["name"] == pool]
    for each in found[0]["metrics"]:
        if each["name"] == name and each["labels"] == labels:
            return each
    return None


class Lines:
    """A client that talks in lines."""

    def __init__(self, address, **more):
        self._connection = Connection(address, **more)
        self.socket = self._connection.socket
        self._data = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._connection.close()

    def send(self, text):
        self.socket.sendall(text if isinstance(text, bytes) else text.encode())

    def line(self):
        while b"\n" not in self._data:
            part = self.socket.recv(1 << 16)
            if not part:
                raise Cut(f"the connection ended in the middle of a line: {self._data!r}")
            self._data += part
        line, _, self._data = self._data.partition(b"\n")
        return line.decode()

    def lines(self, number):
        return [self.line() for _ in range(number)]

    def until(self, *marks):
        """Everything up to one of the marks, and with it: for a prompt, which ends no line."""
        while not (found := [mark for mark in marks if mark in self._data]):
            part = self.socket.recv(1 << 16)
            if not part:
                raise Cut(f"the connection ended before {marks}: {self._data!r}")
            self._data += part
        text, mark, self._data = self._data.partition(min(found, key=self._data.index))
        return (text + mark).decode()

    def read(self, size):
        parts, missing = [self._data[:size]], size - len(self._data)
        self._data = self._data[size:]
        while missing > 0:
            part = self.socket.recv(missing)
            if not part:
                raise Cut(f"the connection ended with {missing} of {size} bytes missing")
            parts.append(part)
            missing -= len(part)
        return b"".join(parts).decode()

    def rest(self):
        data, self._data = self._data, b""
        while part := self.socket.recv(1 << 16):
            data += part
        return data.decode()
