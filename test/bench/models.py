"""An iterative server, then process, thread and event, under fast, blocking, CPU-bound requests and slow senders.

Four parts: the table of the models; CPU-bound work with as many workers as cores against one worker; what it costs to hand
requests to application threads; wake-ups of idle workers. The application is prongd-trial's (test/trial/worker_main.cpp),
`respond` in the third part. Whatever is compared takes turns, since what else the machine does changes from minute to minute.

Options: --quick: one short round. --only "NAME;NAME": these parts (fast, blocking, cpu, slow, cores, threads, idle).
"""

import argparse
import contextlib
import datetime
import os
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from load import TRIAL, bench_folder, cpu_seconds, free_port, load_client, median, memory_share, prongd, \
    wait_listening, wake_ups
from scale import SLOW

CORES = len(os.sched_getaffinity(0))
BLOCKED = 200  # one-second requests in flight
BURN_MS = 20  # of the requests with which cores are counted: long, so that the load generator takes next to nothing
UNITS = {"us": 1e-3, "ms": 1.0, "s": 1000.0}


@dataclass(frozen=True)
class Shape:
    model: str  # "iterative", or a concurrency of prongd
    workers: int = 1
    threads: int = 1
    once: bool = False  # it fails at this, which one round shows

    def __str__(self):
        if self.model == "iterative":
            return "iterative"
        each = f" x {self.threads} threads" if self.model == "thread" else ""
        return f"{self.model}, {self.workers} worker{'s' if self.workers > 1 else ''}{each}"


@dataclass
class Figures:
    rate: float  # answers/s
    half: float  # ms
    p99: float  # ms
    refused: int  # no connection
    late: int  # no answer for 10 s
    failed: int  # any other reason
    memory: int  # bytes, of all workers
    busy: float  # cores that the workers used: how many they got, when they could use all
    alone: float = 0.0  # p99 in ms without what runs beside
    beside: float = 0.0  # answers/s of what ran beside


class Running:
    """A server of one shape: its port, and the processes that serve."""

    def __init__(self, port, pids):
        self.port, self.pids = port, pids


@contextlib.contextmanager
def server(folder, shape):
    if shape.model != "iterative":
        extra = f'concurrency = "{shape.model}"\ngraceful_timeout = "500ms"\n'
        if shape.model == "thread":
            extra += f"threads = {shape.threads}\n"
        with prongd(folder, shape.workers, extra=extra, app='respond = { body = "ok" }', program=TRIAL) as daemon:
            yield Running(daemon.port, daemon.workers())
        return
    program = str(Path(folder) / "iterative_server")
    if not os.path.exists(program):
        subprocess.run(["g++", "-std=c++20", "-O2", "-o", program, str(Path(__file__).parent / "iterative_server.cpp")],
                       check=True)
    port = free_port()
    with subprocess.Popen([program, str(port)]) as popen:
        try:
            wait_listening(port)
            yield Running(port, [popen.pid])
        finally:
            popen.kill()


@contextlib.contextmanager
def slow_senders(folder, port):
    """2,000 clients that send a byte of their request each second."""
    stop = Path(folder) / "stop"
    with subprocess.Popen([sys.executable, str(Path(__file__).parent / "scale.py"), "slow", str(port), str(stop)],
                          stdout=subprocess.PIPE, text=True) as senders:
        try:
            senders.stdout.readline()
            yield
        finally:
            stop.touch()
            senders.stdout.readline()
    stop.unlink()


@contextlib.contextmanager
def before_other_work():
    """What is started in here runs before all else that the machine does (sched(7)), where that is allowed. For loads that
    use next to no CPU: they take nothing from others, and their figures do not depend on them."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(5))
    except PermissionError:
        print("\nno leave to run before other work (SCHED_RR)")
        yield
        return
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


class Bench:
    def __init__(self, folder, quick):
        self.folder, self.load = folder, load_client(folder)
        self.rounds, self.seconds = (1, 2) if quick else (3, 4)

    def ask(self, running, mode, target, **more):
        """One run of the load client, with the servers' memory in the middle of it."""
        memory = []

        def look():
            time.sleep(self.seconds / 2)  # the middle of the run
            memory.append(memory_share(running.pids))

        used, start = cpu_seconds(running.pids), time.monotonic()
        got = self.load(mode, running.port, target, seconds=self.seconds, during=look, **more)
        busy = (cpu_seconds(running.pids) - used) / (time.monotonic() - start)
        return Figures(got["answered"] / got["seconds"], got["median_ms"], got["p99_ms"], got["refused"], got["late"],
                       got["failed"] - got["refused"] - got["late"], memory[0], busy)

    def fast(self, running):
        return self.ask(running, "keep", "/", threads=16, rate=0)

    def cpu(self, running):
        return self.ask(running, "short", "/burn?ms=5", threads=16, rate=0)

    def slow(self, running):
        with slow_senders(self.folder, running.port):
            return self.ask(running, "keep", "/", threads=4, rate=500)

    def blocking(self, running):
        """The fast requests; beside them runs what blocks, which begins before and ends after them. Alone, before that,
        they show what the machine adds."""
        blocked, alone = {}, self.ask(running, "short", "/", threads=8, rate=200).p99

        def block():
            # Evenly over the second, so that they do not all end in the same moment for ever.
            blocked.update(self.load("keep", running.port, "/sleep?ms=1000", threads=BLOCKED + 5, rate=BLOCKED,
                                     seconds=self.seconds + 2.5))

        beside = threading.Thread(target=block)
        beside.start()
        time.sleep(1.5)  # all of them are in flight
        figures = self.ask(running, "short", "/", threads=8, rate=200)
        beside.join()
        figures.alone, figures.beside = alone, blocked["answered"] / blocked["seconds"]
        return figures


