"""The master's part in pools that run programs: their output, their process groups, limits, readiness and stop."""

import contextlib
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import harness
from client import get
from harness import is_gone, table, wait_until
from limits import LIMIT, PRONGD

PYTHON = "/usr/bin/python3"

# A server that accepts by itself.
LISTENER = """
import os, socket, sys
said = {said!r}
if said:
    name = os.environ["NOTIFY_SOCKET"]
    out = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    for text in said:
        out.sendto(text.encode(), "\\0" + name[1:])
listener = socket.socket(fileno=3)
listener.setblocking(True)
while True:
    connection, _ = listener.accept()
    connection.sendall(b"%d\\n" % os.getpid())
    connection.close()
"""


def exec_pool(script, *, name="run", shell=True, graceful_timeout="30s", pool=None, **keys):
    command = ["/bin/sh", "-c", script] if shell else script
    port = 0 if name == "run" else harness.free_port()  # an address belongs to one pool
    return table(f"pool.{name}", listen=[f"127.0.0.1:{port}"], graceful_timeout=graceful_timeout, **(pool or {}),
                 exec={"command": command, **keys})


def listener_pool(session, said=(), **more):
    """A server in Python; said: what it sends to NOTIFY_SOCKET before it accepts."""
    script = session.folder / "server.py"
    script.write_text(LISTENER.format(said=list(said)))
    return exec_pool([PYTHON, str(script)], shell=False, style="listener", **more)


def reap_left():
    """What a test's programs left behind must be dead; as orphans they are ours to reap (harness.become_subreaper)."""
    for found in harness.descendants(os.getpid()):
        if found.parent == os.getpid() and found.name != "prongd":
            wait_until(lambda pid=found.pid: is_gone(pid), f"the end of {found}")
            with contextlib.suppress(ChildProcessError):
                os.waitpid(found.pid, 0)


def programs_and_spares(daemon):
    """The master's children but for the launchers; a spare that a launcher has made has its own session, and its name."""
    found = [child for child in daemon.children() if child.state != "Z"]
    return [child for child in found if child.pid not in launchers(daemon)]


def launchers(daemon):
    """{pid: pool} of the launchers that take orders."""
    return {int(match[2]): match[1] for match in daemon.log.find(r"pool (\w+): its launcher is ready, pid (\d+)")
            if not is_gone(int(match[2]))}


def wait_launcher(daemon, *others):
    """The pid of the launcher that takes orders."""
    wait_until(lambda: set(launchers(daemon)) - set(others), "a launcher")
    (pid,) = set(launchers(daemon)) - set(others)
    return pid


def connect(daemon, name="run"):
    connection = socket.create_connection(daemon.address(name), LIMIT)
    connection.settimeout(LIMIT)
    return connection


def read_line(connection):
    line = b""
    while not line.endswith(b"\n"):
        piece = connection.recv(1)
        if not piece:
            return line
        line += piece
    return line


def is_reset(connection):
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def served_pid(connection):
    """The pid that the program tells first."""
    return int(read_line(connection))


# ---------------------------------------------------------------------------------------------------------- its output


def test_what_a_program_writes_to_standard_error_is_in_the_log_line_by_line(session):
    daemon = session.start(exec_pool(r"printf 'one\n\ntwo \033[31mred\nno end' >&2"))
    with connect(daemon) as connection:
        assert connection.recv(1) == b""
    end = daemon.wait(r"run/worker\[(\d+)\] gen=1 pid=(\d+): program for 127\.0\.0\.1 exited with status 0")
    lines = daemon.log.find(rf"run/worker\[{end[1]}\] gen=1 pid={end[2]}: output: (.*)")
    assert [match[1] for match in lines] == ["one", r"two \x1b[31mred", "no end"]


