"""The other servers that `./dev bench http` holds prongd against, each set up as its makers would for this: sendfile, open
files cached, no limit on the requests of a connection, TCP_DEFER_ACCEPT, as many workers as prongd. Not a benchmark itself.

They come from Debian's packages, unpacked into a folder (./dev, BENCH_SERVERS) rather than installed, so that none of
them is started on port 80.
"""

import contextlib
import os
import socket
import subprocess
from pathlib import Path

from load import LIMIT, children, free_port, wait_listening

UNPACKED = Path(os.environ.get("BENCH_SERVERS", "/nonexistent"))
ANSWER = b"Hello, world!\n"  # the constant answer
CONSTANT = "/constant.txt"  # the file for servers that have none


class Server:
    """One server that runs: where it listens, and the processes whose time counts."""

    def __init__(self, name, port, pid, constant="/"):
        self.name, self.port, self.pid, self.constant = name, port, pid, constant

    def pids(self):
        return [self.pid, *children(self.pid)]


def find(program):
    """Where a program is: unpacked, or installed; None when it is not there."""
    for folder in (UNPACKED / "usr/sbin", UNPACKED / "usr/bin", Path("/usr/sbin"), Path("/usr/bin")):
        if os.access(folder / program, os.X_OK):
            return str(folder / program)
    return None


@contextlib.contextmanager
def running(folder, name, command, port, constant="/"):
    libraries = ":".join(str(path) for path in UNPACKED.glob("usr/lib/*-linux-gnu"))
    # A process group of its own, since Apache ends by a signal to its whole group; the same session for all, since the
    # scheduler shares the CPUs among sessions first (CONFIG_SCHED_AUTOGROUP, sched(7)).
    with open(f"{folder}/{port}.out", "w+b") as said, \
            subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, process_group=0,
                             env=os.environ | {"LD_LIBRARY_PATH": libraries}) as popen:
        try:
            try:
                wait_listening(port)
            except TimeoutError as late:
                said.seek(0)
                raise RuntimeError(f"{name} does not start: {said.read().decode(errors='replace')}") from late
            yield Server(name, port, popen.pid, constant)
        finally:
            popen.terminate()
            popen.wait(LIMIT)


def written(folder, name, text):
    path = Path(folder) / name
    path.write_text(text)
    return str(path)


@contextlib.contextmanager
def bare(folder, mode, answer, workers):
    program = str(Path(folder) / "bare_server")
    if not os.path.exists(program):
        subprocess.run(["g++", "-std=c++20", "-O2", "-o", program, str(Path(__file__).parent / "bare_server.cpp")],
                       check=True)
    port = free_port()
    (Path(folder) / "answer").write_bytes(answer)
    with running(folder, "bare", [program, mode, str(port), str(workers), f"{folder}/answer"], port) as server:
        yield server


@contextlib.contextmanager
def nginx(folder, workers, log):
    port = free_port()
    access = f"access_log {folder}/nginx-access.log combined" if log else "access_log off"
    config = written(folder, "nginx.conf", f"""
daemon off; worker_processes {workers}; pid {folder}/nginx.pid; error_log {folder}/nginx-error.log;
events {{ worker_connections 4096; }}
http {{
  {access}; sendfile on; tcp_nopush on; keepalive_requests 1000000000; default_type application/octet-stream;
  types {{ text/plain txt; }}
  open_file_cache max=1000 inactive=60s; open_file_cache_valid 60s;
  client_body_temp_path {folder}/nginx-b; proxy_temp_path {folder}/nginx-p; fastcgi_temp_path {folder}/nginx-f;
  uwsgi_temp_path {folder}/nginx-u; scgi_temp_path {folder}/nginx-s;
  server {{
    listen 127.0.0.1:{port} backlog=4096 deferred; root {folder}/site;
    location = / {{ default_type text/plain; return 200 "{ANSWER.decode().strip()}\\n"; }}
  }}
}}
""")
    with running(folder, "nginx", [find("nginx"), "-c", config, "-p", folder], port) as server:
        yield server


