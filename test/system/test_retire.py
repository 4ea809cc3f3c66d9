"""Workers that have served enough: a replacement first, then the old one drains, never more at once than may."""

import contextlib
import re
import signal
import time

import pytest

from client import Connection, Load, get
from harness import SCALE, WORKER, HeldFork, holder_of, is_gone, process, wait_until

TEXT = b"a small text\n"
FILES = {"/a.txt": TEXT}
WANTS = r"wants to retire: "
BEGINS = r"its replacement is started$"
GONE = r"exited with status 0 after \S+.*, (?P<requests>\d+) requests"


def ask(address, number=1):
    """That many requests, each on a connection of its own."""
    for _ in range(number):
        answer = get(address, "/a.txt")
        assert (answer.status, answer.body) == (200, TEXT)


def most_leaving(daemon):
    """How many workers were leaving at once, at the most: from the start of a replacement to the end of the old one."""
    leaving, most = set(), 0
    for line in daemon.log.lines:
        match = WORKER.search(line)
        if match and re.search(BEGINS, line):
            leaving.add(match["pid"])
        elif match and re.search(r": (exited|killed) ", line):
            leaving.discard(match["pid"])
        most = max(most, len(leaving))
    return most


def fewest_serving(daemon, workers):
    """How many workers served at once, at the fewest, between the start and the stop of the daemon."""
    serving, fewest = set(), workers
    for line in daemon.log.lines:
        match = WORKER.search(line)
        if match and re.search(r": ready after", line):
            serving.add(match["pid"])
        elif match and re.search(r": serving -> ", line):
            serving.discard(match["pid"])
            fewest = min(fewest, len(serving))
        if "graceful stop asked" in line:
            break
    return fewest


def hold_replacement(daemon):
    """Makes the only worker ask to retire (max_requests = 10), and holds the start of its replacement."""
    held = HeldFork(daemon, lambda: ask(daemon.address(), 10))
    daemon.wait(WANTS)
    daemon.wait(BEGINS)
    return held


# -------------------------------------------------------------------------------------------------------- max_requests


@pytest.mark.parametrize("concurrency", ["event", "thread", "process"])
def test_max_requests_under_load_costs_no_request(session, concurrency):
    daemon = session.start(session.pool(workers=2, concurrency=concurrency, max_requests=300, max_requests_jitter=100))
    # A worker of `process` gives its idle client up when somebody waits, and that client may just send a request.
    keep_alive = 0 if concurrency == "process" else 3
    with Load(daemon.address(), FILES, short=3, keep_alive=keep_alive) as load:
        daemon.wait(GONE + "; retired: ", count=6)
        load.stop()
    assert load.failures == []
    daemon.stop()
    retired = daemon.log.find(GONE + r"; retired: (?P<said>\d+) requests served "
                              r"\(max_requests = 300, with jitter (?P<limit>\d+)\)$")
    assert len(retired) >= 6
    for match in retired:
        assert " info " in match.string
        assert int(match["requests"]) >= int(match["said"]) >= int(match["limit"])
        assert 300 <= int(match["limit"]) <= 400
    # Counted from both sides: nothing was lost, nothing was answered twice.
    assert sum(int(match["requests"]) for match in daemon.log.find(GONE)) == load.answers
    assert most_leaving(daemon) == 1
    assert fewest_serving(daemon, 2) == 2


def test_the_only_worker_serves_until_its_replacement_does(session):
    daemon = session.start(session.pool(workers=1, max_requests=10))
    old = daemon.workers()[0]
    held = hold_replacement(daemon)
    ask(daemon.address(), 50)
    assert daemon.workers() == {0: old}
    assert len(daemon.log.find(WANTS)) == 1, "it asks once"
    held.release()
    daemon.wait(rf"pid={old}: " + GONE + r"; retired: 10 requests served \(max_requests = 10\)")
    assert list(daemon.workers().values()) == [held.pid]
    ask(daemon.address(), 5)
    assert fewest_serving(daemon, 1) == 1


def test_with_one_worker_no_request_is_late(session):
    daemon = session.start(session.pool(workers=1, max_requests=20))
    slowest = 0.0
    while len(daemon.log.find(GONE + r"; retired: ")) < 6:
        begun = time.monotonic()
        ask(daemon.address())
        slowest = max(slowest, time.monotonic() - begun)
    daemon.stop()
    assert fewest_serving(daemon, 1) == 1
    assert slowest < 0.5 * SCALE