def test_a_line_without_end_is_cut(session):
    daemon = session.start(exec_pool("head -c 100000 /dev/zero | tr '\\0' x >&2; echo >&2; echo next >&2"))
    with connect(daemon) as connection:
        assert connection.recv(1) == b""
    daemon.wait(r"output: next$")
    (line,) = daemon.log.find(r"output: (x+)(.*)")
    assert len(line[1]) == 8192
    assert line[2] == "..."


def test_a_flood_of_output_slows_the_program_and_nobody_else(session):
    daemon = session.start(exec_pool("yes 0123456789012345678901234567890123456789 >&2") +
                           exec_pool("echo served", name="other"))
    with connect(daemon):
        daemon.wait(r"output: 0123", count=200)
        begin, seen = time.monotonic(), len(daemon.log.lines)
        for _ in range(20):
            with connect(daemon, "other") as connection:
                assert read_line(connection) == b"served\n"
        took, lines = time.monotonic() - begin, len(daemon.log.lines) - seen
        # 64 KiB or 256 lines each 50 ms, and a share at both ends.
        assert lines < 256 * (took / 0.05 + 4) + 1000, f"{lines} lines in {took:.2f} s"
        pid = int(daemon.log.find(r"run/worker\[\d+\] gen=1 pid=(\d+): output: 0123")[0][1])
        daemon.expect(rf"pid={pid}: program for 127\.0\.0\.1 killed by signal 9")
        os.kill(pid, signal.SIGKILL)
    daemon.wait(rf"pid={pid}: program for 127\.0\.0\.1 killed by signal 9")
    reap_left()


def test_a_process_that_left_the_group_and_holds_the_pipe_keeps_nothing_alive(session):
    daemon = session.start(exec_pool("setsid sh -c 'echo $$; exec sleep 1000' & cat"))
    with connect(daemon) as connection:
        pid = served_pid(connection)  # from here on it has a session of its own
        connection.shutdown(socket.SHUT_WR)
        daemon.wait(r"program for 127\.0\.0\.1 exited with status 0")
    try:
        assert not is_gone(pid)
        daemon.check_quiet()  # no descriptor of it is left
    finally:
        os.kill(pid, signal.SIGKILL)
        reap_left()


def test_output_of_a_program_that_accepts_by_itself_goes_to_the_log_too(session):
    daemon = session.start(exec_pool("echo to stdout; echo to stderr >&2; exec sleep 1000", style="listener",
                                     ready="50ms", pool={"workers": 1}))
    daemon.wait("output: to stdout$")
    daemon.wait("output: to stderr$")


# ------------------------------------------------------------------------------------------------------------ its group


def test_what_a_program_started_ends_with_it(session):
    daemon = session.start(exec_pool("sleep 1000 & echo $!"))
    with connect(daemon) as connection:
        pid = served_pid(connection)
        wait_until(lambda: is_gone(pid), "the end of what the program started")
    daemon.wait(r"program for 127\.0\.0\.1 exited with status 0")
    reap_left()


def test_a_crash_is_an_error_a_status_is_information_and_a_client_that_left_is_no_crash(session):
    daemon = session.start(exec_pool("read -r what; eval $what"))
    for what, level, end in (("kill -SEGV $$", "error", r"killed by signal 11 \(SIGSEGV"),
                             ("exit 7", "info", "exited with status 7"),
                             ("kill -PIPE $$", "info", r"killed by signal 13 \(SIGPIPE")):
        daemon.expect(r"killed by signal 11 \(SIGSEGV")
        mark = daemon.log.mark()
        with connect(daemon) as connection:
            connection.sendall(what.encode() + b"\n")
            assert connection.recv(1) == b""
        daemon.wait(rf" {level} +run/\S+ gen=1 pid=\d+: program for 127\.0\.0\.1 {end}", mark)


# -------------------------------------------------------------------------------------------------------------- limits


