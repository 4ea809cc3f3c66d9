"""What the master knows from the scoreboard: a pool's numbers over deaths, replacements and reloads, and the request that a
dead worker was in."""

import contextlib
import os
import platform
import re
import signal
import socket
import struct

import pytest

from client import Connection, Cut, get
from harness import PRONGD, is_sanitized, wait_until
from test_wsgi import wsgi_pool

KILLED = (Cut, ConnectionResetError, BrokenPipeError)
MODELS = ["event", "thread", "process"]
# The number of clock_nanosleep(2), in which an application sleeps.
SLEEPS = {"x86_64": "230", "aarch64": "115"}.get(platform.machine())

needs_syscall = pytest.mark.skipif(SLEEPS is None or not os.path.exists("/proc/self/syscall"),
                                   reason="cannot see who sleeps")


def wait_for_sleepers(pid, number):
    """Until so many threads of a process are asleep in its application."""

    def asleep():
        sleeping = 0
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/syscall", encoding="ascii") as file:
                sleeping += file.read().split()[0] == SLEEPS
        return sleeping == number

    wait_until(asleep, f"{number} threads of {pid} asleep")


def totals(daemon, pool="trial"):
    """Of the line that a pool has at the end of the daemon."""
    daemon.stop()
    match = daemon.log.find(rf"pool {pool}: (?P<connections>\d+) connections, (?P<requests>\d+) requests"
                            r"(?: \((?P<aside>[^)]*)\))?, (?P<workers>\d+) workers(?:, (?P<unexpected>\d+) died unexpectedly)?$")
    assert len(match) == 1, "one line for the pool"
    found = {name: int(match[0][name] or 0) for name in ("connections", "requests", "workers", "unexpected")}
    for part in (match[0]["aside"] or "").split(", "):
        if part:
            found[part.split()[1]] = int(part.split()[0])
    return found


def threads_for(concurrency):
    return {"threads": 3} if concurrency == "thread" else {}


@pytest.mark.parametrize("concurrency", MODELS)
def test_the_numbers_of_a_pool_go_on_over_deaths_replacements_and_reloads(session, concurrency):
    text = {"workers": 2, "max_requests": 20, **threads_for(concurrency)}
    daemon = session.start_trial(concurrency, **text)
    address = daemon.address("trial")
    answered = connections = 0
    killed = False
    for number in range(100):
        if number % 3 == 0:
            assert get(address, "/pid").status == 200
            answered += 1
        else:
            with Connection(address) as connection:
                for _ in range(2):
                    answer = connection.get("/")
                    assert answer.status == 200
                    answered += 1
                    if answer.closes:  # its worker is to be replaced
                        break
        connections += 1
        if number == 40:
            daemon.reload()
        if number == 70:
            victim = next(iter(daemon.workers("trial").values()))
            daemon.expect(rf"pid={victim}: killed by signal 9")
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
            # It may have been about to retire.
            end = daemon.wait(rf"pid={victim}: (killed by signal 9|exited with status 0)").group(1)
            killed = end.startswith("killed")
    found = totals(daemon)
    # The last answer of the one that was killed may have arrived before it was counted: then it is lost, and told so.
    lost = found.pop("lost", 0)
    assert found["requests"] + lost == answered
    assert lost <= 1
    assert found["connections"] == connections
    assert found["unexpected"] == killed
    assert found["workers"] >= 5, "two of each generation, and one for the one that was killed"
    assert not {"cut", "refused"} & set(found)


def test_requests_that_are_cut_refused_or_lost_are_told_apart(session):
    daemon = session.start_trial("thread", threads=2)
    address, pid = daemon.address("trial"), daemon.workers("trial")[0]
    assert get(address, "/").status == 200
    with Connection(address) as connection:
        connection.send(b"BROKEN\r\n\r\n")
        assert connection.response().status == 400
    with Connection(address) as connection:
        connection.request("/breaks?parts=2")
        with pytest.raises(KILLED):
            connection.response()
    daemon.expect(rf"pid={pid}: killed by signal 11")
    with Connection(address) as connection, pytest.raises(KILLED):
        connection.get("/crash")
    daemon.wait(rf"pid={pid}: killed by signal 11 .*; in GET /crash for \d+(us|ms|\.\ds) \(thread \d\)")
    assert totals(daemon) == {"connections": 4, "requests": 2, "workers": 2, "unexpected": 1, "cut": 1, "refused": 1,
                              "lost": 1}


