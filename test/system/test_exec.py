"""Pools that run programs, as the programs see them: what they are started with, and commands that cannot be run.

What the master does with them (output, groups, limits, stop) is in test_exec_master.py.
"""

import contextlib
import os
import re
import signal
import socket
import threading

import pytest

import harness
from harness import is_gone, signal_set, table, wait_until
from limits import LIMIT

# Prints what it was started with, in one go and without a shell, which would change it.
LOOK = """
import os, sys
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
out = [f"{key}={value}" for key, value in os.environ.items()]
out += ["argv " + repr(sys.argv[1:]), "cwd " + os.getcwd()]
out += [f"{key} {status[key].strip()}" for key in ("SigBlk", "SigIgn", "SigCgt", "NoNewPrivs", "Uid", "Groups")]
mask = os.umask(0)
out += [f"umask {mask:03o}", f"ids {os.getpid()} {os.getpgid(0)} {os.getsid(0)}"]
out += ["fds " + " ".join(sorted(os.listdir("/proc/self/fd"), key=int)[:-1])]
out += [f"blocking {os.get_blocking(fd)}" for fd in (0, 1)]
out += ["same " + str(os.readlink("/proc/self/fd/0") == os.readlink("/proc/self/fd/1"))]
print("\\n".join(out), flush=True)
"""
PYTHON = "/usr/bin/python3"


def look(session, *arguments):
    """A command that prints what it was started with. -S: site-packages have no say; python ignores PIPE and XFSZ by
    itself, so the dispositions are looked at by another program."""
    script = session.folder / "look.py"
    script.write_text(LOOK)
    return [PYTHON, "-IS", str(script), *arguments]


def exec_pool(command, *, name="run", listen=("127.0.0.1:0",), pool=None, **keys):
    return table(f"pool.{name}", listen=list(listen), **(pool or {}), exec={"command": command, **keys})


def connect(address):
    if isinstance(address, str):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(LIMIT)
        connection.connect("\0" + address[1:] if address.startswith("@") else address)
        return connection
    return socket.create_connection(address, LIMIT)


def answer_of(address, say=b""):
    """All that the program says; with what is said to it first, and then the end of our side."""
    with connect(address) as connection:
        connection.sendall(say)
        connection.shutdown(socket.SHUT_WR)
        parts = []
        while data := connection.recv(65536):
            parts.append(data)
        return b"".join(parts).decode()


def echo_of(address, data):
    """Whether all of it comes back, with both directions at work at once."""
    got = bytearray()
    with connect(address) as connection:
        sender = threading.Thread(target=lambda: (connection.sendall(data), connection.shutdown(socket.SHUT_WR)))
        sender.start()
        while piece := connection.recv(1 << 20):
            got += piece
        sender.join()
    return got == data