def test_one_address_gets_no_more_than_its_programs_and_a_unix_client_any_number(session):
    path = session.folder / "run.sock"
    daemon = session.start(table("pool.run", listen=["127.0.0.1:0", f"unix:{path}"],
                                 exec={"command": ["/bin/sh", "-c", "echo $$; exec cat"], "max_per_address": 2}))
    daemon.expect(r"pool run: refused a connection from 127\.0\.0\.1, which has max_per_address = 2 already")
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(connect(daemon)) for _ in range(2)]
        pids = [served_pid(connection) for connection in held]
        assert len(set(pids)) == 2
        for _ in range(3):
            with contextlib.suppress(ConnectionResetError), connect(daemon) as refused:  # as early as in connect()
                assert is_reset(refused)
        for _ in range(3):
            local = stack.enter_context(socket.socket(socket.AF_UNIX))
            local.settimeout(LIMIT)
            local.connect(str(path))
            assert served_pid(local) > 0
        held[0].shutdown(socket.SHUT_WR)
        daemon.wait(rf"pid={pids[0]}: program for 127\.0\.0\.1 exited with status 0")
        assert served_pid(stack.enter_context(connect(daemon))) > 0
    assert len(daemon.log.find("refused a connection")) <= 2


def test_above_max_connections_clients_wait_for_their_turn(session):
    daemon = session.start(exec_pool("echo $$; exec cat", spare=2, max_connections=3))
    wait_launcher(daemon)
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(connect(daemon)) for _ in range(3)]
        pids = [served_pid(connection) for connection in held]
        assert len(set(pids)) == 3
        waiting = [stack.enter_context(connect(daemon)) for _ in range(2)]
        for connection in waiting:
            connection.settimeout(0.2)
            with pytest.raises(TimeoutError):
                connection.recv(1)
            connection.settimeout(LIMIT)
        assert sum(not is_gone(child.pid) for child in programs_and_spares(daemon)) == 3
        held[1].shutdown(socket.SHUT_WR)
        assert served_pid(waiting[0]) not in pids


def test_many_connections_at_once_and_one_after_the_other_are_all_served(session):
    daemon = session.start(exec_pool("echo $$", spare=4, max_connections=20), level="info")
    pids = set()
    for _ in range(10):
        with contextlib.ExitStack() as stack:
            for connection in [stack.enter_context(connect(daemon)) for _ in range(30)]:
                pids.add(served_pid(connection))
    assert len(pids) == 300
    wait_until(lambda: len(daemon.log.find(r"program for 127\.0\.0\.1 exited with status 0")) == 300, "300 obituaries")


def test_ttin_and_ttou_change_no_spares(session):
    daemon = session.start(exec_pool("echo $$"))
    wait_launcher(daemon)
    daemon.send(signal.SIGTTIN)
    daemon.wait("pool run: unchanged, its workers come and go with connections")
    assert len(programs_and_spares(daemon)) == 4


def test_the_status_tells_spare_and_busy(session):
    notify = session.notify()
    daemon = session.start(exec_pool("echo $$; exec cat"), environment={"NOTIFY_SOCKET": notify.path})
    notify.wait(STATUS="generation 1, pool run 4 spare, 0 busy")
    with connect(daemon) as connection:
        served_pid(connection)
        notify.wait(STATUS="generation 1, pool run 4 spare, 1 busy")


# ---------------------------------------------------------------------------------------------------------- readiness


def test_a_program_is_ready_when_it_has_survived(session):
    daemon = session.start(exec_pool("exec sleep 1000", style="listener", ready="300ms", pool={"workers": 2}))
    ready = [harness.seconds_of(line) for line in daemon.log.lines if re.search(r"run/\S+ gen=1 pid=\d+: ready after", line)]
    born = [harness.seconds_of(line) for line in daemon.log.lines if "vacant -> starting" in line]
    assert len(ready) == 2
    assert min(ready) - max(born) >= 0.29


