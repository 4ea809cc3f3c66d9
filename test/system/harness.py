"""Runs the real prongd and holds it to the invariants of style.md after every test.

Why a harness of our own: what can go wrong in a pre-forking daemon is mostly what a test does not look at (a zombie, a
descriptor that leaks with each reload, a worker that stays behind with the port, a warning nobody reads). So each test
only says what it is about, and `Session.finish()` looks at all the rest.

Nothing in here sleeps to give the daemon time: a test waits for a log line, a message, or a state in /proc, under one
common limit (LIMIT) that PRONGD_TEST_TIMEOUT_SCALE scales; sanitizer builds need about 3.
"""

import contextlib
import ctypes
import errno
import fcntl
import functools
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from limits import LIMIT, PRONGCTL, PRONGD, SCALE, TRIAL, is_sanitized

# What CPython itself never frees, for the leak sanitizer; and the first version that needs it. Older ones run without,
# since a line that hides a leak of CPython's hides the same of ours.
PYTHON_LEAKS = Path(__file__).with_name("cpython.supp")
SUPPRESSED_FROM = (3, 12)

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
DESCRIPTORS_PER_WORKER = 1  # what the master holds for each: a channel; of a status pool one more, over which it asks

LINE = re.compile(
    r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} (?P<level>debug|info|warn|error) +(?P<subject>\S.*?): (?P<text>.*)$")
WORKER = re.compile(r"(?P<pool>[^/ ]+)/worker\[(?P<slot>\d+)\] gen=(?P<gen>\d+) pid=(?P<pid>\d+)")
CODE = re.compile(r" \[(PR\d{4})\]$")
SANITIZER = re.compile(r"AddressSanitizer|LeakSanitizer|UndefinedBehaviorSanitizer|ThreadSanitizer|: runtime error: ")


class Late(AssertionError):
    """What a test waited for did not come within the limit."""


@functools.cache
def message_levels():
    """{code: level} of all messages that prongctl explains."""
    done = subprocess.run([PRONGCTL, "--json", "explain"], capture_output=True, text=True, timeout=LIMIT, check=True)
    return {message["code"]: message["level"] for message in json.loads(done.stdout)["messages"]}


def wait_until(look, what, limit=None):
    """Calls look() until it returns something true, and returns that. The pause is only so as not to burn the CPU."""
    deadline = time.monotonic() + (LIMIT if limit is None else limit)
    pause = threading.Event()
    while True:
        value = look()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Late(f"waited in vain for: {what() if callable(what) else what}")
        pause.wait(0.003)


def become_subreaper():
    """Orphans of a killed master become children of the test process, so that none can hide from it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


# ---------------------------------------------------------------------------------------------------------------- /proc


class Process:
    """One look at /proc/PID/stat."""

    def __init__(self, pid, name, state, parent):
        self.pid, self.name, self.state, self.parent = pid, name, state, parent

    def __repr__(self):
        return f"{self.name}({self.pid}, {self.state}, child of {self.parent})"


def process(pid):
    """The process of that pid, or None when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    name = text[text.index("(") + 1:text.rindex(")")]
    rest = text[text.rindex(")") + 2:].split()
    return Process(pid, name, rest[0], int(rest[1]))


def descendants(pid):
    """All processes below pid, zombies included."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (found := process(int(entry))) is not None:
            children.setdefault(found.parent, []).append(found)
    result, todo = [], [pid]
    while todo:
        for child in children.get(todo.pop(), []):
            result.append(child)
            todo.append(child.pid)
    return result


# Processes that a test leaves running for those behind it, with all below them (a browser). Whoever adds one ends it.
OUTLIVING = set()


def own_descendants():
    """All processes below this one, but those that outlive a test."""
    foreign = OUTLIVING | {found.pid for pid in OUTLIVING for found in descendants(pid)}
    return [found for found in descendants(os.getpid()) if found.pid not in foreign]


def is_gone(pid):
    """Whether the process runs no more: a zombie counts as gone, its parent is another matter."""
    found = process(pid)
    return found is None or found.state in "ZX"


def descriptors(pid):
    """{number: target} of the open descriptors."""
    result = {}
    for entry in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            result[int(entry)] = os.readlink(f"/proc/{pid}/fd/{entry}")
    return result


def status(pid):
    """/proc/PID/status as a dict of texts."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def signal_set(mask):
    """The signals of a hexadecimal mask of /proc/PID/status."""
    bits = int(mask, 16)
    return {number for number in range(1, 65) if bits >> (number - 1) & 1}


