"""How long after kill -9 of the only worker its replacement is ready, and how long until it answers (median of 100)."""

import os
import signal
import time

from load import bench_folder, median, one_request, percentile, prongd

ROUNDS = 100


def main():
    ready, answered = [], []
    with bench_folder() as folder, prongd(folder, workers=1) as daemon:
        address = ("127.0.0.1", daemon.port)
        for _ in range(ROUNDS):
            one_request(address, "/a.txt")
            [pid] = daemon.workers()
            mark = len(daemon.lines)
            start = time.monotonic()
            os.kill(pid, signal.SIGKILL)
            one_request(address, "/a.txt")  # waits in the listener's queue for the replacement
            answered.append(1000 * (time.monotonic() - start))
            when, _ = daemon.wait(r"pid=\d+: ready", mark)
            ready.append(1000 * (when - start))
    for what, values in (("ready (its log line read)", ready), ("first answer", answered)):
        print(f"kill -9 to {what}: median {median(values):.2f} ms, p99 {percentile(values, 0.99):.2f} ms, "
              f"longest {max(values):.2f} ms, of {ROUNDS}")


if __name__ == "__main__":
    main()