CASES = {
    "fast": ("fast requests: 16 clients, keep-alive, one request after the other",
             [Shape("iterative"), Shape("process", 16), Shape("thread", CORES, 4), Shape("event", CORES)]),
    "blocking": (f"{BLOCKED} requests in flight that block for 1 s; the figures are those of 200 fast requests/s beside them",
                 [Shape("iterative", once=True), Shape("process", 8, once=True), Shape("process", BLOCKED + 40),
                  Shape("thread", 8, 32), Shape("event", 8, once=True)]),
    "cpu": ("requests of 5 ms of CPU: 16 clients, a connection for each request",
            [Shape("iterative"), Shape("process", CORES), Shape("thread", CORES, 4), Shape("event", CORES)]),
    "slow": (f"{SLOW} clients that send a byte a second; the figures are those of 500 fast requests/s beside them",
             [Shape("iterative", once=True), Shape("process", 8, once=True), Shape("thread", CORES, 4),
              Shape("event", CORES)]),
}


def merged(runs):
    def middle(name):
        return median([getattr(run, name) for run in runs])

    def total(name):
        return sum(getattr(run, name) for run in runs)

    return Figures(middle("rate"), middle("half"), middle("p99"), total("refused"), total("late"), total("failed"),
                   middle("memory"), middle("busy"), middle("alone"), middle("beside"))


def run_case(bench, name):
    title, shapes = CASES[name]
    runs = {shape: [] for shape in shapes}
    light = name in ("blocking", "slow")
    for number in range(bench.rounds):
        for shape in shapes:
            if number > 0 and shape.once:
                continue
            with before_other_work() if light else contextlib.nullcontext(), server(bench.folder, shape) as running:
                runs[shape].append(getattr(bench, name)(running))
    beside = f" {'blocked/s':>10} {'p99 alone':>10}" if name == "blocking" else ""
    print(f"\n{title}\n{'':<34} {'answers/s':>10} {'p50 ms':>9} {'p99 ms':>9} {'refused':>8} {'late':>6} {'failed':>7} "
          f"{'PSS MiB':>8} {'busy':>5}{beside}")
    for shape in shapes:
        got = merged(runs[shape])
        # What waited for the whole patience of the clients has no other figure.
        half, p99 = (f"{value:.2f}" if value < 9990 else "none" for value in (got.half, got.p99))
        print(f"{str(shape):<34} {got.rate:>10,.0f} {half:>9} {p99:>9} {got.refused:>8} {got.late:>6} {got.failed:>7} "
              f"{got.memory / (1 << 20):>8.1f} {got.busy:>5.2f}"
              + (f" {got.beside:>10,.0f} {got.alone:>10.2f}" if beside else ""), flush=True)
    if name == "blocking":
        many = runs[Shape("thread", 8, 32)]
        print(f"p99 of the fast ones beside {BLOCKED} that block, 8 workers x 32 threads: {merged(many).p99:.2f} ms (asked: at "
              f"most 1.6 ms); rounds, alone -> beside: {', '.join(f'{run.alone:.2f} -> {run.p99:.2f}' for run in many)}")


def run_cores(bench):
    """CPU-bound requests with as many workers as cores against one, in pairs."""
    print(f"\n{CORES} workers against one, requests of {BURN_MS} ms of CPU (asked: at least {0.95 * CORES:.1f}x on free cores; "
          f"busy is how many cores the workers got)")
    for model in ("process", "thread", "event"):
        pairs = []
        with server(bench.folder, Shape(model, 1)) as one, server(bench.folder, Shape(model, CORES)) as all_of_them:
            for _ in range(2 * bench.rounds):
                pair = []
                for running in (one, all_of_them):
                    before, start = cpu_seconds(running.pids), time.monotonic()
                    got = bench.load("short", running.port, f"/burn?ms={BURN_MS}", threads=2 * CORES, rate=0,
                                     seconds=bench.seconds)
                    busy = (cpu_seconds(running.pids) - before) / (time.monotonic() - start)
                    pair.append((got["answered"] / got["seconds"], busy))
                pairs.append(pair)
        one, many = median([pair[0][0] for pair in pairs]), median([pair[1][0] for pair in pairs])
        ratios = sorted(pair[1][0] / pair[0][0] for pair in pairs)
        busy = [median([pair[which][1] for pair in pairs]) for which in (0, 1)]
        print(f"{model:<8} {one:>7.1f} -> {many:>7.1f} answers/s: {median(ratios):.2f}x (best of {len(pairs)} pairs "
              f"{ratios[-1]:.2f}x), busy {busy[0]:.2f} -> {busy[1]:.2f}: {busy[1] / busy[0]:.2f}x", flush=True)