def cpu_seconds(pid):
    """User and system time of a process so far."""
    rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(rest[11]) + int(rest[12])) / os.sysconf("SC_CLK_TCK")


def resident_kib(pid):
    return int(status(pid)["VmRSS"].split()[0])


def level_memory():
    """The environment of a daemon whose memory is measured: the address sanitizer then gives back what is freed, in
    place of keeping it for a while to find late uses."""
    options = [os.environ.get("ASAN_OPTIONS", ""), "quarantine_size_mb=0", "thread_local_quarantine_size_kb=0"]
    return {"ASAN_OPTIONS": ":".join(filter(None, options))}


def signals_as_they_are():
    """The environment of a daemon whose workers crash: the address sanitizer then makes no report of the signal."""
    options = [os.environ.get("ASAN_OPTIONS", ""), "handle_segv=0", "handle_abort=0"]
    return {"ASAN_OPTIONS": ":".join(filter(None, options))}


def interpreter_environment(version=sys.version_info[:2]):
    """The environment of a daemon whose workers become an interpreter of that version. A sanitized one needs more in one
    that is not: the sanitizers' libraries, which must come before all others, and the C++ library, whose throwing they
    look for when the process starts. There what a Python object is made of comes from malloc(), so that they see its
    ends."""
    if not is_sanitized():
        return {}
    needed = subprocess.run(["ldd", PRONGD], capture_output=True, text=True, check=True).stdout
    libraries = [re.search(rf"{name}\.so\S* => (\S+)", needed)[1] for name in ("libasan", "libubsan", "libstdc\\+\\+")]
    more = {"LD_PRELOAD": " ".join(libraries), "PYTHONMALLOC": "malloc"}
    if version >= SUPPRESSED_FROM:
        options = [os.environ.get("LSAN_OPTIONS", ""), f"suppressions={PYTHON_LEAKS}", "print_suppressions=0"]
        more["LSAN_OPTIONS"] = ":".join(filter(None, options))
    return more


def context_switches(pid):
    """How often the process has gone to sleep: grows each time that its loop turns."""
    return int(status(pid)["voluntary_ctxt_switches"])


TCP_LISTEN = 10  # states of TCP, linux/net/tcp_states.h
# Established or half closed: ESTABLISHED, FIN_WAIT1, _2, CLOSE_WAIT, LAST_ACK, CLOSING.
TCP_CONNECTED = (1, 4, 5, 8, 9, 11)


def tcp_sockets(states, family=socket.AF_INET):
    """(local port, remote port, inode) of each TCP socket in one of the states.

    Asked by sock_diag(7): /proc/net/tcp lists every TIME_WAIT of a load test.
    """
    # struct inet_diag_req_v2, of which a dump heeds the states; NLM_F_REQUEST | NLM_F_DUMP
    wanted = struct.pack("=BBBBI", family, socket.IPPROTO_TCP, 0, 0, sum(1 << state for state in states)) + bytes(48)
    found = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4) as asker:  # NETLINK_SOCK_DIAG
        asker.sendall(struct.pack("=IHHII", 16 + len(wanted), 20, 0x301, 0, 0) + wanted)
        while True:
            answer = memoryview(asker.recv(1 << 20))
            while answer:
                length, kind = struct.unpack_from("=IH", answer)
                if kind != 20:  # NLMSG_DONE, or an error
                    return found
                # struct inet_diag_msg: idiag_sport, idiag_dport, ..., idiag_inode
                local, remote = struct.unpack_from("!HH", answer, 16 + 4)
                found.append((local, remote, struct.unpack_from("=I", answer, 16 + 4 + 48 + 16)[0]))
                answer = answer[length + 3 & ~3:]


def listening_sockets():
    """{inode: port} of all that listen on TCP."""
    return {inode: local for family in (socket.AF_INET, socket.AF_INET6)
            for local, _, inode in tcp_sockets([TCP_LISTEN], family)}


def listening_ports():
    return set(listening_sockets().values())


def unix_names():
    """Paths and @names of all UNIX sockets of the system."""
    return {fields[7] for fields in (line.split(maxsplit=7) for line in
                                     Path("/proc/net/unix").read_text().splitlines()[1:]) if len(fields) == 8}


