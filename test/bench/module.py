"""What a module costs: CPU time of a worker for each request of hello.cpp beside `respond`, for each echo beside a bare epoll.

Slices of load take turns between the two, so that what else the machine does counts for both; each slice of the module is
compared with the mean of the slices before and behind it. One worker each; the load shares the machine's cores.

Options: --pairs N (8): slices of the module. --seconds N (2): of a slice. --only http|echo. --check: fail above 1.15.
"""

import argparse
import contextlib
import re
import statistics
import subprocess
import sys
from pathlib import Path

from load import LIMIT, PRONGD, bench_folder, cpu_seconds, free_port, one_request, prongd, wait_listening

BUILD = Path(PRONGD).parents[2]
HELLO = BUILD / "docs/examples/hello.so"
HELLO_C = BUILD / "docs/examples/hello_c.so"
ECHO = BUILD / "test/modules/echo.so"
CONNECTIONS = 64
MOST = 1.15


def http_slice(port, pids, seconds):
    """(us of CPU time for each request, requests per second)"""
    before = cpu_seconds(pids)
    out = subprocess.run(["wrk", "-t", "1", "-c", str(CONNECTIONS), "-d", f"{seconds}s", f"http://127.0.0.1:{port}/"],
                         capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in out:
        raise RuntimeError(out)
    requests = int(re.search(r"(\d+) requests in", out)[1])
    return (cpu_seconds(pids) - before) / requests * 1e6, requests / seconds


def echo_slice(program, size):
    def run(port, pids, seconds):
        before = cpu_seconds(pids)
        rounds = int(subprocess.run([program, "load", str(port), str(CONNECTIONS), str(size), str(seconds)],
                                    capture_output=True, text=True, check=True).stdout)
        return (cpu_seconds(pids) - before) / rounds * 1e6, rounds / seconds
    return run


@contextlib.contextmanager
def bare_echo(program):
    port = free_port()
    with subprocess.Popen([program, "serve", str(port)]) as popen:
        try:
            wait_listening(port)
            yield port, [popen.pid]
        finally:
            popen.terminate()
            popen.wait(LIMIT)


@contextlib.contextmanager
def pool(folder, app):
    """A prongd of one worker that runs this app; its port and that worker."""
    with prongd(folder, 1, app=app) as daemon:
        yield daemon.port, daemon.workers()


def body_of(port):
    return one_request(("127.0.0.1", port), "/").partition(b"\r\n\r\n")[2]


def compare(name, names, measure, base, module, options):
    """Prints the figures of both in turn; gives the ratio."""
    measure(*base, options.seconds)  # warm
    measure(*module, options.seconds)
    of_base, of_module = [measure(*base, options.seconds)], []
    for _ in range(options.pairs):
        of_module.append(measure(*module, options.seconds))
        of_base.append(measure(*base, options.seconds))
    cost = [[us for us, _ in each] for each in (of_base, of_module)]
    ratios = [us / statistics.mean(cost[0][i:i + 2]) for i, us in enumerate(cost[1])]
    noise = [us / statistics.mean((cost[0][i - 1], cost[0][i + 1])) for i, us in enumerate(cost[0])
             if 0 < i < len(cost[0]) - 1]
    print(f"{name}, {CONNECTIONS} connections, one worker")
    for each, us, rates in zip(names, cost, (of_base, of_module)):
        print(f"  {each:<18} {statistics.median(us):7.2f} us of CPU time each, {statistics.median(r for _, r in rates):10,.0f} "
              f"per second; us of each slice: {' '.join(f'{one:.2f}' for one in us)}")
    ratio = statistics.median(ratios)
    spread = f"{min(noise):.3f} to {max(noise):.3f}" if noise else "-"
    print(f"  ratio, slice by slice: median {ratio:.3f} (at most {MOST}), {min(ratios):.3f} to {max(ratios):.3f}; "
          f"of the first against itself: {spread}", flush=True)
    return ratio


def compare_http(folder, options):
    body = "hello world"
    more = "http = { keepalive_requests = 1000000000 }"
    respond = f'respond = {{ body = "{body}" }}\n{more}'
    ratios = []
    for name, path in (("hello.cpp", HELLO), ("hello.c", HELLO_C)):
        with pool(folder, respond) as base, pool(folder, f'module = {{ path = "{path}" }}\n{more}') as module:
            if body_of(base[0]) != body.encode() or body_of(module[0]) != body.encode():
                raise RuntimeError("they do not answer the same")
            ratios.append(compare(f"HTTP, {name}", ("respond", name), http_slice, base, module, options))
    return ratios


def compare_echo(folder, options):
    program = f"{folder}/echo_bench"
    subprocess.run(["g++", "-std=c++20", "-O2", "-o", program, str(Path(__file__).parent / "echo_bench.cpp")], check=True)
    app = f'module = {{ path = "{ECHO}", protocol = "stream" }}'
    ratios = []
    for size in (64, 4096):
        with bare_echo(program) as base, pool(folder, app) as module:
            ratios.append(compare(f"echo of {size} bytes", ("epoll by hand", "module echo"), echo_slice(program, size),
                                  base, module, options))
    return ratios


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--only", choices=("http", "echo"))
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    with bench_folder() as folder:
        ratios = compare_http(folder, options) if options.only != "echo" else []
        ratios += compare_echo(folder, options) if options.only != "http" else []
    if options.check and max(ratios) > MOST:
        sys.exit(f"a ratio is above {MOST}")


if __name__ == "__main__":
    main()
