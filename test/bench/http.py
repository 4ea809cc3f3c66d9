"""HTTP beside a bare epoll program, nginx, h2o, lighttpd, Apache, haproxy: server CPU for each request, requests/s, p99.

Not to be imported: it has the name of a module of Python, which the verb of ./dev gave it.

wrk loads from the same machine, so what counts is the CPU time that a server's processes take for each request. All
servers run the whole time and take turns (A B C A B C), and each figure is the median of its rounds, since what else the
machine does changes from minute to minute.

Options: --quick: one short round. --log: everybody writes an access log. --only "NAME;NAME": these cases.
"""

import argparse
import contextlib
import datetime
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from load import PRONGD, bench_folder, cpu_seconds, median, prongd
from servers import ANSWER, CONSTANT, OTHERS, Server, bare, find, raw_answer

WORKERS = 2
CONNECTIONS = 64
UNITS = {"us": 1e-3, "ms": 1.0, "s": 1000.0}
SIZES = {"1 KiB": 1 << 10, "100 KiB": 100 << 10, "10 MiB": 10 << 20}
FILE_SERVERS = ("prongd", "nginx", "h2o", "lighttpd", "Apache prefork")
CONSTANT_SERVERS = ("bare", *FILE_SERVERS, "haproxy")


@dataclass(frozen=True)
class Case:
    name: str
    target: str  # "" is the constant answer
    servers: tuple
    closes: bool = False  # a connection for each request
    size: int = 0


CASES = [Case("constant", "", CONSTANT_SERVERS), Case("constant, new connections", "", CONSTANT_SERVERS, closes=True)]
CASES += [Case(name, f"/{size}.bin", FILE_SERVERS, size=size) for name, size in SIZES.items()]
CASES += [Case("1 KiB, new connections", f"/{1 << 10}.bin", FILE_SERVERS, closes=True)]


@dataclass
class Figures:
    cpu: float  # us of the server for each request
    rate: float  # requests/s
    p99: float  # ms


def measure(server, case, seconds):
    """One run of wrk."""
    target = case.target or server.constant
    command = ["wrk", "-t", "2", "-c", str(CONNECTIONS), "-d", f"{seconds}s", "--timeout", "20s", "--latency"]
    if case.closes:
        command += ["-H", "Connection: close"]
    pids = server.pids()
    before = cpu_seconds(pids)
    out = subprocess.run([*command, f"http://127.0.0.1:{server.port}{target}"], capture_output=True, text=True,
                         check=True).stdout
    used = cpu_seconds(pids) - before
    if re.search(r"Non-2xx|Socket errors: (?!connect 0, read 0, write 0, timeout 0)", out):
        print(f"{server.name}, {case.name}: {out}", file=sys.stderr)
    requests = int(re.search(r"(\d+) requests in", out)[1])
    p99 = re.search(r"99% +([\d.]+)(us|ms|s)", out)
    return Figures(used / requests * 1e6, float(re.search(r"Requests/sec: +([\d.]+)", out)[1]),
                   float(p99[1]) * UNITS[p99[2]])


def start_all(stack, folder, log):
    """{name: Server} of all, and under (name, "closes") those that are others for new connections."""
    site = Path(folder) / "site"
    for size in SIZES.values():
        (site / f"{size}.bin").write_bytes(os.urandom(size))
    (site / CONSTANT[1:]).write_bytes(ANSWER)
    extra = "http = { keepalive_requests = 1000000000 }\n"
    if log:
        extra += f'access_log = {{ path = "{folder}/prongd-access.log" }}\n'
    respond = f'respond = {{ body = "{ANSWER.decode().strip()}\\n" }}\n'
    files = stack.enter_context(prongd(folder, WORKERS, extra=extra))
    constant = stack.enter_context(prongd(folder, WORKERS, extra=extra, app=respond))
    found = {"prongd": Server("prongd", files.port, files.pid),
             ("prongd", ""): Server("prongd", constant.port, constant.pid)}
    answer = raw_answer(constant.port)
    found["bare"] = stack.enter_context(bare(folder, "keep", answer, WORKERS))
    closing = answer.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)
    found["bare", "closes"] = stack.enter_context(bare(folder, "close", closing, WORKERS))
    for program, start in OTHERS.items():
        if log and program == "haproxy":  # it logs to a socket, for another process to write
            continue
        if find(program) is None:
            print(f"{program} is not there, so it is left out", file=sys.stderr)
            continue
        server = stack.enter_context(start(folder, WORKERS, log))
        found[server.name] = server
    return found


