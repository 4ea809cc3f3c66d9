"""Stops: graceful, fast, in the middle of other things. And the other signals of the table."""

import contextlib
import os
import signal
import threading
import time

import pytest

import harness
from client import Connection, Load, get
from harness import HeldFork, is_gone, wait_until


def slow_reader(daemon, stack, target="/big.bin"):
    """A connection whose answer is under way: the server cannot be done before the client reads."""
    connection = stack.enter_context(Connection(daemon.address(), receive_buffer=4096))
    connection.request(target)
    return connection, connection.head()


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGQUIT"])
def test_a_stop_signal_stops_gracefully_and_says_who_sent_it(session, name):
    daemon = session.start()
    daemon.check_quiet()
    daemon.send(getattr(signal, name))
    assert daemon.wait_exit() == 0
    assert daemon.log.find(rf"graceful stop asked by {name} from pid {os.getpid()} uid {os.getuid()}")
    assert len(daemon.log.find(r"info +files/worker\[\d\] gen=1 pid=\d+: exited with status 0")) == 2
    assert daemon.log.lines[-1].endswith("master: stopped")


def test_a_graceful_stop_lets_a_running_answer_finish(session):
    body = session.big_file()
    daemon = session.start(session.pool(workers=1))
    with contextlib.ExitStack() as stack:
        connection, answer = slow_reader(daemon, stack)
        daemon.send(signal.SIGTERM)
        daemon.wait(r"graceful stop asked by SIGTERM")
        assert connection.body(answer).body == body
        assert daemon.wait_exit() == 0


def test_a_graceful_stop_serves_what_waits_in_the_backlog(session):
    daemon = session.start(session.pool(workers=2))
    pids = list(daemon.workers().values())
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda pid=pid: harness.process(pid).state == "T", f"worker {pid} stopped")
    with contextlib.ExitStack() as stack:
        waiting = [stack.enter_context(Connection(daemon.address())) for _ in range(100)]
        for connection in waiting:
            connection.request("/a.txt")
        daemon.send(signal.SIGTERM)
        daemon.wait(r"graceful stop asked by SIGTERM")
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        for connection in waiting:  # those that a worker took before it read its Stop may be kept for one request more
            assert connection.response().body == b"a small text\n"
            connection.close()
        assert daemon.wait_exit() == 0


def test_a_graceful_stop_under_load_breaks_no_answer_that_had_begun(session):
    """Connections that come after the end are refused; one that was accepted gets its whole answer."""
    daemon = session.start(session.pool(workers=2))
    refused = (ConnectionRefusedError, )
    files = {"/a.txt": b"a small text\n"}
    with Load(daemon.address(), files, short=0, keep_alive=6, tolerate=refused) as load:
        load.wait_for(100)
        daemon.send(signal.SIGTERM)
        assert daemon.wait_exit() == 0
        load.stop()
    # A connection that the kernel had completed in the instant when the listener closed is reset by it; nothing in
    # user space can know of it. All other failures are ours.
    failures = [failure for failure in load.failures if "ConnectionResetError" not in failure]
    assert failures == [] and load.closes >= 1


def test_at_the_graceful_deadline_what_still_runs_is_cut(session):
    session.big_file()
    daemon = session.start(session.pool(workers=1, graceful_timeout="400ms"))
    daemon.expect(r"warn +files/worker")
    with contextlib.ExitStack() as stack:
        connection, answer = slow_reader(daemon, stack)
        start = time.monotonic()
        daemon.send(signal.SIGTERM)
        assert daemon.wait_exit() == 0
        took = time.monotonic() - start
        assert 0.35 < took < 3 * harness.SCALE
        with pytest.raises(Exception, match="missing|reset"):
            connection.body(answer)


def test_an_idle_connection_gets_its_grace_at_a_stop_and_no_more(session):
    daemon = session.start(session.pool(workers=1, http={"idle_grace": "400ms"}))
    with Connection(daemon.address()) as idle, Connection(daemon.address()) as sender:
        idle.get("/a.txt")
        sender.get("/a.txt")
        start = time.monotonic()
        daemon.send(signal.SIGTERM)
        daemon.wait(r"graceful stop asked by SIGTERM")
        while not sender.get("/a.txt").closes:  # until the worker has read its Stop, it knows nothing of the end
            pass
        assert sender.at_end()
        assert idle.at_end()
        assert 0.3 < time.monotonic() - start < 5 * harness.SCALE
        assert daemon.wait_exit() == 0


