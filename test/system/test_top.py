"""prongctl top on a terminal of its own, read as a terminal would show it; and what `workers` and `status` tell of the
same numbers."""

import codecs
import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path

import pyte
import pytest

import harness
from client import Connection, get
from harness import LIMIT, PRONGCTL, table, wait_until

PYTHON = "/usr/bin/python3"  # not one that comes first in PATH: it may be a script
DOWN, UP = b"\x1bOB", b"\x1bOA"


class Terminal:
    """A program on a pseudo-terminal, and its screen."""

    def __init__(self, arguments, lines=40, columns=160, term="xterm"):
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.Stream(self.screen)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = term
            os.execv(arguments[0], arguments)
        self.resize(lines, columns)
        self.status = None

    def resize(self, lines, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.screen.resize(lines, columns)

    def press(self, keys):
        os.write(self.fd, keys)

    def _read(self, seconds):
        """Takes what the program has drawn; False at its end."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # EIO: nobody has the other side open any more
            return False
        self._stream.feed(self._decoder.decode(data))
        return bool(data)

    def wait(self, shows):
        """Until the screen's text (lines joined) matches the pattern, or the function of it is true; returns it."""
        end = time.monotonic() + LIMIT
        while True:
            text = "\n".join(line.rstrip() for line in self.screen.display)
            found = shows(text) if callable(shows) else re.search(shows, text, re.M)
            if found:
                return text
            assert time.monotonic() < end, f"never shown: {shows}\n{text}"
            assert self._read(0.1), f"it has ended, with this on the screen:\n{text}"

    def end(self):
        """Its exit status, once it has ended by itself."""
        while self._read(LIMIT):
            pass
        _, status = os.waitpid(self.pid, 0)
        self.pid = None
        return os.waitstatus_to_exitcode(status)

    def close(self):
        if self.pid is not None:
            os.kill(self.pid, signal.SIGKILL)  # its own child, not reaped yet
            os.waitpid(self.pid, 0)
        os.close(self.fd)


@contextlib.contextmanager
def top(daemon, *arguments, **more):
    terminal = Terminal([PRONGCTL, "--socket", daemon.control_socket(), "top", *arguments], **more)
    try:
        yield terminal
    finally:
        terminal.close()


def test_top_shows_pools_workers_and_the_picked_ones_threads(session):
    daemon = session.start(session.pool(workers=2) + session.pool("other", workers=2))
    with top(daemon, "--every", "50ms") as terminal:
        # Each for itself: a screen may be read when it is half drawn.
        terminal.wait(r"^files +static +2/2")
        for slot, pid in daemon.workers("other").items():
            terminal.wait(rf"^other/{slot} +1 +{pid} +serving")
        terminal.wait(rf"^files/0, pid {daemon.workers()[0]}, serving")
        terminal.press(DOWN)
        terminal.wait(rf"^files/1, pid {daemon.workers()[1]}, serving")
        terminal.press(DOWN + DOWN + DOWN + DOWN)  # not below the last one
        terminal.wait(rf"^other/1, pid {daemon.workers('other')[1]}, serving")
        terminal.press(UP)
        terminal.wait(rf"^other/0, pid {daemon.workers('other')[0]}, serving")
        # What happens is seen without a key.
        with Connection(daemon.address()) as connection:
            assert connection.get("/a.txt").status == 200
            terminal.wait(r"^files +static +2/2 +0 +1 ")
        daemon.kill_worker(daemon.workers()[0])
        terminal.wait(r"^files +static .* 1 +\S+ ago: files/worker\[0\] .*killed by signal 9")
        terminal.press(b"q")
        assert terminal.end() == 0


def test_top_sorts_holds_and_fits_into_a_small_terminal(session):
    daemon = session.start(session.pool(workers=2) + session.pool("other", workers=3))

    def order(text):
        return re.findall(r"^(?:files|other)/\d", text, re.M)

    with top(daemon, "--every", "50ms") as terminal, Connection(daemon.address("other")) as connection:
        natural = ["files/0", "files/1", "other/0", "other/1", "other/2"]
        terminal.wait(lambda text: order(text)[:5] == natural)
        assert connection.get("/a.txt").status == 200
        terminal.press(b"ss")  # by busy, by connections
        terminal.wait(lambda text: "sort: connections" in text and order(text)[0].startswith("other"))
        terminal.press(b"r")
        terminal.wait(lambda text: "(reversed)" in text and order(text)[4].startswith("other"))
        terminal.press(b" ")
        terminal.wait("space go on")
        held = terminal.wait("up ").splitlines()[0]
        requests = daemon.ask("status", "other")["pools"][0]["requests"]
        assert get(daemon.address("other"), "/a.txt").status == 200
        wait_until(lambda: daemon.ask("status", "other")["pools"][0]["requests"] == requests + 1, "the request counted")
        terminal.press(b"r")
        assert terminal.wait(lambda text: "(reversed)" not in text).splitlines()[0] == held
        terminal.press(b" ")
        terminal.resize(8, 40)
        terminal.press(b"k")
        text = terminal.wait(lambda text: text.splitlines()[-1].startswith("q quit") and order(text))
        assert len(text.splitlines()) <= 8
        terminal.resize(2, 10)
        terminal.press(b"k")
        terminal.wait(lambda text: text.splitlines()[-1].startswith("q quit"))
        terminal.press(b"q")
        assert terminal.end() == 0


def test_top_of_one_pool_tells_when_the_daemon_has_gone(session):
    daemon = session.start(session.pool(workers=1) + session.pool("other", workers=1))
    config, socket = daemon.config_path, daemon.control_socket()
    with top(daemon, "other", "--every", "50ms") as terminal:
        assert "files" not in terminal.wait(r"(?s)^other/0 .*^q quit")
        daemon.send(signal.SIGTERM)  # with top's connection open
        assert daemon.wait_exit() == 0
        terminal.wait("the daemon is gone.*; trying again")
        terminal.press(b"q")
        assert terminal.end() == 0
    assert config.exists() and not os.path.exists(socket)


def test_top_needs_a_terminal_and_a_daemon(session):
    daemon = session.start()
    done = daemon.control("top")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "prongctl: `top` needs a terminal; `prongctl workers` prints the same once\n"
    terminal = Terminal([PRONGCTL, "--socket", daemon.control_socket(), "top"], term="no-such-terminal")
    assert terminal.end() == 1
    assert "the terminal \"no-such-terminal\" is not known; set TERM" in "".join(terminal.screen.display)
    os.close(terminal.fd)
    daemon.stop()
    terminal = Terminal([PRONGCTL, "--socket", str(session.folder / "gone.sock"), "top"])
    assert terminal.end() == 3
    assert "no prongd is running" in "".join(terminal.screen.display)
    os.close(terminal.fd)


def test_top_prints_an_answer_in_a_line_again_and_again_for_programs(session):
    daemon = session.start()
    with subprocess.Popen([PRONGCTL, "--socket", daemon.control_socket(), "--json", "top", "--every", "10ms"],
                          stdout=subprocess.PIPE, text=True) as streamed:
        answers = [json.loads(streamed.stdout.readline()) for _ in range(5)]
        assert all(answer["ok"] and len(answer["result"]["workers"]) == 2 for answer in answers)
        daemon.send(signal.SIGTERM)
        streamed.stdout.read()
        assert streamed.wait(LIMIT) == 1
    assert daemon.wait_exit() == 0


def test_an_interrupted_top_leaves_the_terminal_as_it_was(session):
    daemon = session.start()
    with top(daemon) as terminal:
        before = termios.tcgetattr(terminal.fd)
        terminal.wait("files/0")
        raw = termios.tcgetattr(terminal.fd)
        assert not raw[3] & termios.ECHO
        os.kill(terminal.pid, signal.SIGTERM)
        assert terminal.end() != 0
        after = termios.tcgetattr(terminal.fd)
        assert after[3] & termios.ECHO and after[3] & termios.ICANON
        assert before[3] & termios.ICANON or not before[3] & termios.ECHO  # looked at before or after it had begun


# ---------------------------------------------------------------------------------------------- workers, status


SLOW = """
import os, time

def app(environ, start_response):
    while environ["PATH_INFO"].startswith("/slow") and not os.path.exists(environ["QUERY_STRING"]):
        time.sleep(0.005)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"done"]
"""


@pytest.mark.skipif(not (Path(harness.PRONGD).parent / "python" / "prong_worker.abi3.so").exists(),
                    reason="built without Python")
@pytest.mark.parametrize("concurrency", ["event", "thread", "process"])
def test_workers_and_top_tell_what_each_thread_is_in_and_until_when(session, concurrency):
    (session.folder / "slow.py").write_text(SLOW)
    go = session.folder / "go"
    more = {"request_timeout": "50s"}
    if concurrency == "thread":
        more["threads"] = 3
    daemon = session.start(
        table("pool.app", listen=["127.0.0.1:0"], workers=1, concurrency=concurrency,
              wsgi={"app": "slow:app", "path": [str(session.folder)], "python": PYTHON}, **more),
        environment=harness.interpreter_environment())
    with Connection(daemon.address("app")) as connection:
        connection.request(f"/slow?{go}")

        def the_request():
            worker = daemon.ask("workers")["workers"][0]
            assert len(worker["threads"]) == (3 if concurrency == "thread" else 1)
            busy = [thread for thread in worker["threads"] if thread["phase"] != "idle"]
            return busy and worker["inside"] == 1 and busy

        [thread] = wait_until(the_request, "the request in the answer")
        port = connection.socket.getsockname()[1]
        assert (thread["phase"], thread["method"], thread["target"]) == ("request", "GET", f"/slow?{go}")
        assert thread["peer"] == f"127.0.0.1:{port}"
        assert 0 < thread["deadline_seconds"] <= 50
        line = rf"GET /slow\?{re.escape(str(go))} for \S+, from 127\.0\.0\.1:{port}"
        number = "thread [123]: " if concurrency == "thread" else ""
        assert re.search(rf"^  {number}{line}", daemon.control("workers").stdout, re.M)
        with top(daemon, "--every", "50ms", columns=300) as terminal:
            terminal.wait(line)
            go.touch()
            assert connection.response().status == 200
            terminal.wait(r"^  (thread \d: )?idle for ")
            terminal.press(b"q")
            assert terminal.end() == 0


def test_status_tells_rates_and_percentiles_of_the_time_it_looks_at(session):
    daemon = session.start()
    with Connection(daemon.address()) as connection:
        for _ in range(10):
            assert connection.get("/a.txt").status == 200
        wait_until(lambda: daemon.ask("status")["pools"][0]["requests"] == 10, "the requests counted")
    # All of them were before this look.
    row = daemon.control("status", "--over", "10ms").stdout.splitlines()[2].split()
    title = daemon.control("status", "--over", "10ms").stdout.splitlines()[1].split()
    cells = dict(zip(title, row))
    assert (cells["REQ/S"], cells["P50"], cells["P99"], cells["REQUESTS"]) == ("0", "-", "-", "10")
    pool = daemon.ask("status")["pools"][0]
    assert pool["service_time"]["count"] == 10 == sum(count for _, count in pool["service_time"]["buckets"])
    for wrong in ("0", "x", "2h"):
        assert daemon.control("status", "--over", wrong).returncode == 2
