"""Static files beside nginx with as many workers: requests/s, p99 and server CPU for each request; ratios last."""

import contextlib
import re
import subprocess
import sys
from pathlib import Path

from load import LIMIT, bench_folder, children, cpu_seconds, free_port, prongd, wait_listening

WORKERS = 2
CONNECTIONS = 64
SECONDS = 5
SIZES = {"1 KiB": 1 << 10, "100 KiB": 100 << 10, "10 MiB": 10 << 20}
UNITS = {"us": 1e-3, "ms": 1.0, "s": 1000.0}

# sendfile, no access log, no idle work: nginx as its makers would set it for this.
NGINX = """
worker_processes {workers};
daemon off;
master_process on;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; default_type application/octet-stream;
  client_body_temp_path {folder}/nginx-body; proxy_temp_path {folder}/nginx-proxy; fastcgi_temp_path {folder}/nginx-f;
  uwsgi_temp_path {folder}/nginx-u; scgi_temp_path {folder}/nginx-s;
  server {{ listen 127.0.0.1:{port} backlog=4096; root {folder}/site; }}
}}
"""


@contextlib.contextmanager
def nginx(folder):
    port = free_port()
    config = Path(folder) / "nginx.conf"
    config.write_text(NGINX.format(workers=WORKERS, folder=folder, port=port))
    with subprocess.Popen(["/usr/sbin/nginx", "-c", str(config), "-p", folder], stderr=subprocess.DEVNULL) as server:
        try:
            wait_listening(port)
            yield port, children(server.pid)
        finally:
            server.terminate()
            server.wait(LIMIT)


@contextlib.contextmanager
def ours(folder):
    with prongd(folder, workers=WORKERS) as daemon:
        yield daemon.port, daemon.workers()


def measure(port, pids, target):
    """Requests/s, p99 in ms, and server CPU us for each request, under wrk."""
    url = f"http://127.0.0.1:{port}{target}"
    before = cpu_seconds(pids)
    out = subprocess.run(["wrk", "-t", "2", "-c", str(CONNECTIONS), "-d", f"{SECONDS}s", "--latency", url],
                         capture_output=True, text=True, check=True).stdout
    used = cpu_seconds(pids) - before
    requests = int(re.search(r"(\d+) requests in", out)[1])
    rate = float(re.search(r"Requests/sec: +([\d.]+)", out)[1])
    p99 = re.search(r"99% +([\d.]+)(us|ms|s)", out)
    if re.search(r"Non-2xx|Socket errors: (?!connect 0, read 0, write 0, timeout 0)", out):
        print(out, file=sys.stderr)
    return rate, float(p99[1]) * UNITS[p99[2]], used / requests * 1e6


def main():
    with bench_folder() as folder:
        Path(folder).chmod(0o755)
        for name, size in SIZES.items():
            (Path(folder) / "site" / f"{size}.bin").write_bytes(bytes(size))
        figures = {}
        for server, start in (("prongd", ours), ("nginx", nginx)):
            with start(folder) as (port, pids):
                for name, size in SIZES.items():
                    figures[server, name] = measure(port, pids, f"/{size}.bin")
    print(f"{WORKERS} workers, {CONNECTIONS} keep-alive connections, {SECONDS} s each, load from the same machine")
    print(f"{'size':>8} {'server':>7} {'requests/s':>11} {'p99 ms':>8} {'CPU us/request':>15}   against nginx")
    for name in SIZES:
        for server in ("nginx", "prongd"):
            rate, p99, cpu = figures[server, name]
            ratios = [mine / theirs for mine, theirs in zip(figures[server, name], figures["nginx", name])]
            text = "" if server == "nginx" else "   {:.2f}x requests, {:.2f}x p99, {:.2f}x CPU".format(*ratios)
            print(f"{name:>8} {server:>7} {rate:>11,.0f} {p99:>8.2f} {cpu:>15.1f}{text}")


if __name__ == "__main__":
    main()
