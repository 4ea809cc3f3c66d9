"""What the benchmarks share: paced load, figures, and a prongd of their own. Not a benchmark itself."""

import contextlib
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
PRONGD = os.environ.get("PRONGD", str(TOP / "build/opt/src/main/prongd"))
# The same daemon with an application that sleeps or burns CPU by request path: test/trial/worker_main.cpp.
TRIAL = str(Path(PRONGD).parents[2] / "test/trial/prongd-trial")
LIMIT = 20.0


def jain(counts):
    """Jain's index of fairness: 1 when all are equal, 1/n when one has everything."""
    return sum(counts)**2 / (len(counts) * sum(count * count for count in counts))


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def one_request(address, target):
    """A connection for one GET; returns what came. Raises what went wrong."""
    with socket.create_connection(address, timeout=LIMIT) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n".encode())
        parts = []
        while data := connection.recv(65536):
            parts.append(data)
    answer = b"".join(parts)
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise ConnectionError(f"answer: {answer[:60]!r}")
    return answer


def paced_short_connections(address, target, *, rate, seconds, threads=4):
    """Exactly rate * seconds connections, evenly spaced in time; returns the failures as texts."""
    failures = []
    start = time.monotonic() + 0.01

    def run(first):
        for number in range(first, int(rate * seconds), threads):
            time.sleep(max(0.0, start + number / rate - time.monotonic()))
            try:
                one_request(address, target)
            except OSError as error:
                failures.append(f"{type(error).__name__}: {error}")

    runners = [threading.Thread(target=run, args=(first, )) for first in range(threads)]
    for runner in runners:
        runner.start()
    for runner in runners:
        runner.join()
    return failures


def load_client(folder):
    """Compiles load_client.cpp into that folder; returns a function that runs it and gives its figures."""
    program = str(Path(folder) / "load_client")
    subprocess.run(["g++", "-std=c++20", "-O2", "-pthread", "-o", program, str(Path(__file__).parent / "load_client.cpp")],
                   check=True)

    def run(mode, port, target, *, threads, rate, seconds, during=None):
        """`during`: called while the load runs; the load goes on for its time in any case."""
        command = [program, mode, str(port), target, str(threads), str(rate), str(seconds)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
            if during is not None:
                during()
            return json.loads(client.communicate()[0])

    return run


def cpu_seconds(pids):
    """User and system time of those processes so far, to the nanosecond: /proc/PID/stat counts in hundredths of a second,
    which is much for a short run of many processes (proc(5), schedstat)."""
    total = 0
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def wake_ups(pid):
    """How often the threads of a process have gone to sleep so far: each wake-up ends in one (proc(5))."""
    return sum(int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", (task / "status").read_text(), re.MULTILINE)[1])
               for task in Path(f"/proc/{pid}/task").iterdir())


def memory_share(pids):
    """Bytes of memory of those processes, each shared page counted once (PSS, proc(5) smaps_rollup)."""
    total = 0
    for pid in pids:
        total += int(re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)[1])
    return total * 1024


def children(pid):
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                if int(Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[1]) == pid:
                    found.append(int(entry))
    return found


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_listening(port):
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.01)
    raise TimeoutError(f"nothing listens on port {port}")


class Prongd:
    """One prongd that serves `folder`/site with some workers; its log is kept as (monotonic time, line)."""

    def __init__(self, folder, workers, level="info", extra="", app=None, program=PRONGD):
        """`extra` and `app` are lines of the pool; without `app` it serves files."""
        self.port = free_port()
        self.lines = []
        self._changed = threading.Condition()
        config = Path(folder) / f"prongd-{self.port}.toml"
        config.write_text(f'[log]\ntarget = "stderr"\nlevel = "{level}"\n[pool.bench]\n'
                          f'listen = ["127.0.0.1:{self.port}"]\nworkers = {workers}\n{extra}\n'
                          + (app or f'static = {{ root = "{folder}/site" }}') + "\n")
        self.popen = subprocess.Popen([program, "--config", str(config)], stderr=subprocess.PIPE, text=True)
        self.pid = self.popen.pid
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        self.wait(r"ready: generation 1\b")

    def _read(self):
        for line in self.popen.stderr:
            with self._changed:
                self.lines.append((time.monotonic(), line.rstrip("\n")))
                self._changed.notify_all()

    def wait(self, pattern, after=0):
        """(time of arrival, match) of the first line from `after` on."""
        pattern, at = re.compile(pattern), after
        deadline = time.monotonic() + LIMIT
        with self._changed:
            while True:
                while at < len(self.lines):
                    when, line = self.lines[at]
                    at += 1
                    if match := pattern.search(line):
                        return when, match
                if not self._changed.wait(max(0.0, deadline - time.monotonic())):
                    raise TimeoutError(f"no line like {pattern.pattern}")

    def workers(self):
        return children(self.pid)

    def stop(self):
        self.popen.terminate()
        self.popen.wait(LIMIT)
        self._thread.join(LIMIT)
        self.popen.stderr.close()

    def connection_counts(self):
        """Connections of each worker, from the obituaries."""
        return [int(match[1]) for _, line in self.lines
                if (match := re.search(r"exited with status 0 after .*, (\d+) connections?", line))]


@contextlib.contextmanager
def bench_folder():
    """A folder with site/a.txt, for everybody to read; it goes at the end."""
    folder = tempfile.mkdtemp(prefix="prongd-bench-")
    try:
        os.chmod(folder, 0o755)
        (Path(folder) / "site").mkdir()
        (Path(folder) / "site" / "a.txt").write_text("a small text\n")
        yield folder
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def prongd(folder, workers, **more):
    daemon = Prongd(folder, workers, **more)
    try:
        yield daemon
    finally:
        if daemon.popen.poll() is None:
            daemon.stop()


def median(values):
    return statistics.median(values)