def tcp_inode(local, remote, family=socket.AF_INET):
    """The inode of the TCP socket with those two (host, port), or 0 when no process holds it yet.

    Asked by sock_diag(7), which looks one socket up.
    """
    hosts = [socket.inet_pton(family, host).ljust(16, b"\0") for host, _ in (local, remote)]
    wanted = struct.pack("!HH16s16sIII", local[1], remote[1], *hosts, 0, 0xffffffff, 0xffffffff)
    request = struct.pack("=BBBBI", family, socket.IPPROTO_TCP, 0, 0, 0xffffffff) + wanted
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4) as asker:  # NETLINK_SOCK_DIAG
        # struct nlmsghdr: length, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, sequence, pid
        asker.sendall(struct.pack("=IHHII", 16 + len(request), 20, 1, 0, 0) + request)
        answer = asker.recv(4096)
    if struct.unpack_from("=H", answer, 4)[0] != 20:  # an error: no such socket
        return 0
    return struct.unpack_from("=I", answer, 16 + 4 + 48 + 16)[0]  # inet_diag_msg.idiag_inode


def tcp_clients_of(pid, port):
    """The ports of the clients whose connections to the local port a process holds, established or half closed."""
    client_ports = {inode: remote for local, remote, inode in tcp_sockets(TCP_CONNECTED) if local == port}
    inodes = [int(target[8:-1]) for target in descriptors(pid).values() if target.startswith("socket:[")]
    return {client_ports[inode] for inode in inodes if inode in client_ports}


def is_frozen(pid):
    """Whether SIGSTOP has reached all its threads."""
    stopped = True
    for task in os.listdir(f"/proc/{pid}/task"):
        text = Path(f"/proc/{pid}/task/{task}/stat").read_text()
        stopped = stopped and text[text.rindex(")") + 2] == "T"
    return stopped


def holder_of(connection, pids):
    """Which of those processes holds the other end of a TCP connection; None while it waits to be accepted."""
    ours = connection.socket
    inode = tcp_inode(ours.getpeername()[:2], ours.getsockname()[:2], ours.family)
    for pid in pids:
        if inode and f"socket:[{inode}]" in descriptors(pid).values():
            return pid
    return None


