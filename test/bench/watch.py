"""What looking costs: throughput at full load while metrics are scraped, the page polls and `top` runs, beside the same without.

Slices of load with and without take turns, in one daemon; what a slice with them lost is compared with the mean of the
slices before and behind it, so that what else the machine does counts for both. The load shares the machine's cores.
One look is a scrape of /metrics, one of status.json (as an open page does), and one question of the verb `workers` (as
`top` asks): one of each a second, where Prometheus scrapes each 15 to 60 seconds by default.

Options: --pairs N (20): slices with looks. --seconds N (2): of a slice.
"""

import argparse
import json
import re
import socket
import statistics
import subprocess
import threading

from load import bench_folder, children, cpu_seconds, free_port, one_request, prongd

WORKERS = 2
CONNECTIONS = 64


class Looks:
    """A scraper, a page and a `top`, each once a second."""

    def __init__(self, port, control):
        self._port, self._control = port, control
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._repeat, args=(look,))
                         for look in (self._scrape, self._page, self._top)]
        self.count = 0
        for thread in self._threads:
            thread.start()

    def _repeat(self, look):
        # The first one in the middle of the first second, so that a short slice has as many as its seconds.
        pause = 0.5
        while not self._stop.wait(pause):
            look()
            self.count += 1
            pause = 1.0

    def _get(self, path):
        # By hand: http.py here hides Python's own.
        with socket.create_connection(("127.0.0.1", self._port), timeout=10) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            answer = connection.makefile("rb").read()
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(f"{path}: {answer[:200]}")

    def _scrape(self):
        self._get("/metrics")

    def _page(self):
        self._get("/status.json")

    def _top(self):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self._control)
            connection.sendall(b'{"version":1,"verb":"workers"}\n')
            line = connection.makefile("rb").readline()
        if not json.loads(line)["ok"]:
            raise RuntimeError(line)

    def end(self):
        self._stop.set()
        for thread in self._threads:
            thread.join()


def load(port, seconds):
    """Requests a second."""
    out = subprocess.run(["wrk", "-t", "1", "-c", str(CONNECTIONS), "-d", f"{seconds}s", f"http://127.0.0.1:{port}/"],
                         capture_output=True, text=True, check=True).stdout
    return float(re.search(r"Requests/sec: +([\d.]+)", out)[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--seconds", type=int, default=2)
    options = parser.parse_args()
    with bench_folder() as folder:
        status, control = free_port(), f"{folder}/control.sock"
        more = (f'respond = {{ body = "hello\\n" }}\nhttp = {{ keepalive_requests = 1000000000 }}\n'
                f'[pool.status]\nlisten = ["127.0.0.1:{status}"]\nstatus = {{}}\n'
                f'[control]\nsocket = "{control}"')
        with prongd(folder, WORKERS, app=more) as daemon:
            one_request(("127.0.0.1", status), "/metrics")
            watchers = [daemon.pid, *(pid for pid in children(daemon.pid) if is_status(pid))]
            load(daemon.port, options.seconds)  # warm
            alone, watched, looks, used = [load(daemon.port, options.seconds)], [], 0, 0.0
            for _ in range(options.pairs):
                before = cpu_seconds(watchers)
                looking = Looks(status, control)
                watched.append(load(daemon.port, options.seconds))
                looking.end()
                used += cpu_seconds(watchers) - before
                looks += looking.count
                alone.append(load(daemon.port, options.seconds))
    ratios = [rate / statistics.mean(alone[i:i + 2]) for i, rate in enumerate(watched)]
    between = [rate / statistics.mean((alone[i - 1], alone[i + 1])) for i, rate in enumerate(alone) if 0 < i < len(alone) - 1]
    print(f"alone    {statistics.median(alone):10,.0f} requests/s (median of {len(alone)} slices)")
    print(f"watched  {statistics.median(watched):10,.0f} requests/s (median of {len(watched)} slices)")
    print(f"watched / alone, slice by slice: median {statistics.median(ratios):.4f}, mean {statistics.mean(ratios):.4f} "
          f"(alone / alone, the same way: median {statistics.median(between):.4f}, "
          f"deviation {statistics.stdev(between):.4f})")
    print(f"{looks} looks took {used / looks * 1e6:,.0f} us of processor time each, of the master and the status worker")


def is_status(pid):
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        return b"status" in file.read()


if __name__ == "__main__":
    main()