def test_a_program_that_says_ready_is_ready_and_its_status_is_told(session):
    daemon = session.start(listener_pool(session, ["STATUS=warming \x1b[1mup", "STATUS=warming \x1b[1mup", "READY=1\nSTATUS=up"],
                                         ready="notify", pool={"workers": 1}))
    with connect(daemon) as connection:
        assert served_pid(connection) == daemon.workers("run")[0]
    assert [match[1] for match in daemon.log.find(r"run/\S+ gen=1 pid=\d+: status: (.*)")] == \
        [r"warming \x1b[1mup", "up"]


def test_a_program_that_never_says_ready_ends_the_boot(session):
    daemon = session.start(exec_pool("exec sleep 1000", style="listener", ready="notify",
                                     pool={"workers": 1, "start_timeout": "200ms", "start_attempts": 1}), ready=False)
    daemon.expect("killed by the master: it was not ready within start_timeout = 200ms")
    daemon.expect("cannot start: pool run")
    daemon.expected_status = 3
    assert daemon.wait_exit() == 3


def test_a_program_that_dies_before_it_is_ready_fails_the_reload(session):
    daemon = session.start(listener_pool(session, ready="100ms", pool={"workers": 1}))
    with connect(daemon) as connection:
        before = served_pid(connection)
    script = session.folder / "server.py"
    script.write_text("import sys; sys.exit(9)")
    lines = daemon.reload_fails()
    assert any("program exited with status 9" in line for line in lines)
    with connect(daemon) as connection:
        assert served_pid(connection) == before


@pytest.mark.root
def test_a_stranger_cannot_say_that_a_program_is_ready(session):
    daemon = session.start(exec_pool("echo notify $NOTIFY_SOCKET; exec sleep 1000", style="listener", ready="notify",
                                     pool={"workers": 1}), ready=False)
    name = daemon.wait(r"output: notify @(\S+)")[1]
    say = ("import socket; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)"
           f".sendto(b'READY=1\\nSTATUS=%s', '\\0' + '{name}')")
    subprocess.run([PYTHON, "-c", say.replace("%s", "stranger")], user="nobody", check=True, timeout=LIMIT)
    # Datagrams arrive in order: when ours is there, the stranger's was looked at.
    subprocess.run([PYTHON, "-c", say.replace("%s", "owner").replace("READY", "NOTHING")], check=True, timeout=LIMIT)
    daemon.wait("status: owner")
    assert not daemon.log.find("status: stranger|: ready after")
    daemon.expect("was not ready|killed by signal|cannot start")
    daemon.baseline = None


# ------------------------------------------------------------------------------------------- whether accept() may wait

# Makes its socket non-blocking unless a file says not to; ready as soon as that is done.
MODE = """
import os, signal, socket, sys
if not os.path.exists("leave"):
    os.set_blocking(3, False)
out = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
out.sendto(b"READY=1", "\\0" + os.environ["NOTIFY_SOCKET"][1:])
signal.pause()
"""


def mode_pool(session, command=(), **keys):
    (session.folder / "mode.py").write_text(MODE)
    return exec_pool([PYTHON, "mode.py", *command], shell=False, style="listener", ready="notify", cwd=session.folder,
                     pool={"workers": 2}, **keys)


def waits_in_accept(daemon):
    """Whether the sockets of the daemon's only listener are blocking: the flag that all who hold it share."""
    (number,) = [number for number, target in harness.descriptors(daemon.pid).items() if is_listening(target)]
    flags = re.search(r"^flags:\s*(\d+)", Path(f"/proc/{daemon.pid}/fdinfo/{number}").read_text(), re.MULTILINE)
    return not int(flags[1], 8) & os.O_NONBLOCK


def is_listening(target):
    return any(target == f"socket:[{inode}]" for inode in harness.listening_sockets())