def free_port(host="127.0.0.1"):
    """A port that is free just now; for tests that must know it before prongd starts."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


class HeldFork:
    """Stops a worker right after its fork, so that it starts as slowly as the test wants.

    How: the test traces the master (ptrace(2), with PTRACE_O_TRACEFORK), so that each child is born stopped; the one
    that is wanted gets a SIGSTOP that waits for it, and then nobody is traced any more. Only the thread that has
    started the tracing may end it, so all is done in one call.
    """

    _SEIZE, _DETACH, _CONT, _GETEVENTMSG = 0x4206, 17, 7, 0x4201  # sys/ptrace.h
    _TRACE_FORKS = 0x2 | 0x4 | 0x8  # PTRACE_O_TRACEFORK, VFORK, CLONE
    _WALL = 0x40000000

    def __init__(self, daemon, trigger, number=1):
        """Calls trigger(), which makes the master fork, and holds the `number`-th child from then on."""
        self.pid = None
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
        self._libc.ptrace.restype = ctypes.c_long
        self._call(self._SEIZE, daemon.pid, self._TRACE_FORKS)
        try:
            trigger()
            for count in range(1, number + 1):
                child = self._next_child(daemon.pid)
                os.waitpid(child, self._WALL)  # its stop before its first instruction
                if count == number:
                    os.kill(child, signal.SIGSTOP)
                    self.pid = child
                self._call(self._DETACH, child, 0)
                if count < number:
                    self._call(self._CONT, daemon.pid, 0)
        finally:
            self._call(self._DETACH, daemon.pid, 0)
        wait_until(lambda: (found := process(self.pid)) and found.state == "T", "the held worker stopped")

    def release(self):
        os.kill(self.pid, signal.SIGCONT)

    def _next_child(self, master):
        while True:
            _, status_bits = os.waitpid(master, self._WALL)
            event = status_bits >> 16
            if event in (1, 2, 3):  # PTRACE_EVENT_FORK, VFORK, CLONE
                child = ctypes.c_ulong()
                self._call(self._GETEVENTMSG, master, ctypes.addressof(child))
                return child.value
            self._call(self._CONT, master, 0 if event else os.WSTOPSIG(status_bits))

    def _call(self, request, pid, data):
        if self._libc.ptrace(request, pid, None, data) != 0:
            number = ctypes.get_errno()
            if request == self._SEIZE and number == errno.EPERM:
                pytest.skip("tracing is not allowed here (ptrace), so no worker can be held in its start")
            raise OSError(number, f"ptrace request {request:#x}: {os.strerror(number)}")


# ----------------------------------------------------------------------------------------------------------------- log


class Log:
    """The lines of one daemon, kept as they come; tests wait for a line from a mark on."""

    def __init__(self):
        self.lines = []
        self.ended = False
        self._changed = threading.Condition()

    def append(self, line):
        with self._changed:
            self.lines.append(line)
            self._changed.notify_all()

    def end(self):
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    def mark(self):
        """The place in the log from which a later wait() looks."""
        return len(self.lines)

    def wait(self, pattern, after=0, limit=None, count=1):
        """Returns the match of the count-th line from `after` on that the pattern is found in."""
        pattern = re.compile(pattern)
        deadline = time.monotonic() + (LIMIT if limit is None else limit)
        at, seen = after, 0
        with self._changed:
            while True:
                while at < len(self.lines):
                    match = pattern.search(self.lines[at])
                    at += 1
                    if match:
                        seen += 1
                        if seen == count:
                            return match
                if self.ended:
                    raise AssertionError(f"the log ended without a line like: {pattern.pattern}")
                left = deadline - time.monotonic()
                if left <= 0:
                    raise Late(f"no log line like: {pattern.pattern}")
                self._changed.wait(left)

    def find(self, pattern, after=0):
        """The matches of all lines so far."""
        pattern = re.compile(pattern)
        return [match for match in map(pattern.search, self.lines[after:]) if match]

    def text(self):
        return "\n".join(self.lines)


def seconds_of(line):
    """The time of day of a log line, in seconds."""
    hours, minutes, seconds = line[11:23].split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


# -------------------------------------------------------------------------------------------------------------- notify


class NotifySocket:
    """Plays systemd: a datagram socket that keeps what sd_notify() sends, as dicts in order."""

    def __init__(self, path):
        self.path = str(path)
        self.messages = []
        self._marks = 0
        self._changed = threading.Condition()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        os.chmod(self.path, 0o777)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        while True:
            data = self._socket.recv(4096)
            if data == b"end of test":
                return
            message = dict(line.split("=", 1) for line in data.decode().splitlines() if "=" in line)
            with self._changed:
                self.messages.append(message)
                self._changed.notify_all()

    def mark(self):
        """The place from which a later wait() looks: after all that was sent so far, also what waits to be read."""
        self._marks += 1
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"TEST_MARK=%d" % self._marks, self.path)  # datagrams arrive in order
        self.wait(TEST_MARK=str(self._marks))
        return len(self.messages)

    def wait(self, after=0, count=1, **fields):
        """The count-th message from `after` on that has those fields (READY="1")."""

        def wanted():
            found = [m for m in self.messages[after:] if all(m.get(key) == value for key, value in fields.items())]
            return found[count - 1] if len(found) >= count else None

        deadline = time.monotonic() + LIMIT
        with self._changed:
            while (found := wanted()) is None:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise Late(f"no notification {fields} in {self.messages[after:]}")
                self._changed.wait(left)
            return found

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"end of test", self.path)
        self._thread.join(LIMIT)
        self._socket.close()
        os.unlink(self.path)


# -------------------------------------------------------------------------------------------------------------- config


def duration(milliseconds):
    """A duration of less than a minute, as prongd writes it: "1s200ms"."""
    seconds, rest = divmod(int(milliseconds), 1000)
    return (f"{seconds}s" if seconds else "") + (f"{rest}ms" if rest or not seconds else "")


def toml(value):
    """A value as TOML text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(toml, value)) + "]"
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def table(name, **keys):
    """A TOML table; a key "static" or "http" with a dict becomes an inline table. `static_` stands for "static"."""
    lines = [f"[{name}]"] + [f"{key.rstrip('_')} = {toml(value)}" for key, value in keys.items()]
    return "\n".join(lines) + "\n"


def pool(name="files", *, root, listen=("127.0.0.1:0",), workers=2, **more):
    """The TOML of a pool of static files."""
    more.setdefault("static", {"root": root})
    return table(f"pool.{name}", listen=list(listen), workers=workers, **more)


# -------------------------------------------------------------------------------------------------------------- daemon


