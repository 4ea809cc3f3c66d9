"""What dies and what does not: workers killed under load, a killed master, workers that cannot start."""

import contextlib
import os
import platform
import signal
import threading

import pytest

import harness
from client import Connection, Cut, Load, get
from harness import is_gone, reap_orphans, wait_until

KILLED = (Cut, ConnectionResetError, BrokenPipeError)


def connection_on_each(daemon, stack):
    """{pid: a keep-alive connection that this worker holds} for every worker."""
    pids, found = set(daemon.workers().values()), {}

    def one_more():
        connection = Connection(daemon.address())
        assert connection.get("/a.txt").status == 200
        if (holder := harness.holder_of(connection, pids)) in pids - set(found):
            found[holder] = stack.enter_context(connection)
        else:
            connection.close()
        return set(found) == pids

    # On a busy machine the workers that run already are the faster ones, so it may take a while to meet all.
    wait_until(one_more, lambda: f"all workers to accept: {set(found)} of {pids}")
    return found


def make_stuck(pid, address):
    """Puts a worker into an endless loop, as a bug in its application would: no SIGSTOP, which also holds back the
    signals that shall end it, and no debugger, whose tracing changes how signals arrive.

    The worker sleeps in a system call; the instruction that it returns to is overwritten with a jump to itself, through
    /proc/PID/mem, which goes through the page protection into a private copy (proc(5)). Then a client wakes it up.
    """
    # A jump to itself, and the numbers of epoll_wait, epoll_pwait and epoll_pwait2.
    known = {"x86_64": (b"\xeb\xfe", ("232", "281", "441")), "aarch64": (b"\x00\x00\x00\x14", ("22", "441"))}
    if platform.machine() not in known:
        pytest.skip(f"no endless loop known for {platform.machine()}")
    loop, waits = known[platform.machine()]

    def sleeping():
        fields = open(f"/proc/{pid}/syscall", encoding="ascii").read().split()
        return fields if fields[0] in waits else None

    fields = wait_until(sleeping, f"worker {pid} asleep in its loop")
    memory = os.open(f"/proc/{pid}/mem", os.O_RDWR)
    try:
        os.pwrite(memory, loop, int(fields[-1], 16))
    finally:
        os.close(memory)
    before = harness.cpu_seconds(pid)

    def looping():
        # A connection wakes some worker; one that comes while another worker is awake may be taken by that one.
        with contextlib.suppress(OSError), Connection(address) as connection:
            connection.request("/a.txt")
        return harness.cpu_seconds(pid) > before + 0.03

    wait_until(looping, f"worker {pid} in its endless loop")


def test_each_worker_killed_in_turn_under_load_is_replaced_and_the_others_are_undisturbed(session):
    daemon = session.start(session.pool(workers=4))
    files = {"/a.txt": (session.site / "a.txt").read_bytes(), "/": (session.site / "index.html").read_bytes()}
    with contextlib.ExitStack() as stack:
        load = stack.enter_context(Load(daemon.address(), files, short=2, keep_alive=2, tolerate=KILLED))
        for slot in range(4):
            before = daemon.workers()
            held = connection_on_each(daemon, stack)
            victim = before[slot]
            mark = daemon.log.mark()
            daemon.kill_worker(victim)
            daemon.wait(rf"files/worker\[{slot}\] gen=1 pid={victim}: killed by signal 9 \(SIGKILL\) after ", mark)
            daemon.wait(rf"files/worker\[{slot}\] gen=1 pid=\d+: ready", mark)
            after = daemon.workers()
            assert after[slot] != victim
            assert {s: p for s, p in after.items() if s != slot} == {s: p for s, p in before.items() if s != slot}
            for pid, connection in held.items():
                if pid != victim:
                    assert connection.get("/a.txt").body == files["/a.txt"]
                    assert harness.holder_of(connection, [pid]) == pid
            load.wait_for(50)
        load.stop()
        assert load.failures == []
        assert load.cuts <= 4 * 4, "a crash costs at most what was inside the crashed worker"