def test_an_idle_keep_alive_connection_of_a_worker_that_retires_is_served_once_more(session):
    daemon = session.start(session.pool(workers=1, max_requests=10))
    old = daemon.workers()[0]
    with Connection(daemon.address()) as connection:
        assert connection.get("/a.txt").body == TEXT
        ask(daemon.address(), 9)
        daemon.wait(rf"pid={old}: serving -> draining")
        answer = connection.get("/a.txt")
        while not answer.closes:  # the first may be faster than its Stop
            assert answer.body == TEXT
            answer = connection.get("/a.txt")
        assert answer.body == TEXT
    daemon.wait(rf"pid={old}: " + GONE + r"; retired: ")


# ----------------------------------------------------------------------------------------- max_unavailable, max_lifetime


@pytest.mark.parametrize("most", [1, 2])
def test_never_more_than_max_unavailable_leave_at_once(session, most):
    """Four workers are as old as each other, and each holds a slow client."""
    body = session.big_file()
    daemon = session.start(session.pool(workers=4, max_lifetime="2s", max_unavailable=most))
    old = set(daemon.workers().values())
    readers = {}
    with contextlib.ExitStack() as stack:
        while len(readers) < 4:
            connection = stack.enter_context(Connection(daemon.address(), receive_buffer=4096))
            connection.request("/big.bin")
            pid = wait_until(lambda c=connection: holder_of(c, old), "accepted")
            if pid in readers:
                connection.close()
            else:
                readers[pid] = connection, connection.head()
        daemon.wait(WANTS + r"2\.\ds old \(max_lifetime = 2s\)$", count=4)
        while readers:
            done = 4 - len(readers)
            # Until the last of them is gone there are as many that leave as may.
            expected = min(most, len(readers))
            daemon.wait(BEGINS, count=done + expected)
            for match in daemon.log.find(rf"{WORKER.pattern}: serving -> draining"):
                pid = int(match["pid"])
                if pid in readers:
                    connection, answer = readers.pop(pid)
                    assert connection.body(answer).body == body
                    connection.close()
                    daemon.wait(rf"pid={pid}: " + GONE + r"; retired: ")
                    break
    daemon.wait(GONE + r"; retired: ", count=6)
    ask(daemon.address(), 10)
    daemon.stop()
    assert most_leaving(daemon) == most
    assert fewest_serving(daemon, 4) == 4


def test_lifetimes_with_jitter_end_one_after_the_other_under_load(session):
    daemon = session.start(session.pool(workers=2, max_lifetime="300ms", max_lifetime_jitter="300ms"))
    with Load(daemon.address(), FILES, short=1, keep_alive=2) as load:
        daemon.wait(GONE + r"; retired: \d+ms old \(max_lifetime = 300ms, with jitter \d+ms\)", count=4)
        load.stop()
    assert load.failures == []
    daemon.stop()
    assert fewest_serving(daemon, 2) == 2


# ---------------------------------------------------------------------------------------------------------- max_memory


@pytest.mark.parametrize("measure", ["rss", "pss"])
def test_a_worker_above_max_memory_warns_while_it_is_young_and_retires_then(session, measure):
    daemon = session.start(session.pool(workers=1, max_memory="1MiB", memory_measure=measure, memory_grace="4s"))
    daemon.expect(r"warn +\S+ \S+ pid=\d+: has \S+MiB of memory")
    old = daemon.workers()[0]
    with Load(daemon.address(), FILES, short=1, keep_alive=0) as load:
        warned = daemon.wait(rf"pid={old}: has \S+MiB of memory \({measure}\), more than max_memory = 1MiB after only "
                             r"(?P<age>\d+\.\d)s; it retires when it is older than memory_grace = 4s")
        assert 2.0 <= float(warned["age"]) < 4.0 * SCALE
        daemon.wait(rf"pid={old}: " + WANTS + rf"\S+MiB of memory \({measure}\), more than max_memory = 1MiB$")
        gone = daemon.wait(rf"pid={old}: exited with status 0 after (?P<age>\S+)s.*; retired: ")
        load.stop()
    assert float(gone["age"]) >= 4.0
    assert load.failures == []


def test_a_max_memory_that_every_worker_is_above_makes_no_loop_of_restarts(session):
    daemon = session.start(session.pool(workers=2, max_memory="1MiB"))
    daemon.expect(r"warn +\S+ \S+ pid=\d+: has \S+MiB of memory")
    workers = daemon.workers()
    with Load(daemon.address(), FILES, short=2, keep_alive=2) as load:
        daemon.wait(r"older than memory_grace = 1m")
        load.wait_for(1000)
        load.stop()
    assert load.failures == []
    assert daemon.workers() == workers
    assert not daemon.log.find(WANTS)


# -------------------------------------------------------------------------------------------------------- in the middle


