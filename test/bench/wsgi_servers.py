"""The servers that `./dev bench wsgi` holds prongd against, with the same application and as many workers, no access log, each
set up as its makers advise. Not a benchmark itself.

Apache is unpacked, not installed (./dev, BENCH_SERVERS), since an installed one is started on port 80. The others start
nothing by being installed.
"""

import contextlib
import os
from pathlib import Path

from load import children, free_port, prongd
from servers import UNPACKED, find, running, written

PYTHON = "/usr/bin/python3"

# What is asked of each server, by path; Flask is in a module of its own, so that its memory does not count with the others.
PLAIN = """
import time

HELLO, PART = b"Hello, world!\\n", b"x" * 65536


def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "14")])
    return [HELLO]


def upload(environ, start_response):
    left = int(environ["CONTENT_LENGTH"])
    while left > 0 and (part := environ["wsgi.input"].read(min(left, 65536))):
        left -= len(part)
    if left != 0:
        raise ValueError("not the whole body")
    return hello(environ, start_response)


def stream(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    for _ in range(160):
        yield PART


def slow(environ, start_response):
    time.sleep(1)
    return hello(environ, start_response)


def burn(environ, start_response):
    total = 0
    for number in range(100_000):
        total += number * number % 7
    return hello(environ, start_response)


PATHS = {"/upload": upload, "/stream": stream, "/slow": slow, "/burn": burn}


def application(environ, start_response):
    return PATHS.get(environ["PATH_INFO"], hello)(environ, start_response)
"""

FLASK = """
from flask import Flask, render_template_string

application = Flask(__name__)


@application.get("/")
def page():
    return render_template_string("<ul>{% for number in numbers %}<li>{{ number }}</li>{% endfor %}</ul>", numbers=range(20))
"""


class Server:
    """One that runs: its port, and the processes whose time and memory count."""

    def __init__(self, port, pid):
        self.port, self.pid = port, pid

    def pids(self):
        found, todo = [], [self.pid]
        while todo:
            found.append(todo.pop())
            todo += children(found[-1])
        return found


def write_applications(folder):
    (Path(folder) / "plain.py").write_text(PLAIN)
    (Path(folder) / "page.py").write_text(FLASK)


@contextlib.contextmanager
def ours(model, folder, module, workers, threads):
    extra = f'concurrency = "{model}"\nhttp = {{ keepalive_requests = 1000000000, max_body = "4MiB" }}\n'
    if model == "thread":
        extra += f"threads = {threads}\n"
    app = f'wsgi = {{ app = "{module}", path = ["{folder}"], python = "{PYTHON}" }}'
    with prongd(folder, workers, extra=extra, app=app) as daemon:
        yield Server(daemon.port, daemon.pid)


@contextlib.contextmanager
def gunicorn(kind, folder, module, workers, threads):
    port = free_port()
    command = [find("gunicorn"), "--bind", f"127.0.0.1:{port}", "--workers", str(workers), "--worker-class", kind,
               "--backlog", "4096", "--worker-tmp-dir", "/dev/shm", "--chdir", folder, "--log-level", "warning", "--no-sendfile"]
    if kind == "gthread":
        command += ["--threads", str(threads), "--keep-alive", "60", "--worker-connections", "4096"]
    with running(folder, f"gunicorn {kind}", [*command, module], port) as server:
        yield Server(port, server.pid)


@contextlib.contextmanager
def uwsgi(folder, module, workers, threads):
    port = free_port()
    command = [find("uwsgi") or find("uwsgi-core"), "--plugins-dir", "/usr/lib/uwsgi/plugins", "--plugin", "python3",
               "--http-socket", f"127.0.0.1:{port}", "--master", "--processes", str(workers), "--chdir", folder, "--module",
               module, "--need-app", "--single-interpreter", "--die-on-term", "--disable-logging", "--listen", "1024",
               # It closes after each answer, and says so only when told to.
               "--add-header", "Connection: close"]
    if threads > 1:
        command += ["--threads", str(threads)]
    with running(folder, "uWSGI", command, port) as server:
        yield Server(port, server.pid)


@contextlib.contextmanager
def mod_wsgi(folder, module, workers, threads):
    """The application in Apache's own workers: the fewest hand-overs that mod_wsgi has. A thread is busy with its connection, so
    there are as many as connections (the event MPM, which needs fewer, closes them when all threads are busy)."""
    threads = max(threads, 32)
    port = free_port()
    modules = next(path for path in (UNPACKED / "usr/lib/apache2/modules", Path("/usr/lib/apache2/modules"))
                   if path.is_dir())
    written(folder, f"{module}.wsgi", f"import sys\nsys.path.insert(0, {folder!r})\nfrom {module} import application\n")
    config = written(folder, f"apache-{port}.conf", f"""
LoadModule mpm_worker_module {modules}/mod_mpm_worker.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule wsgi_module {modules}/mod_wsgi.so
ServerRoot {folder}
ServerName bench
PidFile {folder}/apache-{port}.pid
DefaultRuntimeDir {folder}
ErrorLog {folder}/apache-{port}.log
Mutex sem
Listen 127.0.0.1:{port}
ListenBacklog 4096
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 60
StartServers {workers}
ServerLimit {workers}
ThreadsPerChild {threads}
MinSpareThreads 1
MaxSpareThreads {workers * threads}
MaxRequestWorkers {workers * threads}
WSGIApplicationGroup %{{GLOBAL}}
WSGIScriptAlias / {folder}/{module}.wsgi
<Directory {folder}>
  Require all granted
</Directory>
""" + ("User nobody\nGroup nogroup\n" if os.geteuid() == 0 else ""))
    with running(folder, "mod_wsgi", [find("apache2"), "-DFOREGROUND", "-f", config], port) as server:
        yield Server(port, server.pid)


def start(name, *arguments):
    """`arguments`: folder, module, workers, threads of each worker (where it has any)."""
    if name.startswith("prongd "):
        return ours(name.removeprefix("prongd "), *arguments)
    if name.startswith("gunicorn "):
        return gunicorn(name.removeprefix("gunicorn "), *arguments)
    if name == "uWSGI":
        return uwsgi(*arguments)
    return mod_wsgi(*arguments)


def is_there(name):
    programs = {"prongd": None, "gunicorn": "gunicorn", "uWSGI": "uwsgi-core", "mod_wsgi": "apache2"}
    program = programs[name.split()[0]]
    return program is None or find(program) is not None
