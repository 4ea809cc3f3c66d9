"""Real servers that accept inherited sockets, in pools of style "listener": reloaded under load on short connections,
no request fails.

Not uvicorn 0.17: at its stop it resets connections that it has accepted and not yet read from (seen with --fd 3).
"""

import shutil

import pytest

import harness
from client import Load, get
from harness import table

PYTHON = "/usr/bin/python3"
RELOADS = 20
BODY = b"hello from a program\n"

# An HTTP server in a few lines: takes what it accepted to its end before it goes.
ASYNCIO = """
import asyncio, contextlib, signal, socket
async def answer(loop, connection):
    head = b""
    while b"\\r\\n\\r\\n" not in head:
        more = await loop.sock_recv(connection, 65536)
        if not more:
            break
        head += more
    else:
        body = b"hello from a program\\n"
        head = b"HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body)
        await loop.sock_sendall(connection, head + body)
    connection.close()
async def main():
    loop, answers = asyncio.get_running_loop(), set()
    listener = socket.socket(fileno=3)
    listener.setblocking(False)
    def accept():
        with contextlib.suppress(BlockingIOError):  # another copy was faster
            connection, _ = listener.accept()
            connection.setblocking(False)
            task = loop.create_task(answer(loop, connection))
            answers.add(task)
            task.add_done_callback(answers.discard)
    stopping = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    loop.add_reader(listener, accept)  # not loop.sock_accept(): cancelled, it may lose a connection
    await stopping.wait()
    loop.remove_reader(listener)
    if answers:
        await asyncio.wait(answers)
asyncio.run(main())
"""

WSGI = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "21")])
    return [b"hello from a program\\n"]
"""

NODE = """
const server = require("http").createServer((request, response) => response.end("hello from a program\\n"));
server.listen({fd: 3});
process.on("SIGTERM", () => server.close());
"""

NGINX = """
daemon off; worker_processes 1; pid FOLDER/nginx.pid; error_log stderr error;
events {}
http { access_log off; server { listen 127.0.0.1:PORT; location / { return 200 "hello from a program\\n"; } } }
"""


def need_program(name):
    path = shutil.which(name, path="/usr/sbin:/usr/bin:/bin")
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def asyncio_server(folder, _port):
    (folder / "server.py").write_text(ASYNCIO)
    return {"command": [PYTHON, "server.py"], "cwd": folder, "ready": "300ms"}


def gunicorn(folder, _port):
    path = need_program("gunicorn")
    (folder / "hello.py").write_text(WSGI)
    return {"command": [path, "--workers", "1", "--log-level", "error", "hello:app"], "cwd": folder, "ready": "notify"}


def node(folder, _port):
    path = need_program("node")
    (folder / "server.js").write_text(NODE)
    return {"command": [path, "server.js"], "cwd": folder, "ready": "300ms"}


def nginx(folder, port):
    path = need_program("nginx")
    config = folder / "nginx.conf"
    config.write_text(NGINX.replace("FOLDER", str(folder)).replace("PORT", str(port)))
    # nginx has a variable of its own for inherited sockets, which it takes as they are, and calls its graceful stop QUIT.
    return {"command": [path, "-p", str(folder), "-c", str(config)], "env": {"NGINX": "3;"}, "stop_signal": "QUIT",
            "nonblocking": True, "ready": "300ms"}


@pytest.mark.parametrize("server", [asyncio_server, gunicorn, node, nginx])
def test_a_server_is_reloaded_under_load_without_a_failed_request(session, server):
    port = harness.free_port()
    exec_table = {"style": "listener", **server(session.folder, port)}
    daemon = session.start(table("pool.run", listen=[f"127.0.0.1:{port}"], workers=2, exec=exec_table), level="info")
    daemon.expect("output: ")
    assert get(("127.0.0.1", port)).body == BODY
    with Load(("127.0.0.1", port), {"/": BODY}, short=4, keep_alive=0) as load:
        for generation in range(2, RELOADS + 2):
            assert daemon.reload() == generation
            load.wait_for(20)
        load.stop()
        assert not load.failures
    assert load.answers >= RELOADS * 20