@contextlib.contextmanager
def lighttpd(folder, workers, log):
    port = free_port()
    access = f'server.modules += ("mod_accesslog")\naccesslog.filename = "{folder}/lighttpd-access.log"\n'
    config = written(folder, "lighttpd.conf", f"""
server.document-root = "{folder}/site"
server.port = {port}
server.bind = "127.0.0.1"
server.max-worker = {workers}
server.listen-backlog = 4096
server.defer-accept = 1
server.max-fds = 8192
server.max-keep-alive-requests = 65535
server.max-keep-alive-idle = 60
server.network-backend = "sendfile"
server.errorlog = "{folder}/lighttpd-error.log"
mimetype.assign = (".txt" => "text/plain", "" => "application/octet-stream")
""" + (access if log else ""))
    modules = next((str(path) for path in (UNPACKED / "usr/lib/lighttpd", Path("/usr/lib/lighttpd")) if path.is_dir()))
    with running(folder, "lighttpd", [find("lighttpd"), "-D", "-m", modules, "-f", config], port, CONSTANT) as server:
        yield server


@contextlib.contextmanager
def h2o(folder, workers, log):
    port = free_port()
    config = written(folder, "h2o.conf", f"""
listen: {{ host: 127.0.0.1, port: {port} }}
num-threads: {workers}
max-connections: 4096
error-log: {folder}/h2o-error.log
file.mime.addtypes: {{ text/plain: .txt }}
hosts:
  default:
    paths:
      /: {{ file.dir: {folder}/site }}
""" + (f"access-log: {folder}/h2o-access.log\n" if log else ""))
    with running(folder, "h2o", [find("h2o"), "-m", "worker", "-c", config], port, CONSTANT) as server:
        yield server


@contextlib.contextmanager
def apache(folder, _workers, log):
    """Prefork: a process is busy with its connection, so it has as many as there are connections."""
    port = free_port()
    modules = next(path for path in (UNPACKED / "usr/lib/apache2/modules", Path("/usr/lib/apache2/modules"))
                   if path.is_dir())
    config = written(folder, "apache.conf", f"""
LoadModule mpm_prefork_module {modules}/mod_mpm_prefork.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule mime_module {modules}/mod_mime.so
ServerRoot {folder}
ServerName bench
PidFile {folder}/apache.pid
ErrorLog {folder}/apache-error.log
Listen 127.0.0.1:{port}
ListenBacklog 4096
DocumentRoot {folder}/site
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 60
StartServers 80
MinSpareServers 1
MaxSpareServers 100
MaxRequestWorkers 100
EnableSendfile On
TypesConfig /dev/null
AddType text/plain .txt
<Directory {folder}/site>
  AllowOverride None
  Options FollowSymLinks
  Require all granted
</Directory>
""" + (f'CustomLog {folder}/apache-access.log "%h %l %u %t \\"%r\\" %>s %b \\"%{{Referer}}i\\" \\"%{{User-Agent}}i\\""\n'
            if log else ""))
    if os.geteuid() == 0:
        with open(config, "a", encoding="ascii") as file:
            file.write("User nobody\nGroup nogroup\n")
    with running(folder, "Apache prefork", [find("apache2"), "-DFOREGROUND", "-f", config], port, CONSTANT) as server:
        yield server


@contextlib.contextmanager
def haproxy(folder, workers, _log):
    port = free_port()
    config = written(folder, "haproxy.cfg", f"""
global
  nbthread {workers}
  maxconn 4096
defaults
  mode http
  timeout client 60s
  timeout http-keep-alive 60s
frontend bench
  bind 127.0.0.1:{port} defer-accept backlog 4096
  http-request return status 200 content-type text/plain string "{ANSWER.decode().strip()}\\n"
""")
    with running(folder, "haproxy", [find("haproxy"), "-db", "-f", config], port) as server:
        yield server


OTHERS = {"nginx": nginx, "h2o": h2o, "lighttpd": lighttpd, "apache2": apache, "haproxy": haproxy}


def raw_answer(port, target="/"):
    """The bytes of one answer on a connection that stays open."""
    with socket.create_connection(("127.0.0.1", port), timeout=LIMIT) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
        data = b""
        while not data.endswith(ANSWER):
            part = connection.recv(65536)
            if not part:
                raise ConnectionError(f"no whole answer: {data!r}")
            data += part
        return data
