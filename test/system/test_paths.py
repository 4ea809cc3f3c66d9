"""Files beside an application (`static_map`) and applications below a prefix (`path_prefix`), end to end."""

import contextlib
import json
import select

import pytest

from client import Connection, get
from test_concurrency import MODELS


@pytest.fixture
def folder(session):
    """What the pools of these tests serve below /static/."""
    made = session.folder / "assets"
    (made / "css").mkdir(parents=True)
    (made / "css" / "site.css").write_text("body {}\n")
    (made / "large.bin").write_bytes(bytes(range(256)) * 4096)
    (made / ".env").write_text("secret\n")
    return made


@pytest.mark.parametrize("concurrency", MODELS)
def test_files_and_the_application_share_a_connection(session, folder, concurrency):
    daemon = session.start_trial(concurrency, static_map={'"/static/"': str(folder)})
    with Connection(daemon.address("trial")) as connection:
        for _ in range(3):
            answer = connection.get("/static/css/site.css")
            assert (answer.status, answer.body) == (200, b"body {}\n")
            assert answer.headers["content-type"] == "text/css; charset=utf-8"
            assert connection.get("/").body == b"ok"
        tag = answer.headers["etag"]
        assert connection.get("/static/css/site.css", headers=[f"If-None-Match: {tag}"]).status == 304
        assert connection.get("/static/css/site.css", headers=["Range: bytes=0-3"]).body == b"body"
        head = connection.get("/static/css/site.css", method="HEAD")
        assert (head.headers["content-length"], head.body) == ("8", b"")
        assert connection.get("/static/large.bin").body == (folder / "large.bin").read_bytes()
        assert connection.get("/static/css").headers["location"] == "/static/css/"
        assert connection.get("/static").headers["location"] == "/static/"
        for target, status in (("/static/none", 404), ("/static/.env", 404), ("/static/css/", 403),
                               ("/staticx", 404)):
            assert connection.get(target).status == status, target
        connection.send(b"POST /static/css/site.css HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello")
        assert connection.response().status == 405
        connection.send(b"POST /body HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello")
        assert connection.response().body == b"hello"


def test_pipelined_files_and_answers_keep_their_order(session, folder):
    daemon = session.start_trial("thread", threads=2, static_map={'"/static/"': str(folder)})
    with Connection(daemon.address("trial")) as connection:
        wanted = []
        for number in range(20):
            connection.request("/sleep?ms=1" if number % 3 else "/static/css/site.css")
            wanted.append(b"ok" if number % 3 else b"body {}\n")
        assert [connection.response().body for _ in wanted] == wanted


def test_files_come_while_all_threads_are_busy(session, folder):
    """They are sent by the I/O thread: the whole application is busy, and the browser has its style sheets."""
    daemon = session.start_trial("thread", threads=2, static_map={'"/static/"': str(folder)})
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(Connection(daemon.address("trial"))) for _ in range(4)]
        for connection in connections:
            assert connection.get("/").body == b"ok"
        for connection in connections[:2]:
            connection.request("/sleep?ms=1000")
        for _ in range(10):
            for connection in connections[2:]:
                assert connection.get("/static/css/site.css").body == b"body {}\n"
        assert not select.select([connection.socket for connection in connections[:2]], [], [], 0)[0]
        for connection in connections[:2]:
            assert connection.response().body == b"ok"


def test_a_client_of_files_does_not_keep_a_worker_of_one_connection_from_others(session, folder):
    daemon = session.start_trial("process", static_map={'"/static/"': str(folder)})
    with Connection(daemon.address("trial")) as first, Connection(daemon.address("trial")) as second:
        assert not first.get("/static/css/site.css").closes
        second.request("/")
        answers = [first.get("/static/css/site.css")]
        while not answers[-1].closes:
            assert len(answers) < 3
            answers.append(first.get("/static/css/site.css"))
        assert second.response().body == b"ok"


def test_folders_may_be_relative_to_the_file_and_must_be_there(session, folder):
    daemon = session.start(session.pool(static_map={'"/static/"': "assets", '"/static/more/"': str(session.site)}))
    assert get(daemon.address(), "/static/css/site.css").body == b"body {}\n"
    assert get(daemon.address(), "/static/more/a.txt").body == b"a small text\n"
    assert get(daemon.address(), "/a.txt").body == b"a small text\n"
    lines = daemon.reload_fails(session.pool(static_map={'"/static/"': "asets"}))
    assert any(f'cannot serve "{session.folder}/asets": No such file or directory' in line and
               "prongd.toml:" in line for line in lines)
    assert get(daemon.address(), "/static/css/site.css").status == 200
    done = session.run("--check", "--config", session.config(session.pool(static_map={"static": "asets"})))
    assert done.returncode == 2
    assert 'the prefix "static" does not begin with a slash' in done.stderr
    assert "asets" in done.stderr


@pytest.mark.parametrize("concurrency", MODELS)
def test_an_application_below_a_prefix(session, folder, concurrency):
    log = session.folder / "access.log"
    daemon = session.start_trial(concurrency, path_prefix="/shop", static_map={'"/static/"': str(folder)},
                                 access_log={"path": str(log), "format": "json"})
    pid = str(daemon.workers("trial")[0]).encode()
    with Connection(daemon.address("trial")) as connection:
        assert connection.get("/shop/pid").body == pid
        assert connection.get("/sh%6fp/pid").body == pid
        assert connection.get("/pid").status == 404
        assert connection.get("/shopping/pid").status == 404
        assert connection.get("/static/css/site.css").body == b"body {}\n"
        assert connection.get("/shop/static/css/site.css").status == 404
    daemon.stop()
    paths = [json.loads(line)["path"] for line in log.read_text().splitlines()]
    assert paths == ["/shop/pid", "/sh%6fp/pid", "/pid", "/shopping/pid", "/static/css/site.css",
                     "/shop/static/css/site.css"]


def test_a_static_pool_below_a_prefix(session):
    (session.site / "sub").mkdir()
    daemon = session.start(session.pool(path_prefix="/docs/"))
    assert get(daemon.address(), "/docs/a.txt").body == b"a small text\n"
    assert get(daemon.address(), "/docs").headers["location"] == "/docs/"
    assert get(daemon.address(), "/docs/sub?x").headers["location"] == "/docs/sub/?x"
    assert get(daemon.address(), "/a.txt").status == 404