def test_when_the_replacement_dies_in_its_start_the_old_worker_serves_on(session):
    daemon = session.start(session.pool(workers=1, max_requests=10))
    old = daemon.workers()[0]
    held = hold_replacement(daemon)
    daemon.expect(rf"warn +\S+ gen=1 pid={old}: goes on serving: the worker that should replace it could not start")
    daemon.kill_worker(held.pid)
    daemon.wait(rf"pid={old}: goes on serving")
    daemon.wait(rf"pid={old}: " + GONE + r"; retired: ")  # the next one could
    ask(daemon.address(), 5)
    assert fewest_serving(daemon, 1) == 1
    assert len(daemon.log.find("goes on serving")) == 1


def test_a_worker_that_is_killed_while_its_replacement_starts_leaves_no_worker_too_many(session):
    daemon = session.start(session.pool(workers=1, max_requests=10))
    old = daemon.workers()[0]
    held = hold_replacement(daemon)
    daemon.kill_worker(old)
    daemon.wait(rf"pid={old}: killed by signal 9")
    held.release()
    ask(daemon.address(), 5)
    wait_until(lambda: [child.pid for child in daemon.children()] == [held.pid],
               lambda: f"one worker: {daemon.children()}")
    daemon.stop()
    assert len(daemon.ready_lines()) == 2


def test_one_worker_fewer_while_a_replacement_starts(session):
    daemon = session.start(session.pool(workers=2, max_requests=10, max_requests_jitter=1))
    held = HeldFork(daemon, lambda: (ask(daemon.address(), 22), daemon.wait(BEGINS)))
    daemon.send(signal.SIGTTOU)
    daemon.wait(r"1 workers wanted now")
    held.release()
    daemon.expect_more(workers=-1)
    wait_until(lambda: len(daemon.children()) == 1, lambda: f"one worker: {daemon.children()}")
    ask(daemon.address(), 3)


def test_a_reload_while_a_replacement_starts_takes_over(session):
    daemon = session.start(session.pool(workers=1, max_requests=10))
    old = daemon.workers()[0]
    held = hold_replacement(daemon)
    assert daemon.reload() == 2
    held.release()
    wait_until(lambda: is_gone(old) and is_gone(held.pid), "the end of generation 1")
    ask(daemon.address(), 5)
    assert list(daemon.workers()) == list(daemon.workers(generation=2))


def test_no_retirement_begins_while_a_reload_raises_a_generation(session):
    daemon = session.start(session.pool(workers=1, max_requests=10))
    old = daemon.workers()[0]
    held = HeldFork(daemon, lambda: daemon.send(signal.SIGHUP))
    ask(daemon.address(), 30)
    daemon.wait(rf"pid={old}: " + WANTS)
    held.release()
    daemon.wait(r"reload done: generation 2\b")
    daemon.wait(rf"pid={old}: exited with status 0")
    assert not daemon.log.find(rf"pid={old}: " + BEGINS)
    ask(daemon.address(), 5)


def test_workers_that_drain_after_a_reload_take_from_the_same_budget(session):
    body = session.big_file()
    daemon = session.start(session.pool(workers=1, max_requests=10))
    old = daemon.workers()[0]
    with Connection(daemon.address(), receive_buffer=4096) as connection:
        connection.request("/big.bin")
        answer = connection.head()
        assert daemon.reload() == 2
        new = daemon.workers(generation=2)[0]
        ask(daemon.address(), 20)
        daemon.wait(rf"pid={new}: " + WANTS)
        ask(daemon.address(), 20)
        assert process(old) is not None and not daemon.log.find(BEGINS)
        assert connection.body(answer).body == body
    daemon.wait(rf"pid={new}: " + BEGINS)
    daemon.wait(rf"pid={new}: " + GONE + r"; retired: ")
    began = next(i for i, line in enumerate(daemon.log.lines) if re.search(BEGINS, line))
    ended = next(i for i, line in enumerate(daemon.log.lines) if re.search(rf"pid={old}: exited", line))
    assert ended < began


def test_reloads_and_retirements_together_under_load_cost_no_request(session):
    daemon = session.start(session.pool(workers=2, max_requests=100, max_requests_jitter=50, max_unavailable=2))
    with Load(daemon.address(), FILES, short=2, keep_alive=3) as load:
        for turn in range(15):
            load.wait_for(150)
            mark = daemon.log.mark()
            if turn % 3 == 1:  # while a replacement starts
                daemon.wait(BEGINS, mark)
            elif turn % 3 == 2:  # right after a retirement
                daemon.wait(GONE + r"; retired: ", mark)
            daemon.reload()
        load.stop()
    assert load.failures == []
    daemon.stop()
    assert sum(int(match["requests"]) for match in daemon.log.find(GONE)) == load.answers


def test_a_stop_while_a_replacement_starts_ends_all(session):
    daemon = session.start(session.pool(workers=1, max_requests=10))
    held = hold_replacement(daemon)
    daemon.send(signal.SIGTERM)
    daemon.wait(r"graceful stop asked by SIGTERM")
    held.release()
    assert daemon.wait_exit() == 0
