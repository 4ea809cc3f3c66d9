"""WSGI (PEP 3333) as applications see it: environ, wsgi.input, start_response, every shape of answer, and everything that an
application can get wrong, in all three concurrency models. The applications are in wsgi/conform.py; those that keep
the rules run inside wsgiref.validate, which holds the server to them too."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from client import Connection, Cut, get
from harness import PRONGD, descriptors, interpreter_environment, signals_as_they_are, table, wait_until

APPLICATIONS = Path(__file__).parent / "wsgi"
MODELS = ["event", "thread", "process"]
PYTHON = "/usr/bin/python3"

pytestmark = [
    pytest.mark.skipif(not (Path(PRONGD).parent / "python" / "prong_worker.abi3.so").exists(),
                       reason="built without python3-dev"),
    pytest.mark.interpreter,
]


def wsgi_pool(concurrency="thread", *, app="conform", name="app", workers=1, more="", **keys):
    keys = {"app": app, "path": [str(APPLICATIONS)], "python": PYTHON, **keys}
    keys = {key: value for key, value in keys.items() if value is not None}
    threads = "threads = 3\n" if concurrency == "thread" else ""
    return (f'[pool.{name}]\nlisten = ["127.0.0.1:0"]\nworkers = {workers}\nconcurrency = "{concurrency}"\n{threads}{more}'
            + table(f"pool.{name}.wsgi", **keys))


def start(session, concurrency="thread", **keys):
    daemon = session.start(wsgi_pool(concurrency, **keys))
    return daemon, daemon.address("app")


def post(connection, target, body, headers=()):
    connection.send(f"POST {target} HTTP/1.1\r\nHost: test\r\nContent-Length: {len(body)}\r\n".encode()
                    + "".join(f"{header}\r\n" for header in headers).encode() + b"\r\n" + body)
    return connection.response()


# What comes of a plain GET: (application, status, body). None: whatever it is.
ANSWERS = [
    ("simple", 200, b"hello"),
    ("no_length", 200, b"one two three"),
    ("a_tuple", 200, b"one two"),
    ("empty_list", 200, b""),
    ("generator", 200, b"".join(b"part %d\n" % number for number in range(5))),
    ("late_start", 202, b"late"),
    ("empty_parts", 200, b"ab"),
    ("large", 200, b"x" * (5 << 20)),
    ("large_parts", 200, b"".join(bytes([65 + number % 26]) * 100_000 for number in range(50))),
    ("written", 200, b"written, twice, then returned"),
    ("written_only", 200, b"written"),
    ("status_204", 204, b""),
    ("status_304", 304, b""),
    ("status_404", 404, b"nothing here"),
    ("status_299", 299, b"odd"),
    ("file", 200, (b"0123456789" * 20_000)[5:]),
    ("sized_file", 200, (b"0123456789" * 100)),
    ("not_a_file", 200, b"0123456789" * 2_000),
    ("wrapped_file", 200, b"abc"),
    ("fresh", 200, b"False"),
    ("types", 200, b"[]"),
    ("ignores_input", 200, b"ignored"),
    ("recovers", 503, b"sorry"),
    ("too_long", 200, b"too "),
    ("too_long_parts", 200, b"to o"[:2] + b"o "),
    ("hop_by_hop", 200, b"fine"),
]


@pytest.mark.parametrize("concurrency", MODELS)
@pytest.mark.parametrize("name, status, body", ANSWERS, ids=[case[0] for case in ANSWERS])
def test_an_answer_arrives_as_it_was_made(session, concurrency, name, status, body):
    daemon, address = start(session, concurrency)
    with Connection(address) as connection:
        for _ in range(2):  # keep-alive: what the first left behind shows in the second
            response = connection.get(f"/{name}")
            assert (response.status, response.body) == (status, body)
        if name == "hop_by_hop":
            assert "keep-alive" not in response.headers and "transfer-encoding" not in response.headers
            assert response.headers["date"] != "yesterday"


FAILURES = [
    ("raises", "ValueError: asked for"),
    ("raises_after_start", "ValueError: asked for"),
    ("raises_first", "ValueError: asked for"),
    ("exits", "SystemExit: 3"),
    ("interrupts", "KeyboardInterrupt"),
    ("never_starts", "without calling start_response"),
    ("returns_none", "TypeError: 'NoneType' object is not iterable"),
    ("returns_text", "must be made of bytes"),
    ("starts_twice", "called twice"),
    ("bytes_status", "the status must be a str"),
    ("bare_status", "the status must be like"),
    ("low_status", "the status must be like"),
    ("word_status", "the status must be like"),
    ("bytes_header", "must be str"),
    ("number_header", "must be str"),
    ("header_list", "must be a tuple"),
    ("header_text", "must be a tuple"),
    ("no_headers", "TypeError"),
    ("bad_name", "no name of a header field"),
    ("split_header", "control character"),
    ("wide_header", "UnicodeEncodeError"),
    ("bad_length", "must be a number"),
    ("two_lengths", "given twice"),
]


WITHOUT_FRAMES = ("never_starts", "returns_none", "returns_text")


@pytest.mark.parametrize("concurrency", MODELS)
@pytest.mark.parametrize("name, why", FAILURES, ids=[case[0] for case in FAILURES])
def test_what_an_application_gets_wrong_is_500_and_a_traceback(session, concurrency, name, why):
    daemon, address = start(session, concurrency)
    daemon.expect("a request failed: ")
    with Connection(address) as connection:
        assert connection.get(f"/{name}").status == 500
        assert connection.get("/simple").body == b"hello"  # on the same connection, in the same worker
    daemon.wait(rf"a request failed: .*{re.escape(why)}")
    # What our own code found out has no frame to show.
    daemon.wait("output: Traceback " if name not in WITHOUT_FRAMES else "output: (Type|Runtime)Error: ")


@pytest.mark.parametrize("concurrency", MODELS)
@pytest.mark.parametrize("name", ["raises_later", "too_late_to_recover", "too_short", "too_short_parts"])
def test_an_answer_that_breaks_off_is_cut_and_told(session, concurrency, name):
    daemon, address = start(session, concurrency)
    daemon.expect("a request failed: |an answer ended before")
    with Connection(address) as connection, pytest.raises((Cut, ConnectionError)):
        connection.get(f"/{name}")
    daemon.wait("a request failed: ")
    assert get(address, "/simple").body == b"hello"


@pytest.mark.parametrize("concurrency", MODELS)
def test_headers_go_out_as_they_were_given(session, concurrency):
    daemon, address = start(session, concurrency)
    with Connection(address) as connection:
        connection.request("/cookies")
        raw = connection.socket.recv(65536)
        assert raw.count(b"Set-Cookie: ") == 2
    assert get(address, "/latin1").headers["x-name"] == "Zo\xeb"
    assert get(address, "/own_server").headers["server"] == "mine/1"


@pytest.mark.parametrize("concurrency", MODELS)
def test_head_has_the_head_of_get_and_no_body(session, concurrency):
    daemon, address = start(session, concurrency)
    with Connection(address) as connection:
        for name in ("simple", "head_length", "large", "file", "sized_file", "with_close"):
            response = connection.get(f"/{name}", method="HEAD")
            assert (response.status, response.body) == (200, b"")
            if name == "head_length":
                assert response.headers["content-length"] == "12345"


@pytest.mark.parametrize("concurrency", MODELS)
def test_close_is_called_once_however_the_answer_ends(session, concurrency):
    daemon, address = start(session, concurrency)
    assert get(address, "/with_close").body == b"ab"
    assert get(address, "/sized_with_close").body == b"ab"
    with Connection(address) as connection:
        connection.get("/with_close", method="HEAD")
    with Connection(address, receive_buffer=4096) as connection:  # a client that goes away in the middle
        connection.request("/slow_parts")
        connection.head()
    closed = wait_until(
        lambda: "slow_parts" in (got := json.loads(get(address, "/was_closed").body)) and got, "close() of the last one")
    assert sorted(closed) == ["sized_with_close", "slow_parts", "with_close", "with_close"]
    get(address, "/close_fails")
    daemon.wait("output: OSError: close failed")


WRITES_EARLY = """
import os

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/next":
        start_response("200 OK", [])
        return [b"fine"]
    headers = [("Content-Length", "18")] if path == "/sized" else []
    write = start_response("200 OK", headers)
    write(b"first ")
    with open(os.path.join(os.environ["FOLDER"], "go_on"), "rb") as go_on:
        told = go_on.read()
    write(told + b" ")
    if path == "/fails":
        raise ValueError("after write()")
    return (part for part in [b"", b"third", b""])
