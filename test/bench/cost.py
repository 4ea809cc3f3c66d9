"""What one request costs a worker: instructions in user space (callgrind) and system calls (strace).

Not times: counts, which do not depend on what else the machine does. 16 clients send at once and wait for all answers, so
that a worker finds several ready connections at a wake-up, as it does under load. What the start costs is taken out by
running twice, with few and with many requests.

Options: --functions: also the functions that take most. --only "NAME;NAME": these cases.
"""

import argparse
import collections
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from load import PRONGD, bench_folder, children, free_port, one_request, wait_listening

CLIENTS = 16
FEW, MANY = 10, 510  # rounds
REQUESTS = (MANY - FEW) * CLIENTS
LIMIT = 60.0


@dataclass(frozen=True)
class Case:
    name: str
    target: str
    app: str  # "respond" or "static"
    closes: bool = False


CASES = [Case("constant", "/", "respond"), Case("constant, new connections", "/", "respond", closes=True),
         Case("1 KiB", "/1.bin", "static"), Case("1 KiB, new connections", "/1.bin", "static", closes=True),
         Case("100 KiB", "/100.bin", "static")]


def connect(port):
    connection = socket.create_connection(("127.0.0.1", port), timeout=LIMIT)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def read_answer(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            raise ConnectionError(f"no whole answer: {data!r}")
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    left = int(re.search(rb"\r\ncontent-length: (\d+)", head, re.IGNORECASE)[1]) - len(body)
    while left > 0:
        left -= len(connection.recv(min(left, 1 << 20)))


def drive(port, case, rounds):
    """The request is the one that wrk sends."""
    extra = "Connection: close\r\n" if case.closes else ""
    request = f"GET {case.target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{extra}\r\n".encode()
    kept = [] if case.closes else [connect(port) for _ in range(CLIENTS)]
    for _ in range(rounds):
        connections = kept or [connect(port) for _ in range(CLIENTS)]
        for connection in connections:
            connection.sendall(request)
        for connection in connections:
            read_answer(connection)
        if case.closes:
            for connection in connections:
                connection.close()
    for connection in kept:
        connection.close()


def master_below(popen, wrapper):
    """valgrind becomes the program, strace has it as its child."""
    return popen.pid if wrapper[0] == "valgrind" else children(popen.pid)[0]


@contextlib.contextmanager
def wrapped(folder, case, wrapper, environment=None):
    """A prongd of one worker below a tool; gives its port and the worker's pid. Ends orderly, so that the tool writes its results."""
    port = free_port()
    app = 'respond = { body = "Hello, world!\\n" }' if case.app == "respond" else f'static = {{ root = "{folder}/site" }}'
    config = Path(folder) / "cost.toml"
    config.write_text(f'[log]\ntarget = "stderr"\n[pool.cost]\nlisten = ["127.0.0.1:{port}"]\nworkers = 1\n{app}\n')
    with open(f"{folder}/cost.out", "wb") as said, \
            subprocess.Popen([*wrapper, PRONGD, "--config", str(config)], stdout=said, stderr=said,
                             env=os.environ | (environment or {})) as popen:
        try:
            wait_listening(port)
            one_request(("127.0.0.1", port), case.target)  # the worker is there
            yield port, children(master_below(popen, wrapper))[0]
        finally:
            os.kill(master_below(popen, wrapper), signal.SIGTERM)
            popen.wait(LIMIT)


def instructions(folder, case, shim):
    """Instructions for each request, and the file of the long run."""
    totals = []
    for rounds in (FEW, MANY):
        wrapper = ["valgrind", "--tool=callgrind", "--trace-children=yes", "--quiet",
                   f"--callgrind-out-file={folder}/callgrind.%p"]
        with wrapped(folder, case, wrapper, {"LD_PRELOAD": shim}) as (port, worker):
            drive(port, case, rounds)
        path = Path(folder) / f"callgrind.{worker}"
        totals.append(int(re.search(r"^(?:totals|summary): (\d+)", path.read_text(), re.MULTILINE)[1]))
    return (totals[1] - totals[0]) / REQUESTS, path


def system_calls(folder, case):
    """{name: calls for each request}."""
    counts = []
    for rounds in (FEW, MANY):
        output = f"{folder}/strace"
        with wrapped(folder, case, ["strace", "-f", "-c", "-U", "name,calls", "-o", output]) as (port, _):
            drive(port, case, rounds)
        lines = (line.split() for line in Path(output).read_text().splitlines())
        counts.append(collections.Counter({line[0]: int(line[1]) for line in lines
                                           if len(line) == 2 and line[1].isdigit() and line[0] != "total"}))
    return {name: (counts[1][name] - counts[0][name]) / REQUESTS for name in counts[1]
            if (counts[1][name] - counts[0][name]) / REQUESTS >= 0.005}


def print_functions(path):
    """The functions that take most by themselves. The start is in it, so only what is called for each request counts."""
    text = subprocess.run(["callgrind_annotate", "--auto=no", "--threshold=99", str(path)], capture_output=True,
                          text=True, check=True).stdout
    own = collections.Counter()
    for line in text.splitlines():
        # The file stands before the name; what was inlined from another file is a line of its own.
        if match := re.match(r"\s*([\d,]+) +\([ \d.]+%\) +[^:]*:(\S.*?)(?: \[|$)", line):
            own[re.sub(r"\(.*|\[abi.*", "", match[2].replace("(anonymous namespace)::", ""))] += \
                int(match[1].replace(",", ""))
    for name, count in own.most_common(30):
        print(f"    {count / (MANY * CLIENTS):>8.0f}  {name}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--functions", action="store_true")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    wanted = [name.strip() for name in options.only.split(";") if name.strip()]
    with bench_folder() as folder:
        for size in (1, 100):
            (Path(folder) / "site" / f"{size}.bin").write_bytes(os.urandom(size << 10))
        shim = f"{folder}/openat2_shim.so"
        subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", shim, str(Path(__file__).parent / "openat2_shim.c"),
                        "-ldl"], check=True)
        print(f"{shutil.which('valgrind')} and strace, {CLIENTS} clients, for each request of {REQUESTS}")
        for case in CASES:
            if wanted and case.name not in wanted:
                continue
            count, path = instructions(folder, case, shim)
            calls = system_calls(folder, case)
            each = ", ".join(f"{name} {number:.2f}" for name, number in sorted(calls.items(), key=lambda c: -c[1]))
            print(f"{case.name:<26} {count:>8,.0f} instructions, {sum(calls.values()):.2f} system calls: {each}")
            if options.functions:
                print_functions(path)


if __name__ == "__main__":
    main()