def test_a_program_that_made_its_sockets_non_blocking_keeps_them_so_beside_later_copies(session):
    daemon = session.start(mode_pool(session))
    assert not waits_in_accept(daemon)
    (session.folder / "leave").touch()
    first, second = daemon.workers("run").values()
    mark = daemon.log.mark()
    daemon.expect(rf"pid={second}: program killed by signal 9")
    os.kill(second, signal.SIGKILL)
    daemon.wait(r"run/\S+ gen=1 pid=\d+: ready after", mark)
    assert not is_gone(first) and not waits_in_accept(daemon)
    daemon.reload()
    assert not waits_in_accept(daemon)


def test_another_program_gets_its_sockets_as_its_pool_says(session):
    daemon = session.start(mode_pool(session))
    (session.folder / "leave").touch()
    daemon.reload(mode_pool(session, ["another"]))
    assert waits_in_accept(daemon)
    daemon.reload(mode_pool(session, ["another"], nonblocking=True))
    assert not waits_in_accept(daemon)


def test_a_reload_that_fails_leaves_the_sockets_of_those_who_serve_as_they_were(session):
    pool = table("pool.run", listen=["127.0.0.1:0"], workers=2, respond={"body": "still there"})
    daemon = session.start(pool)
    assert not waits_in_accept(daemon)
    daemon.expect("program exited with status 9")  # by the second one, maybe after the verdict
    lines = daemon.reload_fails(exec_pool("exit 9", style="listener", ready="1s"))
    assert any("program exited with status 9" in line for line in lines)
    assert not waits_in_accept(daemon)
    assert get(daemon.address("run")).body == b"still there"


def test_workers_that_follow_a_program_never_wait_in_accept(session):
    daemon = session.start(listener_pool(session, ["READY=1"], ready="notify", pool={"workers": 1}))
    assert waits_in_accept(daemon)
    daemon.reload(table("pool.run", listen=["127.0.0.1:0"], workers=2, respond={"body": "by prongd"}))
    assert not waits_in_accept(daemon)
    daemon.wait(r"gen=1 pid=\d+: program killed by signal 15")
    assert get(daemon.address("run")).body == b"by prongd"
    daemon.reload(exec_pool("echo $$"))
    assert not waits_in_accept(daemon)
    daemon.wait(r"gen=2 pid=\d+: exited with status 0", count=2)
    daemon.note_baseline()  # spares need more descriptors


# --------------------------------------------------------------------------------------------------------------- stop


@contextlib.contextmanager
def echo_in_a_stop(session):
    """The daemon, and a connection to a program that echoes, of the pid, when a graceful stop has begun."""
    daemon = session.start(exec_pool("echo $$; exec cat"))
    with connect(daemon) as connection:
        pid = served_pid(connection)
        daemon.send(signal.SIGTERM)
        daemon.wait(rf"pid={pid}: taken -> draining")
        yield daemon, connection, pid


def test_a_running_program_has_the_grace_at_a_stop(session):
    with echo_in_a_stop(session) as (daemon, connection, pid):
        connection.sendall(b"still there\n")
        assert read_line(connection) == b"still there\n"
    assert daemon.wait_exit() == 0
    daemon.wait(rf"pid={pid}: program for 127\.0\.0\.1 exited with status 0")


def test_after_the_grace_the_stop_signal_goes_to_the_whole_group(session):
    daemon = session.start(exec_pool("trap '' TERM; (trap - TERM INT; exec sleep 1000) & echo $$; echo $!; wait",
                                     graceful_timeout="100ms", stop_signal="INT"))
    with connect(daemon) as connection:
        leader, child = served_pid(connection), served_pid(connection)
        daemon.send(signal.SIGTERM)
        assert daemon.wait_exit() == 0
    assert is_gone(child)
    daemon.wait(rf" info +run/\S+ gen=1 pid={leader}: program for 127\.0\.0\.1 (killed by signal 2|exited with status 130)")
    reap_left()


