"""What a worker has from its master is exactly the list: descriptors, signals, user, groups, environment, title."""

import grp
import os
import pwd
import re
import signal
import subprocess

import pytest

import harness
from client import Connection
from harness import wait_until

UNBLOCKABLE = {signal.SIGKILL, signal.SIGSTOP}
FAULTS = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP, signal.SIGSYS, signal.SIGABRT}
REAL_TIME = set(range(32, 65))  # 32 and 33 are the C library's own


def kinds(pid):
    """The descriptors of a process without its numbers: sockets by what they are."""
    return sorted(re.sub(r":\[\d+\]", "", target) for target in harness.descriptors(pid).values())


def test_a_worker_holds_its_own_descriptors_and_no_other(session):
    """0 to 2, its listeners, its channel, its epoll, its signalfd, its root; of the other pool and of the siblings'
    channels nothing. Whoever adds a descriptor to the workers adds it here."""
    daemon = session.start(session.pool(workers=2, listen=["127.0.0.1:0", "[::1]:0"]) +
                           session.pool("more", workers=1))
    for pid in daemon.workers().values():
        held = harness.descriptors(pid)
        assert held.pop(0) == "/dev/null"
        assert {held.pop(1).partition(":")[0], held.pop(2).partition(":")[0]} == {"pipe"}
        names = sorted(re.sub(r":\[\d+\]", "", target) for target in held.values())
        expected = ["anon_inode:[eventpoll]", "anon_inode:[signalfd]", str(session.site), "socket", "socket", "socket"]
        assert names == sorted(expected), held


def test_workers_started_late_hold_no_more_than_the_first(session):
    """After reloads and crashes there is more in the master that could leak into a fork."""
    daemon = session.start(session.pool(workers=2))
    first = kinds(daemon.workers()[0])
    for _ in range(3):
        daemon.reload()
    mark = daemon.log.mark()
    daemon.kill_worker(daemon.workers()[1])
    daemon.wait(r"files/worker\[1\] gen=4 pid=\d+: ready", mark)
    assert kinds(daemon.workers()[1]) == first


def test_what_the_caller_left_open_reaches_no_worker(session):
    read_end, write_end = os.pipe()
    try:
        daemon = session.start(session.pool(workers=1), pass_fds=[read_end, write_end])
        name = f"pipe:[{os.fstat(read_end).st_ino}]"
        assert name not in harness.descriptors(daemon.workers()[0]).values()
    finally:
        os.close(read_end)
        os.close(write_end)


def test_the_signals_of_a_worker_are_the_list_whatever_the_caller_ignored_or_blocked(session):
    ignored_by_caller = (signal.SIGHUP, signal.SIGTERM, signal.SIGCHLD, signal.SIGUSR1, signal.SIGPIPE, signal.SIGQUIT)

    def spoil():
        for number in ignored_by_caller:
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGALRM, signal.SIGSEGV})

    plain = session.start(session.pool(workers=1))
    spoiled = session.start(session.pool(workers=1), preexec=spoil)
    seen = []
    for daemon in (plain, spoiled):
        found = harness.status(daemon.workers()[0])
        seen.append({key: harness.signal_set(found[key]) for key in ("SigBlk", "SigIgn", "SigCgt")})
    assert seen[0] == seen[1], "a worker's signals do not depend on who started the master"
    blocked, ignored, caught = seen[0]["SigBlk"], seen[0]["SigIgn"], seen[0]["SigCgt"]
    assert signal.SIGTERM in blocked, "TERM is data: read from the signalfd"
    assert not blocked & (FAULTS | UNBLOCKABLE), "a fault must kill at once"
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTTIN,
                   signal.SIGTTOU, signal.SIGPIPE):
        assert number in ignored | blocked, f"{number.name} would end a worker"
    assert signal.SIGCHLD not in ignored, "ignored, it would reap what nobody asked for"
    assert not ignored & FAULTS
    assert len(caught - REAL_TIME) <= 2, f"caught: {caught}"