def server_for(found, name, case):
    if case.target == "" and (name, "") in found:
        return found[name, ""]
    if case.closes and (name, "closes") in found:
        return found[name, "closes"]
    return found.get(name)


def run_rounds(found, cases, rounds, seconds):
    """{(case, name): [Figures]}. The first round, which warms caches up, is short and does not count."""
    results = {}
    for number in range(rounds + 1):
        for case in cases:
            for name in case.servers:
                server = server_for(found, name, case)
                if server is None:
                    continue
                figures = measure(server, case, seconds if number else 1)
                if number:
                    results.setdefault((case.name, name), []).append(figures)
        if number and sys.stderr.isatty():
            print(f"round {number} of {rounds}", file=sys.stderr)
    return {key: Figures(median([f.cpu for f in runs]), median([f.rate for f in runs]), median([f.p99 for f in runs]))
            for key, runs in results.items()}


def print_case(case, results):
    head = "GB/s" if case.size >= 100 << 10 else ""
    print(f"\n{case.name}\n{'':<15} {'CPU us/request':>15} {'requests/s':>12} {'p99 ms':>9} {head:>6}")
    for name in case.servers:
        if (figures := results.get((case.name, name))) is not None:
            volume = f"{figures.rate * case.size / 1e9:>6.2f}" if head else ""
            print(f"{name:<15} {figures.cpu:>15.2f} {figures.rate:>12,.0f} {figures.p99:>9.2f} {volume}".rstrip())


def print_ratios(cases, results):
    print("\nprongd against the others, CPU for each request (below 1 prongd needs less; p99 in brackets)")
    print(f"{'':<26} {'bare':>13} {'nginx':>13} {'best other':>13}")
    for case in cases:
        ours = results[case.name, "prongd"]

        def ratio(theirs):
            return "-" if theirs is None else f"{ours.cpu / theirs.cpu:.2f} ({ours.p99 / theirs.p99:.2f})"

        others = [results[case.name, name] for name in case.servers
                  if name not in ("prongd", "bare") and (case.name, name) in results]
        best = min(others, key=lambda figures: figures.cpu, default=None)
        best_name = next((name for (of, name), figures in results.items() if of == case.name and figures is best), "")
        print(f"{case.name:<26} {ratio(results.get((case.name, 'bare'))):>13} "
              f"{ratio(results.get((case.name, 'nginx'))):>13} {ratio(best):>13} {best_name}".rstrip())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--log", action="store_true")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    wanted = [name.strip() for name in options.only.split(";") if name.strip()]
    cases = [case for case in CASES if not wanted or case.name in wanted]
    rounds, seconds = (1, 1) if options.quick else (7, 1)
    with bench_folder() as folder, contextlib.ExitStack() as stack:
        results = run_rounds(start_all(stack, folder, options.log), cases, rounds, seconds)
    print(f"{datetime.date.today()}, Linux {os.uname().release}, {os.cpu_count()} CPUs, load from the same machine, "
          f"{Path(PRONGD).name} with {WORKERS} workers,\n{CONNECTIONS} connections, median of {rounds} round{'s' if rounds > 1 else ''} of "
          f"{seconds} s, access logs {'on' if options.log else 'off'}")
    for case in cases:
        print_case(case, results)
    print_ratios(cases, results)


if __name__ == "__main__":
    main()
