"""How many requests fail in 10 reloads under keep-alive load without retries, and the longest answer."""

import signal
import time

from load import bench_folder, load_client, prongd

RELOADS = 10
SECONDS = 12


def reload_ten_times(daemon):
    for number in range(RELOADS):
        time.sleep(1.0)  # evenly over the load's time
        mark = len(daemon.lines)
        daemon.popen.send_signal(signal.SIGHUP)
        daemon.wait(rf"reload done: generation {number + 2}\b", mark)


def main():
    with bench_folder() as folder:
        run = load_client(folder)
        for what, mode, threads, rate in (("32 busy keep-alive connections", "keep", 32, 0),
                                          ("500 requests/s over 32 keep-alive connections", "keep", 32, 500),
                                          ("500 short connections/s", "short", 8, 500)):
            with prongd(folder, workers=4) as daemon:
                figures = run(mode, daemon.port, "/a.txt", threads=threads, rate=rate, seconds=SECONDS,
                              during=lambda running=daemon: reload_ten_times(running))
            total = figures["answered"] + figures["failed"]
            print(f"{what}: {figures['failed']} of {total:,} failed in {RELOADS} reloads, longest answer "
                  f"{figures['longest_ms']:.0f} ms, p99 {figures['p99_ms']:.2f} ms")


if __name__ == "__main__":
    main()