def test_a_worker_that_had_served_is_replaced_at_once_however_often_it_dies(session):
    daemon = session.start(session.pool(workers=1))
    for _ in range(10):
        pid = daemon.workers()[0]
        get(daemon.address())
        mark = daemon.log.mark()
        daemon.kill_worker(pid)
        daemon.wait(r"files/worker\[0\] gen=1 pid=\d+: ready", mark)
        assert not daemon.log.find(r"backoff", mark), "no client may throttle the service by crashing his own requests"


def test_the_obituary_counts_what_the_worker_served(session):
    daemon = session.start(session.pool(workers=1))
    with Connection(daemon.address()) as connection:
        get(daemon.address())
        for _ in range(6):  # a request is counted a moment after its answer: the last may be missing
            connection.get("/a.txt")
        daemon.kill_worker(daemon.workers()[0])
        daemon.wait(r"error +files/worker\[0\] gen=1 pid=\d+: killed by signal 9 \(SIGKILL\) after \S+.*, "
                    r"2 connections, [67] requests")
    daemon.wait(r"gen=1 pid=\d+: ready", count=2)


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGBUS"])
def test_a_crash_is_told_by_its_signal(session, name):
    daemon = session.start(session.pool(workers=1, rlimits={"core": "0"}))
    number = getattr(signal, name)
    mark = daemon.log.mark()
    daemon.kill_worker(daemon.workers()[0], number)
    daemon.wait(rf"error +files/worker\[0\] .*: killed by signal {int(number)} \({name}\) after", mark)
    daemon.wait(r"gen=1 pid=\d+: ready", mark)
    assert get(daemon.address(), "/a.txt").status == 200


def test_when_the_master_is_killed_its_workers_end_within_a_second_and_a_new_start_gets_the_port(session):
    port = harness.free_port()
    daemon = session.start(session.pool(listen=[f"127.0.0.1:{port}"], workers=3))
    daemon.expected_status = -signal.SIGKILL
    daemon.expect(r".*")  # what dying workers say about their master is theirs
    pids = list(daemon.workers().values())
    with Connection(("127.0.0.1", port)) as idle:
        idle.get("/")
        daemon.send(signal.SIGKILL)
        assert daemon.wait_exit() == -signal.SIGKILL
        reap_orphans(pids)
    again = session.start(session.pool(listen=[f"127.0.0.1:{port}"], workers=1))
    assert get(again.address()).status == 200


def test_workers_that_are_stuck_end_too_when_the_master_is_killed(session):
    port = harness.free_port()
    daemon = session.start(session.pool(listen=[f"127.0.0.1:{port}"], workers=2))
    daemon.expected_status = -signal.SIGKILL
    daemon.expect(r".*")
    pids = list(daemon.workers().values())
    for pid in pids:
        make_stuck(pid, ("127.0.0.1", port))
    daemon.send(signal.SIGKILL)
    assert daemon.wait_exit() == -signal.SIGKILL
    reap_orphans(pids)
    again = session.start(session.pool(listen=[f"127.0.0.1:{port}"], workers=1))
    assert get(again.address()).status == 200


def test_workers_that_somebody_has_stopped_end_as_soon_as_they_may_run_when_the_master_was_killed(session):
    """A stopped process does not run the handler of its parent death signal; only KILL would end it, and that would
    leave no worker the time to finish what it serves. (The kernel does not continue them either: their process group
    was orphaned before, since the master leads its session.)"""
    daemon = session.start(session.pool(workers=2))
    daemon.expected_status = -signal.SIGKILL
    daemon.expect(r".*")
    pids = list(daemon.workers().values())
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda pid=pid: harness.process(pid).state == "T", f"worker {pid} stopped")
    daemon.send(signal.SIGKILL)
    assert daemon.wait_exit() == -signal.SIGKILL
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    reap_orphans(pids)


def test_an_answer_that_is_under_way_is_finished_when_the_master_is_killed(session):
    body = session.big_file(size=8 << 20)
    daemon = session.start(session.pool(workers=1))
    daemon.expected_status = -signal.SIGKILL
    daemon.expect(r".*")
    pids = list(daemon.workers().values())
    with Connection(daemon.address(), receive_buffer=64 * 1024) as connection:
        connection.request("/big.bin")
        answer = connection.head()
        daemon.send(signal.SIGKILL)
        daemon.wait_exit()
        assert connection.body(answer).body == body
    reap_orphans(pids)