"""


@pytest.mark.parametrize("concurrency", ["thread", "process"])
@pytest.mark.parametrize("path", ["/chunked", "/sized", "/fails"])
def test_what_is_written_is_at_the_client_while_the_application_goes_on(session, concurrency, path):
    (session.folder / "early.py").write_text(WRITES_EARLY)
    os.mkfifo(session.folder / "go_on")
    daemon, address = start(session, concurrency, app="early", path=[str(session.folder)],
                            env={"FOLDER": str(session.folder)})
    with Connection(address) as connection:
        connection.request(path)
        seen = b""
        while b"first " not in seen:
            seen += connection.socket.recv(4096)
        assert b"third" not in seen
        (session.folder / "go_on").write_bytes(b"second")  # for which the application has waited
        if path == "/fails":
            daemon.expect("a request failed: ValueError: after write")
            with contextlib.suppress(ConnectionResetError):
                for part in iter(lambda: connection.socket.recv(4096), b""):
                    seen += part
            assert not seen.endswith(b"0\r\n\r\n")  # cut, so that nobody takes it for whole
            daemon.wait("a request failed: ValueError: after write")
            return
        end = b"third" if path == "/sized" else b"0\r\n\r\n"
        while not seen.endswith(end):
            seen += connection.socket.recv(4096)
        assert b"second " in seen and b"third" in seen
        assert connection.get("/next").body == b"fine"


@pytest.mark.parametrize("concurrency", MODELS)
def test_the_environ_says_what_was_asked(session, concurrency):
    daemon, address = start(session, concurrency)
    with Connection(address) as connection:
        connection.request("/environ/a%20b%2Fc%C3%AB%zz?x=%20&y", headers=[
            "X-Twice: 1", "Accept: */*", "x-tWice: 2", "Cookie: a=1", "Cookie: b=2", "X-Name: Zo\xeb", "Content-Type: a/b"])
        environ = json.loads(connection.response().body)
        peer = connection.socket.getsockname()
    assert environ["REQUEST_METHOD"] == "GET"
    assert environ["SCRIPT_NAME"] == ""
    assert environ["PATH_INFO"] == "/environ/a b/c\xc3\xab%zz"
    assert environ["QUERY_STRING"] == "x=%20&y"
    assert environ["REQUEST_URI"] == "/environ/a%20b%2Fc%C3%AB%zz?x=%20&y"
    assert environ["SERVER_PROTOCOL"] == "HTTP/1.1"
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("test", str(address[1]))
    assert (environ["REMOTE_ADDR"], environ["REMOTE_PORT"]) == (peer[0], str(peer[1]))
    assert environ["HTTP_X_TWICE"] == "1,2"
    assert environ["HTTP_COOKIE"] == "a=1; b=2"
    assert environ["HTTP_X_NAME"] == "Zo\xeb"
    assert environ["CONTENT_TYPE"] == "a/b" and "HTTP_CONTENT_TYPE" not in environ
    assert environ["wsgi.version"] == [1, 0]
    assert environ["wsgi.url_scheme"] == "http"
    assert environ["wsgi.multithread"] is (concurrency == "thread")
    assert environ["wsgi.multiprocess"] is False
    assert environ["wsgi.run_once"] is False
    with Connection(address) as connection:
        connection.request("http://elsewhere:99/environ", version="1.0")
        environ = json.loads(connection.response().body)
        assert environ["HTTP_HOST"] == "elsewhere:99" and environ["SERVER_NAME"] == "elsewhere"
        assert environ["SERVER_PROTOCOL"] == "HTTP/1.0"
        assert "HTTP_X_TWICE" not in environ  # nothing is left of the last request


@pytest.mark.parametrize("proxied", [False, True], ids=["direct", "proxied"])
@pytest.mark.parametrize("concurrency", MODELS)
def test_what_is_kept_of_a_caller_is_never_anothers(session, concurrency, proxied):
    """The environ of a caller who repeats himself is copied; each of these differs in one thing, in as many bytes."""
    daemon, address = start(session, concurrency, more='trusted_proxies = ["127.0.0.1"]\n' if proxied else "")
    asked = [("/environ", "a=1", "192.0.2.1"), ("/environ", "a=2", "192.0.2.1"), ("/environ", "a=2", "192.0.2.2"),
             ("http://one/environ", "a=2", "192.0.2.2"), ("http://two/environ", "a=2", "192.0.2.2")]
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(Connection(address)) for _ in range(1 if concurrency == "process" else 2)]
        # Often enough that each thread has three of a kind: at the first nothing is kept yet, and the third comes after
        # a copy was used.
        for target, cookie, client in [each for each in asked for _ in range(12)] + asked:
            for connection in connections:
                connection.request(target, headers=[f"Cookie: {cookie}", f"X-Forwarded-For: {client}"])
                environ = json.loads(connection.response().body)
                assert (environ["HTTP_COOKIE"], environ["HTTP_X_FORWARDED_FOR"]) == (cookie, client)
                host = target.split("/")[2] if target.startswith("http:") else "test"
                assert environ["HTTP_HOST"] == environ["SERVER_NAME"] == host
                peer = connection.socket.getsockname()
                assert environ["REMOTE_ADDR"] == (client if proxied else peer[0])
                assert environ.get("REMOTE_PORT") == (None if proxied else str(peer[1]))
        connection = connections[0]
        for _ in range(12):
            assert connection.get("/fresh").body == b"False"
        for body in (b"four", b"five!"):  # bodies are no part of what is kept
            for _ in range(12):
                assert json.loads(post(connection, "/environ", body).body)["CONTENT_LENGTH"] == str(len(body))
        connection.request("/environ")
        assert "CONTENT_LENGTH" not in json.loads(connection.response().body)


def test_below_a_prefix_and_behind_a_proxy(session):
    daemon, address = start(session, more='path_prefix = "/shop"\ntrusted_proxies = ["127.0.0.1"]\n')
    with Connection(address) as connection:
        connection.request("/shop/environ", headers=["X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: https",
                                                     "X-Forwarded-Host: shop.example"])
        environ = json.loads(connection.response().body)
        assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/shop", "/environ")
        assert environ["REMOTE_ADDR"] == "192.0.2.7" and environ["wsgi.url_scheme"] == "https"
        assert environ["HTTP_HOST"] == environ["SERVER_NAME"] == "shop.example"
        assert environ["SERVER_PORT"] == "443"
        assert connection.get("/environ").status == 404


@pytest.mark.parametrize("concurrency", MODELS)
def test_a_body_is_read_in_every_way(session, concurrency):
    daemon, address = start(session, concurrency)
    with Connection(address) as connection:
        assert post(connection, "/read_all", b"abc").body == b"abc"
        assert post(connection, "/read_all", b"").body == b""
        assert connection.get("/read_without_size").body == b""
        assert post(connection, "/read_sizes", b"abcdefgh").body == b"[b'abc', b'', b'de', b'fgh', b'', b'']"
        assert post(connection, "/lines", b"one\ntwo\nthree\nfour\nfive\nsix").body == (
            b"[b'one\\n', b'tw', b'o\\n', b'three\\n', [b'four\\n', b'five\\n', b'six'], b'']")
        assert post(connection, "/readlines", b"a\nb\nc\nd").body == b"[[b'a\\n', b'b\\n'], [b'c\\n', b'd'], []]"
        assert b"TypeError" in post(connection, "/wrong_read", b"x").body
        assert post(connection, "/ignores_input", b"x" * 100_000).body == b"ignored"
        connection.send(b"POST /read_all HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
                        b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")
        assert connection.response().body == b"hello world"


@pytest.mark.parametrize("concurrency", MODELS)
def test_a_large_body_comes_from_a_file(session, concurrency):
    daemon, address = start(session, concurrency, more='http = { max_body = "64MiB", body_buffer = "16KiB" }\n')
    worker = next(iter(daemon.workers("app").values()))
    at_rest = len(descriptors(worker))
    body = b"".join(b"line %d\n" % number for number in range(400_000))
    with Connection(address) as connection:
        assert post(connection, "/read_without_size", body).body == body
        assert post(connection, "/as_text", body).body == str(len(body)).encode()
        got = post(connection, "/lines", b"one\ntwo\n" + b"x" * 20_000 + b"\nend").body
        assert got.startswith(b"[b'one\\n', b'tw', b'o\\n', b'xxx") and got.endswith(b"[b'end'], b'']")
    wait_until(lambda: len(descriptors(worker)) == at_rest, "the file closed")


@pytest.mark.parametrize("concurrency", MODELS)
def test_what_an_application_prints_is_in_the_log(session, concurrency):
    daemon, address = start(session, concurrency)
    get(address, "/errors")
    for text in ("to wsgi.errors", "two parts", "to stdout", "to stderr"):
        daemon.wait(rf"app/worker\[0\] gen=1 pid=\d+: output: {text}$")


@pytest.mark.parametrize("concurrency", MODELS)
def test_the_application_finds_itself_in_its_own_surroundings(session, concurrency):
    daemon, address = start(session, concurrency, env={"TEST": "yes"})
    host = json.loads(get(address, "/host").body)
    assert host["argv"] == ["prongd"]
    assert host["cwd"] == str(APPLICATIONS) == host["path"][0]
    assert host["main"] == []
    assert host["thread"] is (concurrency != "thread") or concurrency == "thread"
    assert host["TEST"] == "yes"


@pytest.mark.parametrize("concurrency", MODELS)
def test_programs_and_children_of_an_application_inherit_nothing(session, concurrency):
    daemon, address = start(session, concurrency)
    fds, blocked, ignored = get(address, "/child").body.split()
    assert int(fds) == 4  # 0 to 2, and the listing's own
    assert int(blocked, 16) == 0 and int(ignored, 16) == 0x1000000 | 0x1000 or int(ignored, 16) == 0
    assert get(address, "/forked").body == b"[] 15"
    assert get(address, "/simple").body == b"hello"


def test_a_factory_and_a_module_alone(session):
    daemon, address = start(session, app="conform:create_application()")
    assert get(address, "/simple").body == b"hello"


BROKEN = [
    ({"app": "no_such_module"}, "ModuleNotFoundError: No module named 'no_such_module'"),
    ({"app": "conform:nothing"}, "AttributeError: .*nothing"),
    ({"app": "conform:PLAIN"}, "is list, and no application"),
    ({"app": "bad_syntax"}, "SyntaxError|IndentationError"),
    ({"app": "exits_at_import"}, "SystemExit: 5"),
    ({"python": "/no/such/python"}, "cannot execute \"/no/such/python\": No such file"),
    ({"python": "/bin/true"}, "exited with status 0"),
]


@pytest.mark.parametrize("keys, why", BROKEN, ids=[str(case[0]) for case in BROKEN])
def test_an_application_that_cannot_be_loaded_ends_the_start_with_the_reason(session, keys, why):
    (session.folder / "bad_syntax.py").write_text("def application(environ, start_response)\n")
    daemon = session.start(wsgi_pool(**keys, path=[str(APPLICATIONS), str(session.folder)]), ready=False)
    daemon.expect("cannot start|exited with status")
    daemon.expected_status = 3
    assert daemon.wait_exit() == 3
    daemon.wait(rf"cannot start: pool app: .*({why})")
    if "app" in keys and "PLAIN" not in keys["app"]:
        daemon.wait("output: ")


def test_a_reload_that_breaks_the_application_changes_nothing(session):
    module = session.folder / "changing.py"
    module.write_text("def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'one']\n")
    daemon, address = start(session, app="changing", path=[str(session.folder)])
    assert get(address).body == b"one"
    module.write_text("def application(environ, start_response)\n")
    daemon.expect("cannot load the application|reload failed|worker")
    daemon.reload_fails()
    daemon.wait("output: SyntaxError")
    assert get(address).body == b"one"
    module.write_text("def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'three']\n")
    daemon.reload()
    assert get(address).body == b"three"


@pytest.mark.parametrize("concurrency", MODELS)
def test_a_crash_in_c_code_is_told_with_the_python_stack(session, concurrency):
    session.environment |= signals_as_they_are()
    (session.folder / "crashing.py").write_text(
        "import ctypes\nimport os\n\n\ndef crash_here():\n    ctypes.string_at(0)\n\n\n"
        "def application(environ, start_response):\n    if environ['PATH_INFO'] == '/crash':\n        crash_here()\n"
        "    if environ['PATH_INFO'] == '/forked':\n        child = os.fork()\n"
        "        crash_here() if child == 0 else os.waitpid(child, 0)\n"
        "    start_response('200 OK', [])\n    return [b'fine']\n")
    daemon, address = start(session, concurrency, app="crashing", path=[str(session.folder)])
    daemon.expect("killed by signal 11")
    assert get(address, "/forked").body == b"fine"  # a child has its own death
    daemon.wait("output: Fatal Python error: Segmentation fault")
    with Connection(address) as connection, pytest.raises((Cut, ConnectionError)):
        connection.get("/crash")
    daemon.wait(r"killed by signal 11 .*; in string_at \(\S+/ctypes/__init__\.py:\d+\), called by "
                rf"crash_here \({session.folder}/crashing\.py:6\), application \({session.folder}/crashing\.py:11\) \[PR0301\]$")
    assert len(daemon.log.find(r"worker\[0\] gen=1 pid=\d+: stack: Fatal Python error: Segmentation fault$")) == 1
    assert len(daemon.log.find("stack: .*in crash_here")) == 1
    assert get(address).body == b"fine"


def test_cleanup_functions_run_when_the_worker_drains(session):
    (session.folder / "tidy.py").write_text(
        "import atexit, threading, time\natexit.register(print, 'atexit ran')\n"
        "def work():\n    threading.main_thread().join()\n    print('the thread ended')\n"
        "threading.Thread(target=work).start()\n"
        "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'fine']\n")
    daemon, address = start(session, app="tidy", path=[str(session.folder)])
    assert get(address).body == b"fine"
    daemon.stop()
    daemon.wait("output: the thread ended")
    daemon.wait("output: atexit ran")


def other_pythons():
    found = {}
    for path in sorted(Path("/root/.pyenv/versions").glob("3.*/bin/python3")) if Path("/root/.pyenv").exists() else []:
        version = tuple(int(part) for part in path.parent.parent.name.split(".")[:2])
        found[version] = str(path)
    return found


@pytest.mark.parametrize("version", [(3, 9), (3, 10), (3, 12), (3, 13)], ids=str)
def test_other_versions_of_python_run_the_same_module(session, version):
    python = other_pythons().get(version)
    if python is None:
        pytest.skip("this Python is not installed")
    session.environment = interpreter_environment(version)
    daemon, address = start(session, python=python)
    assert tuple(json.loads(get(address, "/host").body)["version"]) == version
    with Connection(address) as connection:
        assert post(connection, "/read_all", b"abc").body == b"abc"
        assert connection.get("/generator").status == 200
        assert connection.get("/large").status == 200


def test_an_interpreter_that_is_too_old_is_refused_with_its_version(session):
    python = other_pythons().get((3, 8)) or other_pythons().get((3, 7))
    if python is None:
        pytest.skip("no old Python is installed")
    daemon = session.start(wsgi_pool(python=python), ready=False)
    daemon.expect("cannot start|exited with status")
    daemon.expected_status = 3
    assert daemon.wait_exit() == 3
    daemon.wait(r"cannot be used: it is Python 3\.\d+\.\d+, and a worker needs 3\.9 or newer")


def test_a_virtual_environment_is_used_as_it_is(session):
    venv = session.folder / "env"
    made = subprocess.run([PYTHON, "-m", "venv", "--without-pip", str(venv)], capture_output=True, check=False)
    if made.returncode != 0:
        pytest.skip("this Python makes no virtual environments (python3-venv)")
    site = next(venv.glob("lib/python3*/site-packages"))
    (site / "only_here.py").write_text(
        "import os, sys\ndef application(environ, start_response):\n    start_response('200 OK', [])\n"
        "    return [(sys.prefix + ' ' + os.environ['VIRTUAL_ENV']).encode()]\n")
    daemon, address = start(session, app="only_here", python=None, venv=str(venv))
    assert get(address).body.decode() == f"{venv} {venv}"