def test_a_program_that_ignores_its_stop_signal_is_killed_with_its_children(session):
    daemon = session.start(exec_pool("trap '' TERM; sleep 1000 & echo $$; echo $!; while :; do sleep 1000; done",
                                     graceful_timeout="100ms"))
    daemon.expect("killed by the master: it did not stop within its grace")
    with connect(daemon) as connection:
        leader, child = served_pid(connection), served_pid(connection)
        begin = time.monotonic()
        daemon.send(signal.SIGTERM)
        assert daemon.wait_exit() == 0
        assert time.monotonic() - begin > 5
    assert is_gone(leader)
    assert is_gone(child)
    reap_left()


def test_a_fast_stop_does_not_wait_for_programs(session):
    with echo_in_a_stop(session) as (daemon, _, pid):
        daemon.send(signal.SIGTERM)
        assert daemon.wait_exit() == 0
    daemon.wait(rf" info +run/\S+ gen=1 pid={pid}: program for 127\.0\.0\.1 killed by signal 15")


def test_a_reload_lets_programs_finish_and_new_connections_get_the_new_program(session):
    daemon = session.start(exec_pool("echo $$; echo old; exec cat"))
    with connect(daemon) as old:
        pid = served_pid(old)
        assert read_line(old) == b"old\n"
        daemon.wait(r"run/\S+ gen=1 pid=\d+: ready", count=5)  # the spare in its place, which comes a moment later
        text = daemon.config_path.read_text()
        assert daemon.reload(text.replace("echo old", "echo new")) == 2
        daemon.wait(r"run/\S+ gen=1 pid=\d+: exited with status 0", count=4)  # until then a spare of old may accept
        with connect(daemon) as new:
            served_pid(new)
            assert read_line(new) == b"new\n"
        old.sendall(b"still there\n")
        assert read_line(old) == b"still there\n"
    daemon.wait(rf"gen=1 pid={pid}: program for 127\.0\.0\.1 exited with status 0")


def test_a_program_that_accepts_by_itself_is_asked_at_once_and_may_end_by_the_signal(session):
    daemon = session.start(listener_pool(session, ["READY=1"], ready="notify", pool={"workers": 2}))
    pids = daemon.workers("run")
    assert len(pids) == 2
    daemon.stop()
    for pid in pids.values():
        daemon.wait(rf" info +run/\S+ gen=1 pid={pid}: program killed by signal 15")


def test_a_program_has_the_soft_limit_that_the_daemon_was_started_with_and_the_master_more(session):
    soft, hard = 256, 2048
    limits = (resource.RLIMIT_NOFILE, (soft, hard))
    daemon = session.start(exec_pool("ulimit -Sn; ulimit -Hn"), preexec=lambda: resource.setrlimit(*limits))
    with connect(daemon) as connection:
        assert read_line(connection) == b"%d\n" % soft
        assert read_line(connection) == b"%d\n" % hard
    assert resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE) == (hard, hard)


# ---------------------------------------------------------------------------------------------------------- its launcher


def connections_answered(daemon, count):
    """Pids of the programs that served `count` connections one after the other."""
    pids = []
    for _ in range(count):
        with connect(daemon) as connection:
            pids.append(served_pid(connection))
    return pids


def next_spare(daemon):
    """The one spare that waits, made by the launcher."""
    connections_answered(daemon, 2)
    daemon.wait(r"program for 127\.0\.0\.1 exited with status 0", count=2)
    wait_until(lambda: len(programs_and_spares(daemon)) == 1, "a spare")
    return programs_and_spares(daemon)[0]


def test_spares_come_from_a_launcher_and_are_children_of_the_master(session):
    daemon = session.start(exec_pool("echo $$; cut -d' ' -f4 /proc/$$/stat", spare=2))
    launcher = wait_launcher(daemon)
    parents = set()
    for _ in range(10):
        with connect(daemon) as connection:
            served_pid(connection)
            parents.add(int(read_line(connection)))
    assert parents == {daemon.pid}
    assert set(launchers(daemon)) == {launcher}


