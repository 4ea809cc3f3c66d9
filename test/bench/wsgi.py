"""WSGI in event, thread and process beside gunicorn, uWSGI and mod_wsgi: CPU for each request, requests/s, p99, memory.

wrk loads from the same machine, so what counts is the CPU time that a server's processes take for each request. All
servers of a table run the whole time and take turns (A B C A B C), and each figure is the median of its rounds, since
what else the machine does changes from minute to minute.

Options: --quick: one short round. --only "NAME;NAME": these parts (requests, slow, cpu, memory).
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

from load import bench_folder, cpu_seconds, load_client, median, memory_share, one_request
from models import before_other_work
from wsgi_servers import is_there, start, write_applications

NAMES = ("prongd event", "prongd thread", "prongd process", "gunicorn sync", "gunicorn gthread", "uWSGI", "mod_wsgi")
WORKERS, THREADS = 2, 4
UNITS = {"us": 1e-3, "ms": 1.0, "s": 1000.0}
SLOW, SLOW_WORKERS, SLOW_THREADS = 200, 8, 32  # one-second requests in flight, and who is to hold them
IDLE_WORKERS = 8


@dataclass(frozen=True)
class Case:
    name: str
    module: str
    target: str
    connections: int = 64
    closes: bool = False  # a connection for each request
    body: int = 0  # bytes to upload


CASES = [
    Case("hello, keep-alive", "plain", "/"),
    Case("hello, new connections", "plain", "/", closes=True),
    Case("Flask page, keep-alive", "page", "/"),
    Case("1 MiB upload", "plain", "/upload", connections=16, body=1 << 20),
    Case("10 MiB streamed", "plain", "/stream", connections=16),
]


@dataclass
class Figures:
    cpu: float  # us of the server for each request
    rate: float  # requests/s
    p99: float  # ms
    errors: str = ""


def middle(runs):
    return Figures(median([run.cpu for run in runs]), median([run.rate for run in runs]), median([run.p99 for run in runs]),
                   next((run.errors for run in runs if run.errors), ""))


def measure(server, case, folder, seconds):
    """One run of wrk."""
    command = ["wrk", "-t", "2", "-c", str(case.connections), "-d", f"{seconds}s", "--timeout", "10s", "--latency"]
    if case.closes:
        command += ["-H", "Connection: close"]
    if case.body:
        script = Path(folder) / f"upload-{case.body}.lua"
        script.write_text(f'wrk.method = "POST"\nwrk.body = string.rep("x", {case.body})\n')
        command += ["-s", str(script)]
    pids = server.pids()
    before = cpu_seconds(pids)
    out = subprocess.run([*command, f"http://127.0.0.1:{server.port}{case.target}"], capture_output=True, text=True,
                         check=True).stdout
    used = cpu_seconds(pids) - before
    errors = re.search(r"Non-2xx.*|Socket errors: (?!connect 0, read 0, write 0, timeout 0).*", out)
    requests = max(1, int(re.search(r"(\d+) requests in", out)[1]))
    p99 = re.search(r"99% +([\d.]+)(us|ms|s)", out)
    return Figures(used / requests * 1e6, float(re.search(r"Requests/sec: +([\d.]+)", out)[1]),
                   float(p99[1]) * UNITS[p99[2]], errors[0] if errors else "")


class Bench:
    def __init__(self, folder, names, quick):
        self.folder, self.names, self.load = folder, names, load_client(folder)
        self.rounds, self.seconds = (1, 1) if quick else (5, 1)

    def requests(self):
        """Five kinds of requests, two workers each, all servers at once and in turns."""
        with contextlib.ExitStack() as stack:
            servers = {(name, module): stack.enter_context(
                start(name, self.folder, module, WORKERS, 1 if name == "uWSGI" else THREADS))
                       for name in self.names for module in ("plain", "page")}
            for case in CASES:
                runs = {name: [] for name in self.names}
                for number in range(self.rounds + (self.rounds > 1)):  # the first warms up
                    for name in self.names:
                        runs[name].append(measure(servers[name, case.module], case, self.folder, self.seconds))
                print_case(case, {name: middle(found[self.rounds > 1:]) for name, found in runs.items()})

    def slow(self):
        """Fast requests beside many that block. All of it uses next to no CPU, and runs before other work of the machine."""
        names = [name for name in self.names if name in ("prongd thread", "gunicorn gthread", "uWSGI", "mod_wsgi")]
        print(f"\n{SLOW} requests of 1 s in flight, {SLOW_WORKERS} workers x {SLOW_THREADS} threads; the figures are those of "
              f"200 fast requests/s beside them\n{'':<17} {'slow/s':>8} {'p50 ms':>8} {'p99 ms':>8} {'alone p99':>10} "
              f"{'failed':>7}")
        seconds = 2 if self.rounds == 1 else 3
        for name in names:
            runs = []
            with before_other_work(), start(name, self.folder, "plain", SLOW_WORKERS, SLOW_THREADS) as server:
                for _ in range(1 if self.rounds == 1 else 2):
                    runs.append(self.beside(server, seconds))
            held, half, p99, alone = (median([run[column] for run in runs]) for column in range(4))
            print(f"{name:<17} {held:>8.0f} {half:>8.2f} {p99:>8.2f} {alone:>10.2f} {sum(run[4] for run in runs):>7}",
                  flush=True)

    def beside(self, server, seconds):
        alone = self.load("short", server.port, "/", threads=8, rate=200, seconds=seconds)
        held = {}
        holder = threading.Thread(target=lambda: held.update(
            self.load("keep", server.port, "/slow", threads=SLOW + 5, rate=SLOW, seconds=seconds + 2.5)))
        holder.start()
        time.sleep(1.5)  # all of them are in flight
        fast = self.load("short", server.port, "/", threads=8, rate=200, seconds=seconds)
        holder.join()
        return (held["answered"] / held["seconds"], fast["median_ms"], fast["p99_ms"], alone["p99_ms"],
                fast["failed"] + held["failed"])

    def cpu(self):
        """CPU-bound Python, about 4 ms each; short, since it runs before other work: how many cores it gets is the question."""
        shapes = [("prongd process", 1, 1), ("prongd process", 2, 1), ("prongd thread", 1, 4), ("prongd event", 1, 1),
                  ("gunicorn sync", 1, 1), ("uWSGI", 1, 1)]
        shapes = [shape for shape in shapes if shape[0] in self.names]
        with before_other_work(), contextlib.ExitStack() as stack:
            servers = {shape: stack.enter_context(start(shape[0], self.folder, "plain", *shape[1:])) for shape in shapes}
            runs = {shape: [] for shape in shapes}
            for number in range(2 * self.rounds + 1):
                for shape, server in servers.items():
                    pids = server.pids()
                    before, begin = cpu_seconds(pids), time.monotonic()
                    got = self.load("short", server.port, "/burn", threads=4, rate=0, seconds=0.5)
                    busy = (cpu_seconds(pids) - before) / (time.monotonic() - begin)
                    answers = max(1, got["answered"])
                    runs[shape].append((answers / got["seconds"], (cpu_seconds(pids) - before) / answers * 1e3, busy))
        reference = shapes[0]
        print(f"\nCPU-bound Python: 4 clients, a connection for each request, {2 * self.rounds} rounds; ratios to the first line, "
              f"round by round: their median and best\n{'':<36} {'requests/s':>10} {'ratio':>6} {'best':>5} {'CPU ms/request':>15} "
              f"{'ratio':>6} {'busy':>5}")
        for shape, found in runs.items():
            label = f"{shape[0]}, {shape[1]} worker{'s' if shape[1] > 1 else ''}" + (
                f" x {shape[2]} threads" if shape[2] > 1 else "")
            pairs = list(zip(found, runs[reference]))[1:]
            rate, cpu, busy = (median([run[column] for run in found[1:]]) for column in range(3))
            ratios = sorted(mine[0] / other[0] for mine, other in pairs)
            print(f"{label:<36} {rate:>10.1f} {median(ratios):>6.2f} {ratios[-1]:>5.2f} {cpu:>15.3f} "
                  f"{median([mine[1] / other[1] for mine, other in pairs]):>6.2f} {busy:>5.2f}", flush=True)

    def memory(self):
        """Idle workers with Flask that have served a little."""
        print(f"\nmemory (PSS) of {IDLE_WORKERS} idle workers with Flask, the master included\n{'':<17} {'MiB':>7} {'each':>7} "
              f"{'processes':>10}")
        for name in self.names:
            threads = THREADS if name in ("prongd thread", "gunicorn gthread", "mod_wsgi") else 1
            with start(name, self.folder, "page", IDLE_WORKERS, threads) as server:
                for _ in range(20 * IDLE_WORKERS):
                    one_request(("127.0.0.1", server.port), "/")
                pids = server.pids()
                total = memory_share(pids) / (1 << 20)
                print(f"{name:<17} {total:>7.1f} {total / IDLE_WORKERS:>7.1f} {len(pids):>10}", flush=True)


def print_case(case, results):
    ours = results.get("prongd event") or next(iter(results.values()))
    print(f"\n{case.name}: {case.connections} connections\n{'':<17} {'CPU us/request':>15} {'ratio':>7} {'requests/s':>11} "
          f"{'ratio':>7} {'p99 ms':>9}")
    for name, figures in results.items():
        print(f"{name:<17} {figures.cpu:>15.2f} {figures.cpu / ours.cpu:>7.2f} {figures.rate:>11,.0f} "
              f"{figures.rate / ours.rate:>7.2f} {figures.p99:>9.2f} {figures.errors}".rstrip(), flush=True)


def load_average():
    return f"load average {os.getloadavg()[0]:.1f}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    wanted = [name.strip() for name in options.only.split(";") if name.strip()] or ["requests", "slow", "cpu", "memory"]
    names = [name for name in NAMES if is_there(name)]
    for name in set(NAMES) - set(names):
        print(f"{name} is not there, so it is left out", file=sys.stderr)
    with bench_folder() as folder:
        write_applications(folder)
        bench = Bench(folder, names, options.quick)
        print(f"{datetime.date.today()}, Linux {os.uname().release}, {len(os.sched_getaffinity(0))} usable cores, load from the "
              f"same machine, {load_average()} at the start;\n{WORKERS} workers (x {THREADS} threads in prongd thread and gthread, 32 in "
              f"mod_wsgi), no access logs, medians of {bench.rounds} rounds of {bench.seconds} s in turns;\n"
              f"gunicorn sync and uWSGI close after each answer, also where the client would keep the connection")
        for name in wanted:
            getattr(bench, name)()
        print(f"\n{load_average()} at the end: the load generator and whatever else ran shared the cores")


if __name__ == "__main__":
    main()
