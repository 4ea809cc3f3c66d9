"""One worker with 10,000 idle connections and 2,000 slow senders: what a normal client notices, and memory for each."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from load import bench_folder, load_client, median, prongd

IDLE = 10_000
SLOW = 2_000
ROUNDS = 3
RATE = 500  # requests per second of the normal client, over one keep-alive connection
SECONDS = 6
HEAD = b"GET / HTTP/1.1\r\nHost: bench\r\nX-Slow: "


def memory(pid):
    """Anonymous resident memory in bytes: what user space allocated."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise LookupError("no RssAnon")


def idle_connections(port, number):
    """Connections that have had an answer and ask for nothing more."""
    result = []
    for _ in range(number):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.sendall(b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n")
        if not connection.recv(4096).startswith(b"HTTP/1.1 200 "):
            raise ConnectionError("an idle connection had no answer")
        result.append(connection)
    return result


def send_slowly(port, number, ready, stop):
    """A process of its own: `number` clients that send one byte of a request each second, for ever."""
    senders = []
    for _ in range(number):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.sendall(HEAD)
        senders.append(connection)
    ready()
    cut = 0
    while not stop():
        start = time.monotonic()
        for at, connection in enumerate(senders):
            try:
                connection.send(b"x")
            except OSError:
                cut += 1
            # Evenly over the second: that is the load, not a way to wait for something.
            ahead = start + at / number - time.monotonic()
            if ahead > 0.002:
                time.sleep(ahead)
    return cut


def run_as_slow_senders(port):
    cut = send_slowly(port, SLOW, lambda: print("ready", flush=True), lambda: os.getppid() == 1 or Path(sys.argv[3]).exists())
    print(cut, flush=True)


def measure(run, port):
    figures = run("keep", port, "/", threads=1, rate=RATE, seconds=SECONDS)
    return figures


def main():
    config = "http = { header_timeout = \"10m\", idle_timeout = \"10m\", max_header = \"64KiB\" }\nmax_connections = 20000"
    with bench_folder() as folder, prongd(folder, workers=1, extra=config, app='respond = { body = "ok" }') as daemon:
        run = load_client(folder)
        worker = daemon.workers()[0]
        alone, together = [], []
        for _ in range(ROUNDS):
            alone.append(measure(run, daemon.port))
            before = memory(worker)
            idle = idle_connections(daemon.port, IDLE)
            each_idle = (memory(worker) - before) / IDLE
            stop = Path(folder) / "stop"
            with subprocess.Popen([sys.executable, __file__, "slow", str(daemon.port), str(stop)], stdout=subprocess.PIPE,
                                  text=True) as slow:
                slow.stdout.readline()
                each_slow = (memory(worker) - before - each_idle * IDLE) / SLOW
                together.append(measure(run, daemon.port))
                stop.touch()
                cut = int(slow.stdout.readline())
            stop.unlink()
            for connection in idle:
                connection.close()
            print(f"round: alone {alone[-1]}, together {together[-1]}, memory: {each_idle:.0f} bytes for an idle "
                  f"connection, {each_slow:.0f} for a slow sender; {cut} slow senders cut")
    first, second = median([figures["p99_ms"] for figures in alone]), median([figures["p99_ms"] for figures in together])
    print(f"one worker, {RATE} requests/s of a normal client: p99 {first:.3f} ms alone, {second:.3f} ms beside {IDLE} idle "
          f"connections and {SLOW} clients that send a byte a second: {second / first:.2f}x (asked: at most 2x)")


if __name__ == "__main__":
    if len(sys.argv) > 2 and sys.argv[1] == "slow":
        run_as_slow_senders(int(sys.argv[2]))
    else:
        main()