def test_a_worker_that_dies_during_the_stop_does_not_hold_it_up(session):
    session.big_file()
    daemon = session.start(session.pool(workers=2))
    with contextlib.ExitStack() as stack:
        connection, answer = slow_reader(daemon, stack)
        daemon.send(signal.SIGTERM)
        daemon.wait(r"graceful stop asked by SIGTERM")
        daemon.kill_worker(harness.holder_of(connection, daemon.workers().values()))
        with pytest.raises(Exception, match="missing|reset"):
            connection.body(answer)
        assert daemon.wait_exit() == 0


def test_a_stopped_master_stops_no_worker(session):
    """Whatever happens to the master, clients do not wait for it."""
    daemon = session.start(session.pool(workers=2))
    daemon.send(signal.SIGSTOP)
    wait_until(lambda: harness.process(daemon.pid).state == "T", "the master stopped")
    victim = daemon.workers()[0]
    for _ in range(50):
        assert get(daemon.address(), "/a.txt").status == 200
    daemon.kill_worker(victim)
    for _ in range(50):
        assert get(daemon.address(), "/a.txt").status == 200
    daemon.send(signal.SIGCONT)
    daemon.wait(rf"pid={victim}: killed by signal 9")
    daemon.wait(r"files/worker\[0\] gen=1 pid=\d+: ready", count=2)


def test_a_worker_that_does_not_answer_is_killed_after_the_deadline(session):
    daemon = session.start(session.pool(workers=2, graceful_timeout="200ms"))
    pid = daemon.workers()[0]
    os.kill(pid, signal.SIGSTOP)
    daemon.expect(rf"pid={pid}: ")
    daemon.send(signal.SIGTERM)
    assert daemon.wait_exit() == 0
    assert daemon.log.find(rf"files/worker\[0\] gen=1 pid={pid}: killed by signal 9")


def test_a_second_stop_signal_makes_it_a_fast_stop(session):
    session.big_file()
    daemon = session.start(session.pool(workers=2))
    with contextlib.ExitStack() as stack:
        connection, answer = slow_reader(daemon, stack)
        daemon.send(signal.SIGTERM)
        daemon.wait(r"graceful stop asked by SIGTERM")
        daemon.expect(r"warn +(files/worker|master: fast stop)")
        daemon.send(signal.SIGTERM)
        daemon.wait(r"fast stop")
        assert daemon.wait_exit() == 0
        with pytest.raises(Exception, match="missing|reset"):
            connection.body(answer)


def test_two_terms_and_an_int_at_once_stop_it_too(session):
    daemon = session.start()
    daemon.expect(r"warn +(files/worker|master: fast stop)")
    daemon.send(signal.SIGTERM)
    daemon.send(signal.SIGINT)
    daemon.send(signal.SIGTERM)
    assert daemon.wait_exit() == 0


def test_a_reload_asked_for_during_a_stop_changes_nothing(session):
    body = session.big_file()
    daemon = session.start(session.pool(workers=1))
    with contextlib.ExitStack() as stack:
        connection, answer = slow_reader(daemon, stack)
        daemon.send(signal.SIGTERM)
        daemon.wait(r"graceful stop asked by SIGTERM")
        daemon.expect(r"warn +master: .*reload")
        daemon.send(signal.SIGHUP)
        assert connection.body(answer).body == body
        assert daemon.wait_exit() == 0
    assert not daemon.log.find(r"gen=2")


def test_a_stop_during_a_reload_ends_both_generations(session):
    daemon = session.start(session.pool(workers=2))
    daemon.write_config(session.pool("slow", workers=1) + session.pool(workers=2))
    daemon.expect(r"(warn|error) +master: .*reload")
    held = HeldFork(daemon, lambda: daemon.send(signal.SIGHUP))
    daemon.wait(r"files/worker\[\d\] gen=2 pid=\d+: ready", count=2)
    assert get(daemon.address()).status == 200
    daemon.send(signal.SIGTERM)
    daemon.wait(r"graceful stop asked by SIGTERM")
    held.release()
    assert daemon.wait_exit() == 0
    assert daemon.log.lines[-1].endswith("master: stopped")
    assert not daemon.log.find("reload done")


def test_a_stop_during_a_reload_does_not_wait_for_a_worker_that_hangs(session):
    daemon = session.start(session.pool(workers=1, graceful_timeout="200ms"))
    daemon.expect(r"(warn|error) ")
    HeldFork(daemon, lambda: daemon.send(signal.SIGHUP))
    daemon.send(signal.SIGTERM)
    assert daemon.wait_exit() == 0
    # The cause is the stop, and not a start_timeout that had a minute left.
    assert daemon.log.find(r"gen=2 pid=\d+: killed by signal 9.*it did not stop within its grace")