def wrk(port, pids, seconds):
    """(requests/s, CPU us of the server for each request, p99 ms)."""
    before = cpu_seconds(pids)
    out = subprocess.run(["wrk", "-t", "1", "-c", "64", "-d", f"{seconds}s", "--latency", f"http://127.0.0.1:{port}/"],
                         capture_output=True, text=True, check=True).stdout
    used = cpu_seconds(pids) - before
    requests = int(re.search(r"(\d+) requests in", out)[1])
    p99 = re.search(r"99% +([\d.]+)(us|ms|s)", out)
    return float(re.search(r"Requests/sec: +([\d.]+)", out)[1]), used / requests * 1e6, float(p99[1]) * UNITS[p99[2]]


def run_threads(bench):
    """What handing over to application threads costs, for an answer that costs nothing itself."""
    print("\n`respond` with 64 keep-alive connections: thread with 4 threads against event (asked: at least 0.6x)")
    app = 'respond = { body = "Hello, world!\\n" }'
    for workers in (1, CORES):
        with contextlib.ExitStack() as stack:
            daemons = {}
            for model in ("event", "thread"):
                extra = f'concurrency = "{model}"\nhttp = {{ keepalive_requests = 1000000000 }}\n' + \
                    ("threads = 4\n" if model == "thread" else "")
                daemons[model] = stack.enter_context(prongd(bench.folder, workers, extra=extra, app=app))
            runs = {model: [] for model in daemons}
            for _ in range(2 * bench.rounds + 1):
                for model, daemon in daemons.items():
                    runs[model].append(wrk(daemon.port, daemon.workers(), 2 if bench.rounds > 1 else 1))
        event, thread = ([median(column) for column in zip(*runs[model][1:])] for model in ("event", "thread"))
        ratios = [ours[0] / theirs[0] for ours, theirs in zip(runs["thread"][1:], runs["event"][1:])]
        print(f"{workers} worker{'s' if workers > 1 else ''}: event {event[0]:,.0f} requests/s, {event[1]:.2f} us of CPU each, "
              f"p99 {event[2]:.2f} ms; thread {thread[0]:,.0f}, {thread[1]:.2f} us, p99 {thread[2]:.2f} ms: "
              f"{median(ratios):.2f}x the requests/s", flush=True)


def run_idle(bench):
    """All three at once, each with two workers that have served, an idle connection and nothing to do."""
    seconds = 10 if bench.rounds > 1 else 3
    with contextlib.ExitStack() as stack:
        pids = {}
        for model in ("process", "thread", "event"):
            running = stack.enter_context(server(bench.folder, Shape(model, 2, 4)))
            bench.load("keep", running.port, "/", threads=4, rate=0, seconds=0.2)
            pids[model] = running.pids
        time.sleep(6.0)  # what lingers after the load is over by then
        before = {model: [wake_ups(pid) for pid in found] for model, found in pids.items()}
        used = {model: cpu_seconds(found) for model, found in pids.items()}
        time.sleep(seconds)  # the time that is looked at
        print(f"\nidle workers, wake-ups of all their threads in {seconds} s (asked: at most {2 * seconds} each)")
        for model, found in pids.items():
            counts = [wake_ups(pid) - was for pid, was in zip(found, before[model])]
            print(f"{model:<8} {counts}, {(cpu_seconds(found) - used[model]) * 1e6:.0f} us of CPU")


def load_average():
    return f"load average {os.getloadavg()[0]:.1f}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    parts = {name: lambda bench, of=name: run_case(bench, of) for name in CASES}
    parts |= {"cores": run_cores, "threads": run_threads, "idle": run_idle}
    wanted = [name.strip() for name in options.only.split(";") if name.strip()] or list(parts)
    with bench_folder() as folder:
        bench = Bench(folder, options.quick)
        print(f"{datetime.date.today()}, Linux {os.uname().release}, {CORES} usable cores, load from the same machine, "
              f"{load_average()} at the start;\n{bench.rounds} round{'s' if bench.rounds > 1 else ''} of {bench.seconds} s, medians; "
              f"clients give up after 10 s (late);\n"
              f"PSS is the memory of all workers, busy the cores that they used; beside blocking requests and slow senders, which\n"
              f"use next to no CPU, all runs before other work of the machine (SCHED_RR)")
        for name in wanted:
            parts[name](bench)
        print(f"\n{load_average()} at the end: above {CORES} the cores were not free")


if __name__ == "__main__":
    main()