@pytest.mark.parametrize("concurrency", MODELS)
def test_the_obituary_names_the_request_of_a_crash(session, concurrency):
    daemon = session.start_trial(concurrency, **threads_for(concurrency))
    address, pid = daemon.address("trial"), daemon.workers("trial")[0]
    daemon.expect(rf"pid={pid}: killed by signal 11")
    with Connection(address) as connection, pytest.raises(KILLED):
        connection.get("/crash?a=%1b&" + "x" * 500)
    thread = r" \(thread \d\)" if concurrency == "thread" else ""
    daemon.wait(rf"pid={pid}: killed by signal 11 .*, 1 connections open; in GET /crash\?a=%1b&x{{100,200}}\.\.\. for "
                rf"\d+(us|ms|\.\ds){thread}(;| \[|$)")


@needs_syscall
@pytest.mark.parametrize("concurrency", MODELS)
def test_the_obituary_tells_how_long_the_request_took_and_what_waited(session, concurrency):
    daemon = session.start_trial(concurrency, **threads_for(concurrency))
    address, pid = daemon.address("trial"), daemon.workers("trial")[0]
    busy = 3 if concurrency == "thread" else 1
    with contextlib.ExitStack() as stack:
        for number in range(busy):
            connection = stack.enter_context(Connection(address))
            connection.request(f"/sleep?ms=600000&n={number}")
            wait_for_sleepers(pid, number + 1)
        daemon.expect(rf"pid={pid}: killed by signal 9")
        os.kill(pid, signal.SIGKILL)
        line = daemon.wait(rf"pid={pid}: killed by signal 9 .*").group()
    if concurrency == "thread":
        calls = re.search(r"; in (.*?\)); ", line)[1].split(", ")
        assert [re.sub(r" for .* \(thread \d\)$", "", call) for call in calls] == [
            f"GET /sleep?ms=600000&n={number}" for number in range(3)], "the longest first"
        assert {call[-2] for call in calls} == {"1", "2", "3"}
    else:
        assert re.search(r"; in GET /sleep\?ms=600000&n=0 for \d+(us|ms|\.\ds); ", line), line
    assert totals(daemon)["lost"] == busy


@needs_syscall
def test_a_stuck_request_is_named_also_when_its_client_has_left(session):
    daemon = session.start_trial("thread", threads=2, request_timeout="1s")
    address, pid = daemon.address("trial"), daemon.workers("trial")[0]
    said = r"GET /hang\?b=1, whose client had left, overran request_timeout = 1s"
    daemon.expect(rf"pid={pid}: {said}")
    daemon.expect(rf"pid={pid}: exited with status 0")
    with Connection(address) as connection:
        connection.request("/hang?b=1")
        wait_for_sleepers(pid, 1)
        # With a reset, of which the kernel tells without being asked.
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    daemon.wait(rf"pid={pid}: {said}; its thread is lost")
    daemon.wait(rf"pid={pid}: exited with status 0 .*; in GET /hang\?b=1 for \d\.\ds \(thread \d\); .*{said}")
    assert totals(daemon)["cut"] == 1


@pytest.mark.skipif(is_sanitized() or not os.path.exists(os.path.join(os.path.dirname(PRONGD), "python",
                                                                      "prong_worker.abi3.so")),
                    reason="needs the module, without sanitizers")
@pytest.mark.parametrize("concurrency", MODELS)
def test_a_python_worker_counts_and_is_named_too(session, concurrency):
    (session.folder / "crashing.py").write_text(
        "import ctypes\n\n\ndef application(environ, start_response):\n"
        "    if environ['PATH_INFO'] == '/crash':\n        ctypes.string_at(0)\n"
        "    start_response('200 OK', [])\n    return [b'fine']\n")
    daemon = session.start(wsgi_pool(concurrency, app="crashing", path=[str(session.folder)]))
    address, pid = daemon.address("app"), daemon.workers("app")[0]
    daemon.expect("killed by signal 11")
    assert get(address).body == b"fine"
    with Connection(address) as connection, pytest.raises(KILLED):
        connection.get("/crash")
    daemon.wait(rf"pid={pid}: killed by signal 11 .*; in GET /crash for ")
    found = totals(daemon, "app")
    assert (found["requests"], found["lost"]) == (1, 1)