@pytest.mark.parametrize("order", [(signal.SIGHUP, signal.SIGTERM), (signal.SIGTERM, signal.SIGHUP)],
                         ids=["hup then term", "term then hup"])
def test_hup_and_term_at_the_same_time_stop_it(session, order):
    daemon = session.start()
    daemon.expect(r"(warn|error) +master: .*reload")
    os.kill(daemon.pid, signal.SIGSTOP)  # so that it finds both at once
    for number in order:
        daemon.send(number)
    os.kill(daemon.pid, signal.SIGCONT)
    assert daemon.wait_exit() == 0
    assert daemon.log.lines[-1].endswith("master: stopped")


def test_a_stop_right_after_the_start_never_hangs(session):
    """Wherever in the boot the signal comes: before the signals are blocked it kills, later it stops in order."""
    for number in range(12):
        daemon = session.start(session.pool(workers=2), ready=False)
        if number % 3 == 1:
            daemon.wait(r"listening on")
        elif number % 3 == 2:
            daemon.wait(r": ready")
        daemon.send(signal.SIGTERM)
        status = daemon.wait_exit()
        daemon.expected_status = status
        if number % 3:
            assert status == 0
        else:
            assert status in (0, -signal.SIGTERM)


def test_ttin_adds_a_worker_and_ttou_takes_one_away_until_the_next_reload(session):
    daemon = session.start(session.pool(workers=2) + session.pool("more", workers=1))
    daemon.send(signal.SIGTTIN)
    daemon.wait(r"files/worker\[2\] gen=1 pid=\d+: ready")
    daemon.wait(r"more/worker\[1\] gen=1 pid=\d+: ready")
    assert len(daemon.workers()) == 3 and len(daemon.workers("more")) == 2
    mark = daemon.log.mark()
    daemon.send(signal.SIGTTOU)
    daemon.wait(r"files/worker\[\d\] gen=1 pid=\d+: exited with status 0", mark)
    daemon.wait(r"more/worker\[\d\] gen=1 pid=\d+: exited with status 0", mark)
    mark = daemon.log.mark()
    daemon.send(signal.SIGTTOU)
    daemon.wait(r"files/worker\[\d\] gen=1 pid=\d+: exited with status 0", mark)
    daemon.send(signal.SIGTTIN)
    daemon.wait(r"files/worker\[\d\] gen=1 pid=\d+: ready", mark)
    daemon.wait(r"more/worker\[\d\] gen=1 pid=\d+: ready", mark)
    assert get(daemon.address()).status == 200 and get(daemon.address("more")).status == 200
    daemon.reload()
    wait_until(lambda: len(daemon.children()) == 3, lambda: f"three workers: {daemon.children()}")
    assert len(daemon.workers(generation=2)) == 2 and len(daemon.workers("more", generation=2)) == 1


def test_ttou_never_takes_the_last_worker(session):
    daemon = session.start(session.pool(workers=2))
    for _ in range(4):
        mark = daemon.log.mark()
        daemon.send(signal.SIGTTOU)
        daemon.wait(r"SIGTTOU", mark)
    wait_until(lambda: len(daemon.children()) == 1, lambda: f"one worker: {daemon.children()}")
    assert get(daemon.address()).status == 200
    daemon.expect_more(workers=-1)


@pytest.mark.parametrize("name", ["SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGTTIN", "SIGTTOU"])
def test_a_worker_ignores_signals_that_are_the_masters_business(session, name):
    daemon = session.start(session.pool(workers=1))
    pid = daemon.workers()[0]
    with Connection(daemon.address()) as connection:
        connection.get("/a.txt")
        os.kill(pid, getattr(signal, name))
        assert connection.get("/a.txt").body == b"a small text\n"
    assert daemon.workers() == {0: pid}


def test_a_terminals_ctrl_c_reaches_all_and_stops_gracefully(session):
    body = session.big_file()
    daemon = session.start(session.pool(workers=2))
    with contextlib.ExitStack() as stack:
        connection, answer = slow_reader(daemon, stack)
        os.killpg(daemon.pid, signal.SIGINT)
        daemon.wait(r"graceful stop asked by SIGINT")
        assert connection.body(answer).body == body
        assert daemon.wait_exit() == 0


def test_term_for_the_whole_control_group_stops_gracefully(session):
    """What systemd does with KillMode=control-group."""
    body = session.big_file()
    daemon = session.start(session.pool(workers=2))
    with contextlib.ExitStack() as stack:
        connection, answer = slow_reader(daemon, stack)
        os.killpg(daemon.pid, signal.SIGTERM)
        daemon.wait(r"graceful stop asked by SIGTERM")
        assert connection.body(answer).body == body
        assert daemon.wait_exit() == 0