def seen_by(text):
    """{"SigBlk": "0...", ...} and the environment of what LOOK printed."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("argv "))
    return (dict(line.split(" ", 1) for line in lines[start:]), dict(line.split("=", 1) for line in lines[:start]))


# ------------------------------------------------------------------------------------------------------------ programs


def test_date_answers_and_cat_echoes(session):
    cat = harness.free_port()
    daemon = session.start(exec_pool(["/bin/date", "-u", "+%Y"]) +
                           exec_pool(["cat"], name="echo", listen=[f"127.0.0.1:{cat}"]))
    assert re.fullmatch(r"20\d\d\n", answer_of(daemon.address("run")))
    for size in (1, 100_000, 5_000_000):
        assert echo_of(("127.0.0.1", cat), os.urandom(size))


def test_a_program_starts_clean(session):
    daemon = session.start(exec_pool(look(session, "a", "", "b c"), env={"GREETING": "hello  there"},
                                     pass_env=["PATH", "LANG"]), environment={"SECRET": "x", "LANG": "C.UTF-8"})
    host, port = daemon.address("run")
    seen, environment = seen_by(answer_of((host, port)))
    assert environment.pop("TCPREMOTEPORT").isdigit()
    # LC_CTYPE: python sets it itself (PEP 538).
    environment.pop("LC_CTYPE", None)
    assert environment == {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "GREETING": "hello  there", "PROTO": "TCP",
                           "TCPLOCALIP": "127.0.0.1", "TCPLOCALPORT": str(port), "TCPREMOTEIP": "127.0.0.1"}
    assert seen["argv"] == "['a', '', 'b c']"
    assert seen["cwd"] == "/"
    assert seen["umask"] == "022"
    assert seen["fds"] == "0 1 2"
    assert seen["blocking"] == "True" and seen["same"] == "True"
    assert signal_set(seen["SigBlk"]) == set()
    pid, group, leader = seen["ids"].split()
    assert pid == group == leader


def test_no_signal_is_blocked_or_ignored(session):
    daemon = session.start(exec_pool(["/bin/grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"]))
    lines = dict(line.split(":\t") for line in answer_of(daemon.address("run")).splitlines())
    assert {key: signal_set(mask) for key, mask in lines.items()} == {"SigBlk": set(), "SigIgn": set()}


def test_directory_umask_and_limits_are_the_pools(session):
    (session.folder / "work").mkdir()
    daemon = session.start(exec_pool(["sh", "-c", "pwd; umask; ulimit -n; ulimit -c"], cwd="work",
                                     pool={"umask": "0077", "rlimits": {"nofile": 77, "core": "0"}}))
    assert answer_of(daemon.address("run")).splitlines() == [str(session.folder / "work"), "0077", "77", "0"]


@pytest.mark.root
def test_a_program_runs_as_the_pools_user_and_its_environment_says_so(session):
    daemon = session.start(exec_pool(["sh", "-c", "id -un; id -Gn; echo $HOME $USER $LOGNAME $SHELL"],
                                     pool={"user": "nobody"}))
    assert answer_of(daemon.address("run")).splitlines() == \
        ["nobody", "nogroup", "/nonexistent nobody nobody /usr/sbin/nologin"]


def test_a_unix_client_is_told_by_its_credentials(session):
    path = str(session.folder / "run.sock")
    daemon = session.start(exec_pool(look(session), listen=[f"unix:{path}"], pass_env=[]))
    assert daemon.log.find("listening on unix:")
    _, environment = seen_by(answer_of(path))
    environment.pop("LC_CTYPE", None)
    assert environment.pop("PATH").startswith("/usr/local/sbin:")
    assert environment == {"PROTO": "UNIX", "UNIXLOCALPATH": path, "UNIXREMOTEPID": str(os.getpid()),
                           "UNIXREMOTEEUID": str(os.geteuid()), "UNIXREMOTEEGID": str(os.getegid())}


def test_ipv6_is_told_as_s6_does(session):
    daemon = session.start(exec_pool(look(session), listen=["[::1]:0"]))
    _, environment = seen_by(answer_of(daemon.address("run")))
    assert environment["PROTO"] == "TCP" and environment["TCPREMOTEIP"] == environment["TCPLOCALIP"] == "::1"


def test_a_program_may_speak_first(session):
    daemon = session.start(exec_pool(["sh", "-c", "echo 220 ready; exec cat"]))
    with connect(daemon.address("run")) as connection:
        assert connection.recv(100) == b"220 ready\n"  # nothing was sent to it


def test_a_program_that_closes_its_input_still_answers(session):
    daemon = session.start(exec_pool(["sh", "-c", "exec <&-; echo one; echo two"]))
    assert answer_of(daemon.address("run")) == "one\ntwo\n"


def test_a_client_that_left_ends_the_program_by_the_ordinary_signal(session):
    daemon = session.start(exec_pool(["sh", "-c", "echo $$; read wait; while :; do echo more; done"]))
    with connect(daemon.address("run")) as connection:
        pid = int(connection.recv(100))
        connection.sendall(b"go\n")
    daemon.wait(rf" info +run/\S+ gen=1 pid={pid}: program for 127\.0\.0\.1 killed by signal 13 \(SIGPIPE\)")


# -------------------------------------------------------------------------------------------- commands that cannot run


def broken_commands(folder):
    """{what is wrong: (command, what the log must say)}"""
    (folder / "plain").write_text("#!/bin/sh\n")
    (folder / "orphan").write_text("#!/opt/none/perl\n")
    (folder / "orphan").chmod(0o755)
    (folder / "directory").mkdir(exist_ok=True)
    return {
        "missing": (["/nowhere/program"], r'cannot execute "/nowhere/program": No such file or directory'),
        "not in PATH": (["no-such-program"], r'cannot execute "no-such-program": No such file or directory; .*PATH='),
        "a directory": ([str(folder / "directory")], r"directory\": Permission denied"),
        "no permission": ([str(folder / "plain")], r"plain\": Permission denied"),
        "no interpreter": ([str(folder / "orphan")],
                           r"orphan\": its interpreter \"/opt/none/perl\": No such file or directory"),
    }


@pytest.mark.parametrize("what", ["missing", "not in PATH", "a directory", "no permission", "no interpreter"])
@pytest.mark.parametrize("style", ["connection", "listener"])
def test_a_command_that_cannot_run_is_an_error_at_start_and_at_a_reload(session, what, style):
    command, complaint = broken_commands(session.folder)[what]
    more = {"style": style} if style == "listener" else {}
    broken = exec_pool(command, pool={"start_attempts": 1}, **more)
    at_start = session.start(broken, ready=False)
    at_start.expected_status = 3
    at_start.expect("error|warn")
    assert at_start.wait_exit() == 3
    assert at_start.log.find(complaint)

    daemon = session.start(exec_pool(["/bin/echo", "good"]))
    assert answer_of(daemon.address("run")) == "good\n"
    daemon.expect("gen=2 pid=.* exited with status 1")  # whichever copies had started when the first one failed
    lines = daemon.reload_fails(table("log", target="stderr", level="debug") + broken)
    assert any(re.search(complaint, line) for line in lines), lines
    assert answer_of(daemon.address("run")) == "good\n"


@pytest.mark.root
def test_a_program_that_only_root_may_run_is_an_error_for_another_user(session):
    secret = session.folder / "secret"
    secret.write_text("#!/bin/sh\n")
    secret.chmod(0o700)
    daemon = session.start(exec_pool([str(secret)], pool={"user": "nobody", "start_attempts": 1}), ready=False)
    daemon.expected_status = 3
    daemon.expect("error|warn")
    assert daemon.wait_exit() == 3
    assert daemon.log.find(r"secret\": Permission denied")


def test_a_directory_that_is_not_there_is_an_error_at_start(session):
    daemon = session.start(exec_pool(["true"], cwd="/nowhere", pool={"start_attempts": 1}), ready=False)
    daemon.expected_status = 3
    daemon.expect("error|warn")
    assert daemon.wait_exit() == 3
    assert daemon.log.find(r'cannot enter "/nowhere": No such file or directory')


def test_a_program_that_goes_away_later_is_told_and_comes_back(session):
    program = session.folder / "program"

    def install():
        program.write_text("#!/bin/sh\necho served\n")
        program.chmod(0o755)

    install()
    daemon = session.start(exec_pool([str(program)]))
    assert answer_of(daemon.address("run")) == "served\n"
    daemon.expect("cannot execute|exited with status 127|pause|respawn|backoff")
    program.unlink()
    with contextlib.suppress(ConnectionResetError):
        assert answer_of(daemon.address("run")) == ""
    daemon.wait(r"cannot execute \"\S+/program\": No such file or directory")
    install()

    def served():
        with contextlib.suppress(OSError):
            return answer_of(daemon.address("run")) == "served\n"

    wait_until(served, "an answer of the program that is there again")


# --------------------------------------------------------------------------------------------------- sockets by name

# Accepts from all sockets that it is given, and tells each client by which name it came in.
NAMED = """
import contextlib, os, selectors, socket
names = os.environ["LISTEN_FDNAMES"].split(":")
assert (os.environ["LISTEN_PID"], os.environ["LISTEN_FDS"]) == (str(os.getpid()), str(len(names)))
listeners = selectors.DefaultSelector()
for number, name in enumerate(names):
    listener = socket.socket(fileno=3 + number)
    listener.setblocking(False)
    listeners.register(listener, selectors.EVENT_READ, name)
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"READY=1", "\\0" + os.environ["NOTIFY_SOCKET"][1:])
while True:
    for key, _ in listeners.select():
        with contextlib.suppress(BlockingIOError), key.fileobj.accept()[0] as connection:
            connection.sendall(f"{key.data} of {':'.join(names)}".encode())