def test_a_pool_that_never_becomes_ready_ends_the_boot_with_status_3_and_the_reason(session):
    daemon = session.start(session.pool() + session.dying_pool(workers=1, start_attempts=4, max_backoff="2s"),
                           ready=False)
    daemon.expect(r"error ")
    daemon.expect(r"warn ")
    daemon.expected_status = 3
    assert daemon.wait_exit() == 3
    deaths = [match.string for match in daemon.log.find(r"dying/worker\[0\] gen=1 pid=\d+: (exited|killed)")]
    assert len(deaths) == 4
    gaps = [harness.seconds_of(b) - harness.seconds_of(a) for a, b in zip(deaths, deaths[1:])]
    assert gaps[0] > 0.02 and gaps[1] > gaps[0] * 1.3 and gaps[2] > gaps[1] * 1.3, f"starts are spaced out: {gaps}"
    reasons = daemon.log.find(r"error +dying/worker\[0\].*(Permission denied|Operation not permitted)")
    assert reasons, "the worker says why it cannot start"
    assert daemon.log.find(r"error +master: .*dying"), "the master says which pool it was"


def test_a_stop_that_comes_while_the_boot_is_still_trying_ends_it(session):
    daemon = session.start(session.pool() + session.dying_pool(workers=1, start_attempts=1000), ready=False)
    daemon.expect(r"dying/worker")
    daemon.expect(r"warn +master:.*dying")
    daemon.wait(r"dying/worker\[0\] gen=1 pid=\d+: (exited|killed)", count=2)
    daemon.send(signal.SIGTERM)
    assert daemon.wait_exit() == daemon.expected_status
    assert daemon.log.find(r"master: stopped$")


def test_a_worker_that_dies_between_its_siblings_answers_costs_only_what_was_inside_it(session):
    body = session.big_file()
    daemon = session.start(session.pool(workers=2))
    with contextlib.ExitStack() as stack:
        held = connection_on_each(daemon, stack)
        victim, other = held
        for connection in held.values():
            connection.request("/big.bin")
            connection.answer = connection.head()
        daemon.kill_worker(victim)
        assert held[other].body(held[other].answer).body == body
        with pytest.raises(KILLED):
            held[victim].body(held[victim].answer)
        daemon.wait(r"gen=1 pid=\d+: ready", count=3)
        assert is_gone(victim) and not is_gone(other)


def test_a_pool_that_cannot_start_workers_any_more_tries_at_growing_distances_and_recovers(session):
    """Its site is away for a while. A worker that runs still has it open, and goes on."""
    daemon = session.start(session.pool(workers=2, max_backoff="1s"))
    get(daemon.address())
    away = session.folder / "away"
    session.site.rename(away)
    daemon.expect(r"error +files/worker\[0\] gen=1 pid=\d+: exited with status 1")
    mark = daemon.log.mark()
    daemon.kill_worker(daemon.workers()[0])
    daemon.wait(r"files/worker\[0\] .*: exited with status 1 .*No such file", mark, count=4)
    deaths = [harness.seconds_of(match.string) for match in daemon.log.find(r"exited with status 1", mark)]
    gaps = [b - a for a, b in zip(deaths, deaths[1:])]
    assert all(b > a * 1.3 for a, b in zip(gaps, gaps[1:])), gaps
    for _ in range(20):
        assert get(daemon.address(), "/a.txt").status == 200
    away.rename(session.site)
    daemon.wait(r"files/worker\[0\] gen=1 pid=\d+: ready", mark)


def test_many_workers_killed_at_the_same_time_are_all_replaced(session):
    daemon = session.start(session.pool(workers=16))
    before = daemon.workers()
    mark = daemon.log.mark()
    for pid in before.values():
        daemon.kill_worker(pid)
    daemon.wait(r"pid=\d+: ready", mark, count=16)
    after = daemon.workers()
    assert set(after) == set(before) and not set(after.values()) & set(before.values())
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(get(daemon.address()).status)) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 32
