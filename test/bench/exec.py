"""A program for each connection: prongd's exec pools against xinetd and ucspi-tcp's tcpserver with the same program.

Each round gives every server, one after the other, all connections that it can take, and then a tenth of what the
slowest of them took, the same for all, where the time from connect() to the program's first byte is what counts. That
differs by less than what else the machine does from one second to the next, so there the servers, all of them up, take
turns of half a second. The figure of a server is the median of its rounds.

  --seconds S  of each run (4)   --rounds N  (5)   --clients N  at once (8)
  --program cat|hello  cat, or a small static C program (cat)
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from load import PRONGD, free_port, median, percentile, wait_listening

HERE = Path(__file__).parent
# Peers that were unpacked and not installed, where ./dev has put them: an installed xinetd is started.
PEERS = os.pathsep.join(str(Path(root) / "usr" / part) for root in (os.environ.get("BENCH_SERVERS", "/nowhere"), "/")
                        for part in ("bin", "sbin"))

# Says a line and waits for the end of what it is sent, as an ordinary service does. Static: no dynamic linker, so that
# what the servers themselves cost is a larger share.
HELLO = r"""
#include <unistd.h>
int main(void) {
  char buffer[256];
  if (read(0, buffer, sizeof buffer) <= 0) return 1;
  if (write(1, "hello\n", 6) != 6) return 1;
  while (read(0, buffer, sizeof buffer) > 0) {
  }
  return 0;
}
"""


class Server:
    """One server for one run; its CPU time is that of the whole tree, read when it has ended (wait4(2))."""

    def __init__(self, command):
        self.log = tempfile.TemporaryFile()  # pylint: disable=consider-using-with
        # The same small environment for all: a program that finds a LANG reads a dozen files more.
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                        env={"PATH": os.environ["PATH"]})

    def stop(self):
        """Ends it; returns the CPU seconds of it and of all that it waited for."""
        self.process.send_signal(signal.SIGTERM)
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = status
        return usage.ru_utime + usage.ru_stime


def prongd_command(folder, program, port):
    config = folder / "prongd.toml"
    config.write_text(f'[log]\nlevel = "warn"\n[pool.bench]\nlisten = ["127.0.0.1:{port}"]\ngraceful_timeout = "1s"\n'
                      f'exec = {{ command = ["{program}"], max_connections = 1000 }}\n')
    return [PRONGD, "--config", str(config)]


def tcpserver_command(_folder, program, port):
    # No look-ups, no delay of small packets, and no limit that matters.
    return [shutil.which("tcpserver", path=PEERS), "-HRDl0", "-c", "1000", "-b", "1000", "127.0.0.1", str(port),
            program]


def xinetd_command(folder, program, port):
    config = folder / "xinetd.conf"
    config.write_text(f"""
defaults
{{
  instances = UNLIMITED
  per_source = UNLIMITED
  cps = 1000000 1
}}
service bench
{{
  type = UNLISTED
  socket_type = stream
  protocol = tcp
  wait = no
  user = {os.environ.get("USER", "root")}
  server = {program}
  port = {port}
  bind = 127.0.0.1
}}
""")
    return [shutil.which("xinetd", path=PEERS), "-dontfork", "-limit", "0", "-f", str(config),
            "-pidfile", str(folder / "xinetd.pid")]


SERVERS = {"prongd": prongd_command, "tcpserver": tcpserver_command, "xinetd": xinetd_command}


TURN = 0.5  # seconds


def run_client(client, port, clients, rate, seconds):
    out = subprocess.run([client, str(port), str(clients), str(rate), str(seconds)], capture_output=True, text=True,
                         check=True).stdout
    result = json.loads(out)
    if result["failed"]:
        print(f"  {result['failed']} connections failed", file=sys.stderr)
    return result


def measure_full(client, make, folder, program, options):
    """All that a server can take: (connections/s, CPU us each)."""
    port = free_port()
    server = Server(make(folder, program, port))
    try:
        wait_listening(port)
        time.sleep(0.2)  # the probe's program, and all spares
        result = run_client(client, port, options.clients, 0, options.seconds)
    finally:
        cpu = server.stop()
    return result["done"] / result["seconds"], 1e6 * cpu / max(1, result["done"])


def measure_calm(client, servers, folder, program, options, rate):
    """{name: sorted times to the first byte in us} of servers that take turns."""
    running, ports = [], {}
    times = {name: [] for name in servers}
    try:
        for name, make in servers.items():
            ports[name] = free_port()
            running.append(Server(make(folder, program, ports[name])))
            wait_listening(ports[name])
        time.sleep(0.2)
        for _ in range(max(1, round(options.seconds / TURN))):
            for name in servers:
                times[name] += run_client(client, ports[name], options.clients, rate, TURN)["first_byte_us"]
    finally:
        for server in running:
            server.stop()
    return {name: sorted(found) for name, found in times.items()}


def present():
    found = {}
    for name, make in SERVERS.items():
        if name != "prongd" and shutil.which(name, path=PEERS) is None:
            print(f"{name} is not here: left out")
        else:
            found[name] = make
    return found


def build(folder, source, name, *options):
    subprocess.run(["g++", "-O2", *options, "-o", str(folder / name), str(source)], check=True)
    return str(folder / name)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--program", choices=("cat", "hello"), default="cat")
    options = parser.parse_args()
    servers = present()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="prongd-bench-")))
        client = build(folder, HERE / "connect_client.cpp", "connect_client", "-std=c++20", "-pthread")
        program = "/bin/cat"
        if options.program == "hello":
            (folder / "hello.c").write_text(HELLO)
            program = build(folder, folder / "hello.c", "hello", "-static")
        full = {name: [] for name in servers}
        calm = {name: [] for name in servers}
        for number in range(options.rounds):
            for name, make in servers.items():
                full[name].append(measure_full(client, make, folder, program, options))
            tenth = min(runs[0][0] for runs in full.values()) / 10
            for name, times in measure_calm(client, servers, folder, program, options, tenth).items():
                calm[name].append(times)
            print(f"round {number + 1}: " + "; ".join(
                f"{name} {full[name][-1][0]:.0f}/s {full[name][-1][1]:.0f} us CPU, {tenth:.0f}/s: "
                f"{median(calm[name][-1]):.0f} us" for name in servers), flush=True)
    report(servers, full, calm, options)


def report(servers, full, calm, options):
    figures = {}
    print(f"\n{options.program}, {options.clients} clients, medians of {options.rounds} rounds of "
          f"{options.seconds:g} s")
    print("| | connections/s | server CPU us each | at a tenth: first byte, median us | p99 us |")
    print("| --- | --- | --- | --- | --- |")
    for name in servers:
        figures[name] = (median([run[0] for run in full[name]]), median([run[1] for run in full[name]]),
                         median([median(run) for run in calm[name]]),
                         median([percentile(run, 0.99) for run in calm[name]]))
        print(f"| {name} | " + " | ".join(f"{value:.0f}" for value in figures[name]) + " |")
    peers = [figures[name] for name in servers if name != "prongd"]
    if peers:
        own = figures["prongd"]
        cpu, middle, late = (own[i] / min(peer[i] for peer in peers) for i in (1, 2, 3))
        print(f"prongd against the better peer: {own[0] / max(peer[0] for peer in peers):.2f}x the connections/s, "
              f"{cpu:.2f}x the CPU, {middle:.2f}x the median and {late:.2f}x the p99 time to the first byte")


if __name__ == "__main__":
    main()