def test_term_to_a_worker_drains_it_and_it_is_replaced(session):
    body = session.big_file()
    daemon = session.start(session.pool(workers=1))
    pid = daemon.workers()[0]
    with contextlib.ExitStack() as stack:
        connection, answer = slow_reader(daemon, stack)
        os.kill(pid, signal.SIGTERM)
        assert connection.body(answer).body == body
        connection.close()
    daemon.wait(rf"info +files/worker\[0\] gen=1 pid={pid}: exited with status 0")
    # Its replacement did not wait for the end of the drain, so it has another slot.
    daemon.wait(rf"files/worker\[\d\] gen=1 pid=(?!{pid}\b)\d+: ready")
    assert get(daemon.address()).status == 200


def test_workers_that_are_drained_added_and_taken_away_under_load_cost_no_request(session):
    daemon = session.start(session.pool(workers=2))
    files = {"/a.txt": b"a small text\n"}
    with Load(daemon.address(), files, short=2, keep_alive=3) as load:
        for _ in range(8):
            mark = daemon.log.mark()
            os.kill(next(iter(daemon.workers().values())), signal.SIGTERM)
            daemon.wait(r"gen=1 pid=\d+: exited with status 0", mark)
            daemon.wait(r"gen=1 pid=\d+: ready", mark)
            mark = daemon.log.mark()
            daemon.send(signal.SIGTTIN)
            daemon.wait(r"gen=1 pid=\d+: ready", mark)
            daemon.send(signal.SIGTTOU)
            daemon.wait(r"gen=1 pid=\d+: exited with status 0", mark)
            load.wait_for(20)
        load.stop()
    assert load.failures == []
    wait_until(lambda: len(daemon.children()) == 2, lambda: f"two workers: {daemon.children()}")


def test_usr1_reopens_the_log_file_in_master_and_workers(session):
    path = session.folder / "prongd.log"
    config = harness.table("log", target=path, level="debug") + session.pool(workers=2)
    daemon = session.start(config, log_file=path)
    assert path.stat().st_mode & 0o777 == 0o640
    os.rename(path, session.folder / "prongd.log.1")
    daemon.send(signal.SIGUSR1)
    daemon.wait(r"SIGUSR1")
    wait_until(path.exists, "the log file made anew")
    rotated = session.folder / "prongd.log.1"
    for pid in daemon.workers().values():
        wait_until(lambda pid=pid: str(path) in harness.descriptors(pid).values() and
                   str(rotated) not in harness.descriptors(pid).values(), "a worker with the new file")
    size = rotated.stat().st_size
    daemon.reload()
    daemon.wait(r"gen=1 pid=\d+: exited with status 0", count=2)
    assert rotated.stat().st_size == size
    new = path.read_text()
    assert "reload done: generation 2" in new and "gen=2" in new


def test_usr1_that_cannot_open_the_file_goes_on_with_the_old_one(session):
    folder = session.folder / "log"
    folder.mkdir()
    path = folder / "prongd.log"
    daemon = session.start(harness.table("log", target=path, level="debug") + session.pool(), log_file=path)
    os.rename(folder, session.folder / "moved")
    daemon._log_file = session.folder / "moved" / "prongd.log"
    daemon.expect(r"(warn|error) +master: .*cannot open the log file")
    daemon.send(signal.SIGUSR1)
    wait_until(lambda: "cannot open the log file" in (session.folder / "moved" / "prongd.log").read_text(), "the line")
    assert get(daemon.address()).status == 200


def test_usr1_without_a_log_file_does_nothing(session):
    daemon = session.start()
    daemon.send(signal.SIGUSR1)
    daemon.wait(r"SIGUSR1")
    assert get(daemon.address()).status == 200


def test_usr2_which_has_no_meaning_yet_is_told_and_harmless(session):
    daemon = session.start()
    daemon.expect(r"warn +master: .*SIGUSR2")
    daemon.send(signal.SIGUSR2)
    daemon.wait(r"SIGUSR2")
    assert get(daemon.address()).status == 200


def test_many_stops_in_parallel_daemons_leave_nothing(session):
    daemons = [session.start(session.pool(workers=2)) for _ in range(6)]
    threads = [threading.Thread(target=daemon.stop) for daemon in daemons]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(harness.LIMIT)
    assert all(not daemon.running for daemon in daemons)
    assert all(is_gone(pid) for daemon in daemons for pid in daemon.workers().values())