def test_the_master_reaps_even_if_its_caller_ignored_sigchld(session):
    daemon = session.start(session.pool(workers=1),
                           preexec=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    mark = daemon.log.mark()
    daemon.kill_worker(daemon.workers()[0])
    daemon.wait(r"killed by signal 9", mark)
    daemon.wait(r"pid=\d+: ready", mark)


@pytest.mark.root
def test_a_worker_runs_as_the_user_and_groups_that_the_config_says_and_gains_no_privileges(session):
    nobody = pwd.getpwnam("nobody")
    daemon = session.start(session.pool(workers=1, user="nobody") +
                           session.pool("mail", workers=1, user="nobody", group="mail"))
    for pool, gid in (("files", nobody.pw_gid), ("mail", grp.getgrnam("mail").gr_gid)):
        found = harness.status(daemon.workers(pool)[0])
        assert set(found["Uid"].split()) == {str(nobody.pw_uid)}
        assert set(found["Gid"].split()) == {str(gid)}
        groups = set(os.getgrouplist("nobody", gid))
        assert {int(number) for number in found["Groups"].split()} <= groups
        assert found["NoNewPrivs"] == "1"
        assert int(found["CapEff"], 16) == 0 and int(found["CapPrm"], 16) == 0
    mark = daemon.log.mark()
    # PR_SET_PDEATHSIG is lost when the uid changes, unless it is set after that.
    daemon.kill_worker(daemon.workers()[0])
    daemon.wait(r"files/worker\[0\] gen=1 pid=\d+: ready", mark)


@pytest.mark.root
def test_workers_of_another_user_end_too_when_the_master_is_killed(session):
    daemon = session.start(session.pool(workers=2, user="nobody"))
    daemon.expect(".*")
    daemon.expected_status = -signal.SIGKILL
    pids = list(daemon.workers().values())
    daemon.send(signal.SIGKILL)
    daemon.wait_exit()
    harness.reap_orphans(pids)


def test_the_master_keeps_its_user_and_a_worker_without_one_too(session):
    daemon = session.start(session.pool(workers=1))
    for pid in (daemon.pid, daemon.workers()[0]):
        assert set(harness.status(pid)["Uid"].split()) == {str(os.getuid())}
    assert harness.status(daemon.workers()[0])["NoNewPrivs"] == "1"


def test_umask_and_limits_are_those_of_the_config(session):
    daemon = session.start(session.pool(workers=1, umask="0027", rlimits={"nofile": 123, "core": "0"}))
    pid = daemon.workers()[0]
    assert harness.status(pid)["Umask"] == "0027"
    limits = open(f"/proc/{pid}/limits", encoding="ascii").read()
    assert re.search(r"Max open files +123 +123 ", limits)
    assert re.search(r"Max core file size +0 +0 ", limits)


def test_what_systemd_told_the_master_does_not_stay_in_the_environment(session):
    """A worker that turns into another program must not talk to systemd in the master's name."""
    notify = session.notify()
    daemon = session.start(session.pool(workers=1), environment={"NOTIFY_SOCKET": notify.path, "MARK": "stays"})
    gdb = "/usr/bin/gdb"
    if not os.path.exists(gdb) or harness.is_sanitized():
        pytest.skip("needs gdb to ask the C library of a running worker, and no sanitizer")
    names = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "MARK")
    calls = [item for name in names
             for item in ("-ex", f'printf "{name}=%d\\n", ((char *(*)(const char *))getenv)("{name}") != 0')]
    out = subprocess.run([gdb, "-nx", "-batch", "-p", str(daemon.workers()[0]), *calls], capture_output=True, text=True,
                         check=False, timeout=harness.LIMIT).stdout
    found = dict(re.findall(r"^([A-Z_]+)=(\d)$", out, re.M))
    if set(found) != set(names):
        pytest.skip(f"gdb could not ask: {out[-300:]}")
    assert {name for name, value in found.items() if value == "1"} == {"MARK"}


def test_ps_tells_master_and_workers_apart(session):
    daemon = session.start(session.pool(workers=1))
    title = open(f"/proc/{daemon.workers()[0]}/cmdline", "rb").read().rstrip(b"\0").decode()
    assert title.startswith("prongd: files/worker[0] gen=1"), title
    master = open(f"/proc/{daemon.pid}/cmdline", "rb").read().rstrip(b"\0").decode()
    assert "worker[" not in master and str(daemon.config_path) in master


def test_the_channel_of_a_worker_closes_when_the_master_lets_go(session):
    """Each worker has its own channel: no sibling holds the other end, or EOF would never come."""
    daemon = session.start(session.pool(workers=2))
    pids = list(daemon.workers().values())
    inodes = [set(t for t in harness.descriptors(pid).values() if t.startswith("socket:")) for pid in pids]
    shared = inodes[0] & inodes[1]
    assert len(shared) == 1, f"siblings share their listener and nothing else: {inodes}"
    with Connection(daemon.address()) as connection:
        assert connection.get("/").status == 200
    wait_until(lambda: not daemon.log.find("channel.*(lost|closed)"), "nothing said")
