"""How evenly short connections spread over four workers: Jain's index at 200 and at 3,000 connections/s, and flat out."""

from load import bench_folder, jain, load_client, prongd

SECONDS = 5


def main():
    with bench_folder() as folder:
        run = load_client(folder)
        print(f"{'connections/s':>14} {'answered':>9} {'failed':>7} {'p99 ms':>7} {'index':>6}  connections of each worker")
        for rate in (200, 3000, 0):
            with prongd(folder, workers=4) as daemon:
                figures = run("short", daemon.port, "/a.txt", threads=8, rate=rate, seconds=SECONDS)
                daemon.stop()
                counts = daemon.connection_counts()
            print(f"{rate or 'flat out':>14} {figures['answered']:>9} {figures['failed']:>7} {figures['p99_ms']:>7.2f} "
                  f"{jain(counts):>6.3f}  {sorted(counts)}")


if __name__ == "__main__":
    main()
