"""What a developer of a Python application uses: prongd --wsgi in a folder, --reload, --debug-errors."""

import os
import re

import pytest

from client import Connection, Cut, get
from harness import PRONGD, free_port
from test_wsgi import MODELS, PYTHON, pytestmark, start  # noqa: F401  (pytestmark: skipped when those are)

ANSWER = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [{body!r}]
"""


def put(folder, name, text):
    """As many editors do: a new file in the old one's place."""
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    new = path.with_name("." + path.name + ".new")
    new.write_text(text)
    new.rename(path)


def answer(body):
    return ANSWER.format(body=body)


def start_here(session, *options, app="shop.wsgi"):
    """prongd --wsgi in the session's folder."""
    port = free_port()
    daemon = session.start(arguments=["--wsgi", app, "--listen", f"127.0.0.1:{port}", *options],
                           environment={"PATH": f"{os.path.dirname(PYTHON)}:{os.environ['PATH']}"})
    return daemon, ("127.0.0.1", port)


def shop(session, body=b"one"):
    (session.folder / "shop").mkdir()
    (session.folder / "shop" / "__init__.py").write_text("")
    (session.folder / "shop" / "wsgi.py").write_text(answer(body))


# ---------------------------------------------------------------------------------------------------- the command line


def test_wsgi_serves_an_application_of_the_working_directory(session):
    shop(session)
    daemon, address = start_here(session, "--workers", "2", "--threads", "3", app="shop.wsgi:application")
    assert get(address).body == b"one"
    assert len(daemon.workers("app")) == 2
    (session.folder / "shop" / "wsgi.py").write_text(answer(b"second"))  # another size: byte code knows seconds
    daemon.reload()
    assert get(address).body == b"second"


def test_wsgi_finds_the_virtual_environment_and_the_factory_of_the_working_directory(session):
    (session.folder / "shop.py").write_text(
        "import os, sys\n\ndef make():\n    def run(environ, start_response):\n        start_response('200 OK', [])\n"
        "        return [(os.getcwd() + ' ' + sys.path[0]).encode()]\n    return run\n")
    daemon, address = start_here(session, app="shop:make()")
    assert get(address).body.decode() == f"{session.folder} {session.folder}"


def test_an_application_that_is_not_there_ends_the_start(session):
    daemon = session.start(arguments=["--wsgi", "nowhere", "--listen", f"127.0.0.1:{free_port()}", "--workers", "1"],
                           environment={"PATH": f"{os.path.dirname(PYTHON)}:{os.environ['PATH']}"}, ready=False)
    daemon.expect("cannot start|exited with status")
    daemon.expected_status = 3
    assert daemon.wait_exit() == 3
    daemon.wait("No module named 'nowhere'")


# --------------------------------------------------------------------------------------------------------------- reload


@pytest.mark.parametrize("concurrency", MODELS)
def test_a_save_reloads_and_a_broken_file_keeps_the_last_good_code(session, concurrency):
    shop(session)
    daemon, address = start(session, concurrency, app="shop.wsgi", path=[str(session.folder)], workers=2, reload=True)
    assert get(address).body == b"one"

    mark = daemon.log.mark()
    put(session.folder, "shop/wsgi.py", answer(b"two"))
    daemon.wait(r"reload asked by app/worker\[0\]: shop/wsgi\.py changed$", after=mark)
    daemon.wait("reload done: generation 2", after=mark)
    assert get(address).body == b"two"

    daemon.expect("cannot load the application|reload failed|worker")
    mark = daemon.log.mark()
    put(session.folder, "shop/wsgi.py", "def application(\n")
    daemon.wait("reload failed: .*SyntaxError", after=mark)
    daemon.wait("output: SyntaxError", after=mark)
    assert get(address).body == b"two"

    mark = daemon.log.mark()
    put(session.folder, "shop/wsgi.py", answer(b"three"))
    daemon.wait("reload done: ", after=mark)
    assert get(address).body == b"three"


def test_a_module_that_could_not_be_imported_is_watched_too(session):
    shop(session)
    daemon, address = start_here(session, "--reload", "--workers", "1")
    daemon.expect("cannot load the application|reload failed|worker")
    mark = daemon.log.mark()
    put(session.folder, "shop/parts/broken.py", "nonsense nonsense\n")  # a new folder; nobody has it loaded
    put(session.folder, "shop/wsgi.py", "from shop.parts.broken import BODY\n" + answer(b"x").replace("b'x'", "BODY"))
    daemon.wait("reload failed: .*SyntaxError", after=mark)
    mark = daemon.log.mark()
    put(session.folder, "shop/parts/broken.py", "BODY = b'mended'\n")
    daemon.wait(r"reload asked by app/worker\[0\]: shop/parts/broken\.py changed", after=mark)
    daemon.wait("reload done: ", after=mark)
    assert get(address).body == b"mended"


