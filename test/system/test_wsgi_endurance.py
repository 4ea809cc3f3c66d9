"""WSGI over a long time: reloads under load while the code changes, and memory over many requests. Short here; in full
length by environment variables:

  PRONGD_TEST_WSGI_RELOADS   reloads under load (15; 100 is what is promised)
  PRONGD_TEST_WSGI_REQUESTS  requests of the leak test in each concurrency model (30,000; 1,000,000 is what is promised)
"""

import os
import re
import threading

import pytest

import harness
import test_wsgi
from client import Connection, get
from harness import LIMIT, wait_until
from test_wsgi import MODELS, post, start

pytestmark = test_wsgi.pytestmark

RELOADS = int(os.environ.get("PRONGD_TEST_WSGI_RELOADS", "15"))
REQUESTS = int(os.environ.get("PRONGD_TEST_WSGI_REQUESTS", "30000"))
WARM = 10_000  # requests after which memory must be level
SLACK_KIB = 1536  # what a heap may still grow by without a leak: an allocator's arenas and steps of 128 KiB and up

# Both modules say which version they are; an answer names both, from a list or from a generator, with the body between.
FRONT = """
import back
VERSION = {version}

def parts(environ):
    yield b"%d " % VERSION
    yield environ["wsgi.input"].read()
    yield b" %d" % back.version()

def application(environ, start_response):
    whole = parts(environ)
    if environ["PATH_INFO"] == "/list":
        whole = [b"".join(whole)]
        start_response("200 OK", [("Content-Length", str(len(whole[0])))])
    else:
        start_response("200 OK", [])
    return whole
"""
BACK = "def version():\n    return {version}\n"


class Clients:
    """Threads that ask all the time, GET and POST, small and large, and never retry."""

    def __init__(self, address, number):
        self.failures, self.answers, self.versions = [], 0, set()
        self._address = address
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(n, ), daemon=True) for n in range(number)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(LIMIT)

    def wait_for(self, more):
        goal = self.answers + more
        wait_until(lambda: self.answers >= goal or self.failures, "answers to the load")

    def _run(self, number):
        bodies = [b"", b"small", b"", b"x" * 200_000]
        turn = number
        try:
            while not self._stop.is_set():
                with Connection(self._address) as connection:
                    for _ in range(1 if number % 2 else 1_000_000):
                        turn += 1
                        if self._stop.is_set() or self._ask(connection, bodies[turn % 4], turn):
                            break
        except Exception as error:  # a thread must tell whatever it met
            self.failures.append(f"client {number}, request {turn}: {type(error).__name__}: {error}")

    def _ask(self, connection, body, turn):
        """Whether the connection was the last time of use."""
        target = "/list" if turn % 3 else "/generator"
        answer = post(connection, target, body) if body else connection.get(target)
        first, middle, last = answer.body.split(b" ")
        if answer.status != 200 or first != last or middle != body:
            raise AssertionError(f"wrong answer: {answer} {answer.body[:50]!r}")
        with self._lock:
            self.answers += 1
            self.versions.add(int(first))
        return answer.closes


@pytest.mark.parametrize("concurrency", MODELS)
def test_reloads_under_load_while_the_code_changes_cost_no_request_and_mix_no_versions(session, concurrency):
    def write(version):
        (session.folder / "front.py").write_text(FRONT.format(version=version))
        (session.folder / "back.py").write_text(BACK.format(version=version))

    write(1)
    # No .pyc files: Python tells them by whole seconds and the size, and these files change faster.
    daemon, address = start(session, concurrency, app="front", path=[str(session.folder)], workers=2,
                            env={"PYTHONDONTWRITEBYTECODE": "1"}, more='http = { body_buffer = "64KiB" }\n')
    with Clients(address, 6) as clients:
        for number in range(RELOADS):
            clients.wait_for(20)
            write(number + 2)
            assert daemon.reload() == number + 2
            # An old worker may still accept a connection that came before it heard of its end.
            newest = b"%d  %d" % (number + 2, number + 2)
            wait_until(lambda: get(address, "/list").body == newest, "an answer from the new code")
        clients.wait_for(20)
    assert clients.failures == []
    assert {1, RELOADS + 1} <= clients.versions
    daemon.wait(rf"gen={RELOADS} pid=\d+: exited with status 0", count=2)


def settled_kib(pid):
    """What a process has for itself: its private memory (smaps_rollup, proc(5))."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return sum(int(number) for number in re.findall(r"^(?:Private_Dirty|Private_Clean):\s+(\d+)", file.read(), re.M))


@pytest.mark.skipif(harness.is_sanitized(), reason="a sanitizer's memory says nothing")
@pytest.mark.parametrize("concurrency", MODELS)
def test_memory_is_level_after_the_first_requests(session, concurrency):
    (session.folder / "leaks.py").write_text(FRONT.format(version=1))
    (session.folder / "back.py").write_text(BACK.format(version=1))
    daemon, address = start(session, concurrency, app="leaks", path=[str(session.folder)],
                            more='http = { keepalive_requests = 1000000000, body_buffer = "64KiB" }\n')
    worker = next(iter(daemon.workers("app").values()))
    levels, done = [], 0
    pipelined = b"".join([b"GET /list?x=1 HTTP/1.1\r\nHost: t\r\nX-Other: %d\r\nCookie: a=b\r\n\r\n" % n for n in range(8)])
    expected = b"1  1"
    step = max(WARM, REQUESTS // 10)
    while done < REQUESTS:
        goal = WARM if done == 0 else min(done + step, REQUESTS)
        with Connection(address) as connection:
            while done < goal:
                connection.send(pipelined)
                for _ in range(8):
                    assert connection.response().body == expected
                assert post(connection, "/generator", b"small").body == b"1 small 1"
                done += 9
                if done % 999 == 0:
                    assert len(post(connection, "/list", b"x" * 100_000).body) == 100_004
        levels.append(settled_kib(worker))
    print(f"{concurrency}: private KiB of the worker every {step:,} requests: {levels}")
    assert levels[-1] - levels[0] < SLACK_KIB, f"private KiB of the worker: {levels}"
    assert len(harness.descriptors(worker)) < 30