def test_a_launcher_that_is_killed_costs_no_connection_and_is_replaced(session):
    daemon = session.start(exec_pool("echo $$", spare=2))
    daemon.expect("pool run: its launcher: killed by signal 9")
    launcher = wait_launcher(daemon)
    for _ in range(3):
        connections_answered(daemon, 5)
        os.kill(launcher, signal.SIGKILL)
        assert len(set(connections_answered(daemon, 10))) == 10
        launcher = wait_launcher(daemon, launcher)
    daemon.wait("pool run: its launcher: killed by signal 9", count=3)


def test_a_launcher_that_hangs_is_given_up_and_costs_no_connection(session):
    daemon = session.start(exec_pool("echo $$", spare=2))
    daemon.expect("pool run: its launcher: it does not answer; the master forks its spares")
    launcher = wait_launcher(daemon)
    os.kill(launcher, signal.SIGSTOP)
    assert len(set(connections_answered(daemon, 10))) == 10
    daemon.wait("pool run: its launcher: it does not answer")
    wait_until(lambda: is_gone(launcher), "the end of the launcher")
    wait_launcher(daemon)


def test_a_reload_replaces_the_launcher_and_a_failed_one_does_not(session):
    daemon = session.start(exec_pool("echo $$"))
    first = wait_launcher(daemon)
    text = daemon.config_path.read_text()
    daemon.expect("gen=2 pid=.* exited with status 1")  # whichever copies had started when the first one failed
    daemon.reload_fails(text.replace("/bin/sh", "/nowhere/sh"))
    assert set(launchers(daemon)) == {first}
    daemon.reload(text.replace("echo $$", "echo $$; echo new"))
    wait_launcher(daemon, first)
    wait_until(lambda: is_gone(first), "the end of the first launcher")


def test_without_the_file_of_the_launcher_programs_run_all_the_same(session):
    alone = session.folder / "prongd"
    shutil.copy(PRONGD, alone)
    daemon = session.start(exec_pool("echo $$", spare=2), program=str(alone))
    assert len(set(connections_answered(daemon, 10))) == 10
    assert not launchers(daemon)


@pytest.mark.root
def test_a_launcher_runs_as_the_pools_user_and_its_memory_is_not_that_users(session):
    daemon = session.start(exec_pool("id -un; cat /proc/$1/environ", pool={"user": "nobody"}))
    launcher = wait_launcher(daemon)
    status = dict(line.split(":\t") for line in open(f"/proc/{launcher}/status"))
    assert set(status["Uid"].split()) == {"65534"}
    # Not dumpable: its files in /proc belong to root (proc(5)).
    assert os.stat(f"/proc/{launcher}/mem").st_uid == 0


def test_a_spare_of_a_launcher_that_gets_a_signal_leaves_and_serves_first_what_waits(session):
    daemon = session.start(exec_pool("echo $$", spare=1))
    launcher = wait_launcher(daemon)
    spare = next_spare(daemon)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGUSR1, signal.SIGTSTP):
        os.kill(spare.pid, number)
    os.kill(spare.pid, signal.SIGTERM)
    daemon.wait(rf"pid={spare.pid}: drains: SIGTERM from pid {os.getpid()} uid {os.getuid()}")
    daemon.wait(rf"pid={spare.pid}: exited with status 0")
    assert len(connections_answered(daemon, 2)) == 2
    assert set(launchers(daemon)) == {launcher}


def test_signals_that_a_spare_got_are_not_for_its_program(session):
    daemon = session.start(exec_pool("echo $$; cat", spare=1))
    wait_launcher(daemon)
    spare = next_spare(daemon)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGUSR1, signal.SIGALRM, signal.SIGTSTP):
        os.kill(spare.pid, number)
    with connect(daemon) as connection:
        assert served_pid(connection) == spare.pid
        connection.sendall(b"alive\n")
        assert read_line(connection) == b"alive\n"


if __name__ == "__main__":
    sys.exit(pytest.main([__file__]))