def test_files_of_nobody_reload_nothing_and_one_written_in_place_does(session):
    shop(session)
    daemon, address = start_here(session, "--reload", "--workers", "1")
    put(session.folder, "shop/notes.txt", "text")
    put(session.folder, "shop/unused.py", "x = 1\n")
    put(session.folder, "tests/test_shop.py", "x = 1\n")
    # Events come in order, so what these files would have caused stands before this.
    (session.folder / "shop" / "wsgi.py").write_text(answer(b"two"))
    daemon.wait("reload done: generation 2")
    asked = [line for line in daemon.log.lines if "reload asked by" in line]
    assert len(asked) == 1 and asked[0].endswith("shop/wsgi.py changed"), asked
    assert get(address).body == b"two"


def test_many_files_at_once_are_one_reload(session):
    shop(session)
    names = [f"part{number}" for number in range(20)]
    for name in names:
        (session.folder / "shop" / f"{name}.py").write_text("VALUE = 1\n")
    put(session.folder, "shop/wsgi.py", f"from shop import {', '.join(names)}\n" + answer(b"one"))
    daemon, address = start_here(session, "--reload", "--workers", "2")
    for name in names:
        put(session.folder, f"shop/{name}.py", "VALUE = 2\n")
    daemon.wait(r"reload asked by app/worker\[0\]: shop/part0\.py and \d+ more changed")
    daemon.wait("reload done: ")


def test_without_reload_a_save_changes_nothing_and_nothing_watches(session):
    shop(session)
    daemon, address = start_here(session, "--workers", "1")
    [worker] = daemon.workers("app").values()
    links = [os.readlink(f"/proc/{worker}/fd/{fd}") for fd in os.listdir(f"/proc/{worker}/fd")]
    assert not any("inotify" in link for link in links)


# --------------------------------------------------------------------------------------------------------------- errors

FAILS = """
def inner(name):
    raise ValueError(f"<b>{name}</b> & more")


def application(environ, start_response):
    if environ["PATH_INFO"] == "/late":
        start_response("200 OK", [])
        return late()
    inner("markup")


def late():
    yield b"begun"
    raise ValueError("too late for a page")
"""


@pytest.mark.parametrize("concurrency", MODELS)
def test_an_exception_is_a_page_for_this_machine(session, concurrency):
    (session.folder / "fails.py").write_text(FAILS)
    daemon, address = start(session, concurrency, app="fails", path=[str(session.folder)], debug_errors=True)
    daemon.expect("a request failed: ")
    with Connection(address) as connection:
        for _ in range(2):
            response = connection.get("/")
            assert response.status == 500
            assert response.headers["content-type"] == "text/html; charset=utf-8"
            page = response.body.decode()
            assert "<h1>ValueError: &lt;b&gt;markup&lt;/b&gt; &amp; more" in page and "<b>markup" not in page
            assert f"{session.folder}/fails.py, line 3, in inner" in page and "in application" in page
            assert not re.search(r"(src|href)\s*=|<script", page)
    daemon.wait("output: ValueError: <b>markup</b> & more")
    with Connection(address) as connection, pytest.raises((Cut, ConnectionError)):
        connection.get("/late")


PLAIN = [["X-Forwarded-For: 127.0.0.1"], ["Forwarded: for=127.0.0.1"], ["Via: 1.1 proxy"], ["X-Real-IP: 192.0.2.7"]]


@pytest.mark.parametrize("headers", PLAIN, ids=lambda headers: headers[0])
def test_what_came_through_an_unknown_proxy_gets_no_page(session, headers):
    (session.folder / "fails.py").write_text(FAILS)
    daemon, address = start(session, app="fails", path=[str(session.folder)], debug_errors=True)
    daemon.expect("a request failed: ")
    with Connection(address) as connection:
        connection.request("/", headers=headers)
        response = connection.response()
        assert response.status == 500 and b"ValueError" not in response.body and b"fails.py" not in response.body


def test_behind_a_trusted_proxy_the_client_counts(session):
    (session.folder / "fails.py").write_text(FAILS)
    daemon, address = start(session, app="fails", path=[str(session.folder)], debug_errors=True,
                            more='trusted_proxies = ["127.0.0.1"]\n')
    daemon.expect("a request failed: ")
    for client, shown in (("192.0.2.7", False), ("127.0.0.1", True)):
        with Connection(address) as connection:
            connection.request("/", headers=[f"X-Forwarded-For: {client}"])
            response = connection.response()
            assert response.status == 500 and (b"ValueError" in response.body) is shown


def test_over_a_unix_socket_and_without_the_key_there_is_no_page(session):
    (session.folder / "fails.py").write_text(FAILS)
    daemon, address = start(session, app="fails", path=[str(session.folder)])
    daemon.expect("a request failed: ")
    assert b"ValueError" not in get(address).body
    path = session.folder / "socket"
    second = session.start(arguments=["--wsgi", "fails", "--debug-errors", "--workers", "1", "--listen", f"unix:{path}"],
                           environment={"PATH": f"{os.path.dirname(PYTHON)}:{os.environ['PATH']}"})
    second.expect("a request failed: ")
    assert b"ValueError" not in get(str(path)).body