"""


def test_sockets_from_systemd_reach_programs_of_both_styles_by_their_names(session):
    (session.folder / "named.py").write_text(NAMED)
    config = (exec_pool(["/bin/sh", "-c", "echo port $TCPLOCALPORT"], listen=["systemd:daytime"]) +
              exec_pool([PYTHON, "named.py"], name="web", listen=["systemd:web", "127.0.0.1:0", "systemd:admin"],
                        cwd=session.folder, style="listener", ready="notify", pool={"workers": 2}))
    with contextlib.ExitStack() as stack:
        made = {name: stack.enter_context(socket.create_server(("127.0.0.1", 0))) for name in ("web", "daytime", "admin")}
        at = {name: listener.getsockname() for name, listener in made.items()}
        expected = {"web": "web of web:web:admin", "admin": "admin of web:web:admin", "daytime": f"port {at['daytime'][1]}\n"}
        early = {name: stack.enter_context(connect(address)) for name, address in at.items()}
        daemon = session.start_with_sockets(config, made)
        for listener in made.values():
            listener.close()
        for name, connection in early.items():  # they came before anybody was there to serve them
            assert connection.makefile().read() == expected[name]
        daemon.wait(r"run/\S+ gen=1 pid=\d+: ready", count=5)
        daemon.note_baseline()  # with the spare for the one that an early client took
        for generation in (1, 2, 3):
            for name, address in at.items():
                assert answer_of(address) == expected[name]
            # The second socket is prongd's own, whose name is the pool's.
            assert answer_of(daemon.address("web")) == expected["web"]
            assert daemon.reload() == generation + 1
        daemon.wait(r"web/\S+ gen=3 pid=\d+: program killed by signal 15", count=2)
        daemon.wait(r"run/\S+ gen=3 pid=\d+: exited with status 0", count=4)
        daemon.stop()


# -------------------------------------------------------------------------------------------------------------- an end


def test_a_killed_master_leaves_no_program_behind(session):
    daemon = session.start(exec_pool(["sh", "-c", "echo $$; exec cat"]) +
                           exec_pool(["sleep", "1000"], name="more", listen=[f"127.0.0.1:{harness.free_port()}"],
                                     style="listener", ready="10ms", pool={"workers": 2}))
    with connect(daemon.address("run")) as connection:
        pid = int(connection.recv(100))
        daemon.wait(r"run/\S+ gen=1 pid=\d+: ready", count=5)  # the next spare is there too
        pids = [child.pid for child in daemon.children()]
        assert pid in pids
        daemon.expect("the master is gone")
        daemon.expected_status = -signal.SIGKILL
        daemon.send(signal.SIGKILL)
        assert daemon.wait_exit() == -signal.SIGKILL
        harness.reap_orphans(pids)
    assert is_gone(pid)
