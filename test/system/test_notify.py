"""What systemd is told, played with a NOTIFY_SOCKET of the test."""

import contextlib
import signal
import time

import pytest

import harness
from client import Connection, get


def test_ready_is_said_once_when_all_pools_are_ready(session):
    notify = session.notify()
    daemon = session.start(session.pool() + session.pool("more", workers=3),
                           environment={"NOTIFY_SOCKET": notify.path})
    ready = notify.wait(READY="1")
    assert len(daemon.workers()) == 2 and len(daemon.workers("more")) == 3
    status = next(m["STATUS"] for m in reversed(notify.messages) if "STATUS" in m)
    assert "files 2/2" in status and "more 3/3" in status
    assert "\n" not in status and len(status) < 200
    assert notify.messages.count(ready) == 1


def test_ready_is_never_said_when_a_pool_cannot_start(session):
    notify = session.notify()
    daemon = session.start(session.pool() + session.dying_pool(workers=1, start_attempts=2), ready=False,
                           environment={"NOTIFY_SOCKET": notify.path})
    daemon.expect(r"(warn|error) ")
    daemon.expected_status = 3
    assert daemon.wait_exit() == 3
    assert not [m for m in notify.messages if m.get("READY")]


def test_a_reload_says_reloading_with_its_time_and_then_ready(session):
    notify = session.notify()
    daemon = session.start(environment={"NOTIFY_SOCKET": notify.path})
    notify.wait(READY="1")
    for _ in range(3):
        said = notify.mark()
        before = time.clock_gettime(time.CLOCK_MONOTONIC)
        daemon.reload()
        message = notify.wait(said, RELOADING="1")
        after = time.clock_gettime(time.CLOCK_MONOTONIC)
        notify.wait(said, READY="1")
        assert before * 1e6 <= int(message["MONOTONIC_USEC"]) <= after * 1e6
        order = [key for m in notify.messages[said:] for key in m if key in ("RELOADING", "READY")]
        assert order == ["RELOADING", "READY"]


def test_a_failed_reload_is_visible_in_the_status_and_ready_is_said(session):
    notify = session.notify()
    daemon = session.start(environment={"NOTIFY_SOCKET": notify.path})
    notify.wait(READY="1")
    said = notify.mark()
    daemon.reload_fails("this is not toml")
    notify.wait(said, READY="1")
    status = [m["STATUS"] for m in notify.messages[said:] if "STATUS" in m][-1]
    assert "reload" in status and "failed" in status
    said = notify.mark()
    daemon.reload(session.pool())
    notify.wait(said, READY="1")
    status = [m["STATUS"] for m in notify.messages[said:] if "STATUS" in m][-1]
    assert "failed" not in status


def test_ready_is_said_after_a_reload_that_a_stop_ends(session):
    notify = session.notify()
    daemon = session.start(environment={"NOTIFY_SOCKET": notify.path})
    daemon.expect(r"(warn|error) +master: .*reload")
    notify.wait(READY="1")
    said = notify.mark()
    held = harness.HeldFork(daemon, lambda: daemon.send(signal.SIGHUP))
    notify.wait(said, RELOADING="1")
    daemon.send(signal.SIGTERM)
    daemon.wait(r"graceful stop asked by SIGTERM")
    held.release()
    assert daemon.wait_exit() == 0
    keys = [key for m in notify.messages[said:] for key in m if key in ("RELOADING", "READY", "STOPPING")]
    assert keys == ["RELOADING", "READY", "STOPPING"]


def test_stopping_is_said_and_the_time_extended_while_it_drains(session):
    notify = session.notify()
    body = session.big_file()
    daemon = session.start(environment={"NOTIFY_SOCKET": notify.path})
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(Connection(daemon.address(), receive_buffer=4096))
        connection.request("/big.bin")
        answer = connection.head()
        daemon.send(signal.SIGTERM)
        stopping = notify.wait(STOPPING="1")
        after = notify.messages.index(stopping)
        harness.wait_until(lambda: [m for m in notify.messages[after:] if int(m.get("EXTEND_TIMEOUT_USEC", 0)) > 0],
                           "EXTEND_TIMEOUT_USEC")
        assert connection.body(answer).body == body
        assert daemon.wait_exit() == 0


def test_the_watchdog_is_fed_at_half_its_interval_also_while_nothing_happens(session):
    notify = session.notify()
    session.start(environment={"NOTIFY_SOCKET": notify.path, "WATCHDOG_USEC": "1000000"})
    times = []
    for count in range(1, 5):
        notify.wait(WATCHDOG="1", count=count)
        times.append(time.monotonic())
    gaps = [b - a for a, b in zip(times, times[1:])]
    assert max(gaps) < 1.0, "systemd would have restarted it"
    assert sorted(gaps)[1] > 0.3, f"not more often than needed: {gaps}"


def test_a_stopped_master_feeds_no_watchdog(session):
    notify = session.notify()
    daemon = session.start(environment={"NOTIFY_SOCKET": notify.path, "WATCHDOG_USEC": "200000"})
    notify.wait(WATCHDOG="1")
    daemon.send(signal.SIGSTOP)
    harness.wait_until(lambda: harness.process(daemon.pid).state == "T", "the master stopped")
    said = notify.mark()
    with pytest.raises(harness.Late):  # nothing to wait for but time: two intervals without a word
        harness.wait_until(lambda: notify.messages[said:], "a word", limit=0.4)
    daemon.send(signal.SIGCONT)
    notify.wait(said, WATCHDOG="1")


def test_a_watchdog_that_is_for_another_process_is_not_fed(session):
    notify = session.notify()
    daemon = session.start(
        environment={"NOTIFY_SOCKET": notify.path, "WATCHDOG_USEC": "50000", "WATCHDOG_PID": "1"})
    notify.wait(READY="1")
    daemon.reload()
    notify.wait(READY="1", count=2)
    assert not [m for m in notify.messages if "WATCHDOG" in m]


def test_the_status_follows_the_pools(session):
    notify = session.notify()
    daemon = session.start(environment={"NOTIFY_SOCKET": notify.path})
    notify.wait(READY="1")
    said = notify.mark()
    daemon.send(signal.SIGTTIN)
    harness.wait_until(lambda: any("files 3/3" in m.get("STATUS", "") for m in notify.messages[said:]),
                       lambda: f"a STATUS with 3/3: {notify.messages[said:]}")
    daemon.expect_more(workers=1)
    assert get(daemon.address()).status == 200


def test_an_abstract_notify_socket_and_one_that_is_gone_do_no_harm(session):
    daemon = session.start(environment={"NOTIFY_SOCKET": str(session.folder / "nobody-listens")})
    assert get(daemon.address()).status == 200