class Daemon:
    """One prongd. Made by Session.start(); ends by stop() or, at the latest, by Session.finish()."""

    def __init__(self, session, arguments, *, config_path=None, environment=None, user=None, log_file=None,
                 wrapper=(), pass_fds=(), stdin=subprocess.DEVNULL, preexec=None, program=PRONGD):
        self.session = session
        self.config_path = config_path
        self.log = Log()
        self.expected = []  # regexes of warn and error lines that the test announced
        self.crashes_on_purpose = False  # in a way that the sanitizers report
        self._descriptor_change = 0
        self.baseline = None
        self.expected_status = 0
        self._log_file = log_file
        extra = {"user": user, "group": user, "extra_groups": []} if user is not None else {}
        env = {key: value for key, value in os.environ.items()
               if key in ("PATH", "LANG", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS")}
        # Each daemon has a runtime directory of its own, as systemd would make it. A short name: the path of a socket has
        # at most 107 bytes.
        self.runtime_directory = session.folder / f"r{len(session.daemons)}"
        self.runtime_directory.mkdir(exist_ok=True)
        self.runtime_directory.chmod(0o777)
        env["RUNTIME_DIRECTORY"] = str(self.runtime_directory)
        env.update(session.environment)
        env.update(environment or {})
        # A session of its own, as under a service manager: the facts about orphaned process groups are the same.
        self.popen = subprocess.Popen([*wrapper, program, *arguments], stdin=stdin, stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, env=env, cwd=session.folder, start_new_session=True,
                                      pass_fds=pass_fds, preexec_fn=preexec, **extra)
        self.pid = self.popen.pid
        self.stdout = b""
        self._stop_tail = threading.Event()
        self._threads = [threading.Thread(target=self._read_stderr, daemon=True),
                         threading.Thread(target=self._read_stdout, daemon=True)]
        if log_file is not None:
            self._threads.append(threading.Thread(target=self._tail_file, daemon=True))
        for thread in self._threads:
            thread.start()

    def _read_stderr(self):
        for raw in self.popen.stderr:
            self.log.append(raw.decode(errors="backslashreplace").rstrip("\n"))
        if self._log_file is None:
            self.log.end()

    def _read_stdout(self):
        self.stdout = self.popen.stdout.read()

    def _tail_file(self):
        """Follows the log file by name, as `tail -F` does; the last round comes after the daemon has exited."""
        seen = {}  # inode -> bytes read
        last = False
        while True:
            for path in sorted(Path(self._log_file).parent.glob(Path(self._log_file).name + "*"), reverse=True):
                with contextlib.suppress(OSError), open(path, "rb") as file:
                    key = os.fstat(file.fileno()).st_ino
                    file.seek(seen.get(key, 0))
                    data = file.read()
                    whole = data[:data.rfind(b"\n") + 1]
                    seen[key] = seen.get(key, 0) + len(whole)
                    for line in whole.decode(errors="backslashreplace").splitlines():
                        self.log.append(line)
            if last:
                self.log.end()
                return
            last = self._stop_tail.wait(0.003)

    # --- what it says

    def wait(self, pattern, after=0, **more):
        return self.log.wait(pattern, after, **more)

    def expect(self, pattern):
        """Announces warn or error lines that the test provokes."""
        self.expected.append(re.compile(pattern))

    def address(self, pool_name="files", index=0):
        """(host, port) of a pool's TCP listener, from the log: `listening on 127.0.0.1:4711 for pool files`."""
        found = self.log.find(rf"listening on (\S+) for pool {re.escape(pool_name)}\b")
        host, _, port = found[index].group(1).rpartition(":")
        return host.strip("[]"), int(port)

    def ready_lines(self, after=0):
        return [WORKER.search(match.group(0)) for match in self.log.find(rf"{WORKER.pattern}: ready\b", after)]

    def workers(self, pool_name="files", generation=None):
        """{slot: pid} of the workers that said ready last and still live."""
        result = {}
        for match in self.ready_lines():
            if match["pool"] == pool_name and generation in (None, int(match["gen"])):
                result[int(match["slot"])] = int(match["pid"])
        return {slot: pid for slot, pid in result.items() if not is_gone(pid)}

    def children(self):
        return [found for found in descendants(self.pid) if found.parent == self.pid]

    # --- what is done to it

    def send(self, number):
        os.kill(self.pid, number)

    def kill_worker(self, pid, number=signal.SIGKILL):
        """Ends a worker; its obituary is announced."""
        self.expect(rf"pid={pid}: killed by signal {int(number)}\b")
        os.kill(pid, number)

    def control(self, *arguments, user=None):
        """Runs prongctl against this daemon; returns the CompletedProcess with texts."""
        extra = {"user": user, "group": user, "extra_groups": []} if user is not None else {}
        env = {key: value for key, value in os.environ.items() if key in ("PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS")}
        done = subprocess.run([PRONGCTL, *map(str, arguments)], capture_output=True, text=True, timeout=LIMIT,
                              env=env | {"RUNTIME_DIRECTORY": str(self.runtime_directory)}, cwd="/",
                              stdin=subprocess.DEVNULL, check=False, **extra)
        assert not SANITIZER.search(done.stdout + done.stderr), done.stdout + done.stderr
        return done

    def ask(self, *arguments):
        """The result of a verb that must succeed, as `prongctl --json` prints it."""
        done = self.control("--json", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)["result"]

    def control_socket(self):
        """The path of its control socket."""
        return str(self.runtime_directory / "control.sock")

    def write_config(self, text):
        self.config_path.write_text(text)

    def reload(self, text=None):
        """Asks for a reload that must succeed; returns the number of the new generation."""
        if text is not None:
            self.write_config(text)
        mark = self.log.mark()
        self.send(signal.SIGHUP)
        match = self.wait(r"reload (?:done: generation (?P<gen>\d+)\b|failed: (?P<why>.*))", mark)
        assert match["gen"], f"the reload failed: {match['why']}"
        return int(match["gen"])

    def reload_fails(self, text=None):
        """Asks for a reload that must fail; returns the error lines. They are announced."""
        if text is not None:
            self.write_config(text)
        mark = self.log.mark()
        self.send(signal.SIGHUP)
        match = self.wait(r"reload (?:done: generation (?P<gen>\d+)\b|failed: .*)", mark)
        assert not match["gen"], "the reload succeeded"
        lines = [line for line in self.log.lines[mark:] if (m := LINE.match(line)) and m["level"] in ("warn", "error")]
        for line in lines:
            self.expect("^" + re.escape(line) + "$")
        return lines

    def wait_exit(self, limit=None):
        """Waits for the master's end and returns its exit status (negative: the signal)."""
        try:
            result = self.popen.wait(LIMIT if limit is None else limit)
        except subprocess.TimeoutExpired as late:
            raise Late("the master did not exit") from late
        if result >= 0:  # the workers of a killed master may outlive it for a moment, and hold its stderr
            self.read_to_end()
        return result

    def stop(self, number=signal.SIGTERM):
        """Stops it gracefully, with the checks that need a living master first."""
        self.check_quiet()
        self.send(number)
        assert self.wait_exit() == self.expected_status
        return self

    @property
    def running(self):
        return self.popen.poll() is None

    # --- the invariants

    def note_baseline(self):
        """What the master holds at rest: it sleeps, and what it opened for a moment (to notify systemd) is closed."""

        def at_rest():
            turns, found = context_switches(self.pid), descriptors(self.pid)
            still = process(self.pid).state == "S" and descriptors(self.pid) == found
            return found if still and context_switches(self.pid) == turns else None

        self.baseline = wait_until(at_rest, "the master at rest")

    def expect_more(self, *, workers=0, listeners=0):
        """Announces that the master holds more (or fewer) workers and listeners at the end than when it was ready."""
        self._descriptor_change = workers * DESCRIPTORS_PER_WORKER + listeners

    def check_quiet(self):
        """A master at rest has no zombie and as many descriptors as when it was ready."""
        wait_until(lambda: not [child for child in self.children() if child.state == "Z"],
                   lambda: f"zombies reaped: {self.children()}")
        if self.baseline is not None:
            wanted = len(self.baseline) + self._descriptor_change
            wait_until(lambda: len(descriptors(self.pid)) == wanted,
                       lambda: f"the master to hold {wanted} descriptors; at ready: {sorted(self.baseline.values())}, "
                       f"now: {sorted(descriptors(self.pid).values())}")

    def read_to_end(self):
        """After the exit: all output read to its end, which also shows that nobody still holds the pipes."""
        self._stop_tail.set()
        for thread in self._threads:
            thread.join(LIMIT)
            assert not thread.is_alive(), f"somebody still holds the master's stderr: {descendants(os.getpid())}"
        for stream in (self.popen.stderr, self.popen.stdout):
            stream.close()

    def check_log(self):
        """Every line has the format, no warn or error line came that the test did not announce, and each such line has a
        code that prongctl explains."""
        bad = []
        for line in self.log.lines + self.stdout.decode(errors="backslashreplace").splitlines():
            if SANITIZER.search(line) and not self.crashes_on_purpose:
                bad.append(line)
        for line in self.log.lines:
            match = LINE.match(line)
            if match is None and self.crashes_on_purpose and is_sanitized():
                continue
            level = match["level"] if match else "unformatted"
            if level in ("warn", "error", "unformatted") and not any(p.search(line) for p in self.expected):
                bad.append(line)
        assert not bad, "lines that no test announced:\n" + "\n".join(dict.fromkeys(bad))
        self.check_codes()

    def check_codes(self):
        levels = message_levels()
        bad = []
        for line in self.log.lines:
            match, code = LINE.match(line), CODE.search(line)
            if match and match["level"] in ("warn", "error") and levels.get(code and code[1]) != match["level"]:
                bad.append(line)
        assert not bad, "lines whose code is missing, or not in the table with their level:\n" + "\n".join(bad)

    def check_ports(self):
        used = {int(match[1]) for match in self.log.find(r"listening on \S+:(\d+) for pool")}
        left = used & listening_ports()
        assert not left, f"still listening on {left}"
        paths = {match[1] for match in self.log.find(r"listening on unix:(/\S+) for pool")}
        left = {path for path in paths if os.path.exists(path) and path not in self.session.may_stay}
        assert not left, f"UNIX socket files left behind: {left}"
        names = {"@" + match[1] for match in self.log.find(r"listening on unix:@(\S+) for pool")}
        left = (names | paths) & unix_names()
        assert not left, f"UNIX sockets still there: {left}"

    def check_control_socket(self):
        assert not os.path.exists(self.control_socket()) or self.popen.returncode < 0, "the control socket stayed"

    def end_by_force(self):
        """After a failure: nothing stays behind, whatever it was."""
        for found in [*descendants(self.pid), process(self.pid)]:
            if found is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(found.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(LIMIT)
        with contextlib.suppress(AssertionError):
            self.read_to_end()


# Run by Python with the names, the descriptors, and prongd's command line.
HAND_OVER = """
import os, sys
for number, source in enumerate(sys.argv[2].split(",")):
    os.dup2(int(source), 3 + number)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(sys.argv[2].split(","))), LISTEN_FDNAMES=sys.argv[1])
os.execv(sys.argv[3], sys.argv[3:])
"""


class Session:
    """What one test has: a folder with a small site, and the daemons that it started."""

    def __init__(self, name, environment=None):
        self.environment = environment or {}  # of every daemon
        self.folder = Path(tempfile.mkdtemp(prefix="prongd-test-" + re.sub(r"\W+", "-", name)[:60] + "-"))
        self.folder.chmod(0o755)
        self.site = self.folder / "site"
        self.site.mkdir()
        (self.site / "index.html").write_text("<h1>index</h1>\n")
        (self.site / "a.txt").write_text("a small text\n")
        self.daemons = []
        self._ports = {}  # of pools other than `files`
        self.notify_sockets = []
        self.helpers = []  # Popen of helper processes of a test
        self.may_stay = set()  # socket files that are not prongd's to unlink

    # --- what tests call

    def config(self, text, name="prongd.toml"):
        path = self.folder / name
        path.write_text(text)
        return path

    def pool(self, name="files", **more):
        """The TOML of a pool that serves the site of this test. The pool `files` has a free port (port 0, which the log
        tells), others a port of their own: an address belongs to one pool."""
        more.setdefault("root", self.site)
        if name != "files" and "listen" not in more:
            more["listen"] = [f"127.0.0.1:{self._ports.setdefault(name, free_port())}"]
        return pool(name, **more)

    def status_pool(self, name="status", **more):
        """The TOML of a pool that shows all others (docs/metrics.md)."""
        listen = [f"127.0.0.1:{self._ports.setdefault(name, free_port())}"]
        return table(f"pool.{name}", **{"listen": listen, "workers": 1, "status": {}} | more)

    def start(self, config=None, *, arguments=None, ready=True, log="", level="debug", **more):
        """Starts prongd with the config (TOML text without [log]; by default one pool of two workers)."""
        config_path = None
        if arguments is None:
            text = self.pool() if config is None else config
            if "[log]" not in text:
                text = table("log", target="stderr", level=level) + text
            config_path = self.config(text)
            arguments = ["--config", str(config_path)]
        daemon = Daemon(self, arguments, config_path=config_path, **more)
        self.daemons.append(daemon)
        if ready:
            daemon.wait(r"master: ready: generation 1\b")
            daemon.note_baseline()
        return daemon

    def start_with_sockets(self, config, named, **more):
        """Starts prongd as systemd would, with {name: listening socket} from descriptor 3 on."""
        # dup2() must not overwrite a source before it was used: the sources live above the targets.
        sources = [fcntl.fcntl(made.fileno(), fcntl.F_DUPFD, 60) for made in named.values()]
        try:
            wrapper = [sys.executable, "-c", HAND_OVER, ":".join(named), ",".join(map(str, sources))]
            return self.start(config, pass_fds=sources, wrapper=wrapper, **more)
        finally:
            for fd in sources:
                os.close(fd)

    def start_trial(self, concurrency, *, name="trial", workers=1, text="", **more):
        """Starts prongd-trial (test/trial/worker_main.cpp) with one pool of that concurrency; `text` is more TOML."""
        more.setdefault("listen", ["127.0.0.1:0"])
        pool_text = table(f"pool.{name}", concurrency=concurrency, workers=workers, respond={"body": "unused"}, **more)
        return self.start(pool_text + text, program=TRIAL)

    def run(self, *arguments, user=None, environment=None):
        """Runs prongd for an answer on the command line; returns the CompletedProcess with texts."""
        extra = {"user": user, "group": user, "extra_groups": []} if user is not None else {}
        env = {"PATH": os.environ["PATH"]} | (environment or {})
        for key in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
            if key in os.environ:
                env[key] = os.environ[key]
        done = subprocess.run([PRONGD, *map(str, arguments)], capture_output=True, text=True, env=env,
                              cwd=self.folder, timeout=LIMIT, stdin=subprocess.DEVNULL, check=False, **extra)
        assert not SANITIZER.search(done.stdout + done.stderr), done.stdout + done.stderr
        return done

    def notify(self):
        """A fake NOTIFY_SOCKET."""
        made = NotifySocket(self.folder / "notify")
        self.notify_sockets.append(made)
        return made

    def dying_pool(self, name="dying", **more):
        """The TOML of a pool whose config is good and whose workers die while they start."""
        if os.geteuid() == 0:
            closed = self.folder / "closed"
            (closed / "site").mkdir(parents=True, exist_ok=True)
            closed.chmod(0o700)
            return self.pool(name, root=closed / "site", user="nobody", **more)
        # More than fs.nr_open, and than the hard limit: setrlimit(2) refuses it.
        return self.pool(name, rlimits={"nofile": 2_000_000_000}, **more)

    def big_file(self, name="big.bin", size=16 << 20):
        """A file that does not fit into socket buffers, with contents that show a wrong offset."""
        block = b"".join(b"%07d\n" % number for number in range(8192))
        with open(self.site / name, "wb") as file:
            for start in range(0, size, len(block)):
                file.write(block[:min(len(block), size - start)])
        return (self.site / name).read_bytes()

    # --- the end

    def finish(self):
        """Stops what runs and checks the invariants; the folder goes when all hold."""
        for daemon in self.daemons:
            if daemon.running:
                daemon.stop()
            else:
                assert daemon.popen.returncode == daemon.expected_status, \
                    f"exit status {daemon.popen.returncode}, expected {daemon.expected_status}"
        if is_sanitized() and self.environment:
            self._reap_tracers()
        left = [found for found in own_descendants() if found.pid not in {p.pid for p in self.helpers}]
        assert not left, f"processes left behind: {left}"
        for daemon in self.daemons:
            daemon.read_to_end()
            daemon.check_log()
            daemon.check_ports()
            daemon.check_control_socket()
        self._end_helpers()
        shutil.rmtree(self.folder)

    def _reap_tracers(self):
        """The leak sanitizer looks at an ending process from a child of that, which is an orphan when the master has no
        more patience and kills the process."""
        known = {daemon.pid for daemon in self.daemons} | {helper.pid for helper in self.helpers}
        for found in own_descendants():
            if found.pid not in known and found.parent == os.getpid() and found.state == "Z":
                os.waitpid(found.pid, 0)

    def abort(self):
        """After a failure: ends everything and keeps the folder. Never raises."""
        for daemon in self.daemons:
            daemon.end_by_force()
        self._end_helpers()
        for found in own_descendants():
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(found.pid, signal.SIGKILL)
                os.waitpid(found.pid, 0)
        for number, daemon in enumerate(self.daemons):
            (self.folder / f"log.{number}").write_text(daemon.log.text() + "\n")

    def _end_helpers(self):
        for made in self.notify_sockets:
            made.close()
        for helper in self.helpers:
            helper.kill()
            helper.wait()

    def report(self):
        parts = [f"folder: {self.folder}"]
        for number, daemon in enumerate(self.daemons):
            lines = daemon.log.lines
            parts.append(f"--- daemon {number}, exit status {daemon.popen.returncode}, {len(lines)} log lines")
            parts += lines if len(lines) <= 160 else [*lines[:40], f"... {len(lines) - 160} lines ...", *lines[-120:]]
        return "\n".join(parts)


def reap_orphans(pids):
    """Waits until the orphans of a killed master have exited, and reaps them: within a second, as is promised, and what
    a busy machine needs to run them once more."""
    wait_until(lambda: all(is_gone(pid) for pid in pids),
               lambda: f"the end of {[process(pid) for pid in pids if not is_gone(pid)]}", 1.3 * max(1.0, SCALE))
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
