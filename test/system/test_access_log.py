"""The access log: what a line says, and that none is lost, torn or doubled whatever happens to the file."""

import contextlib
import json
import os
import re
import signal
import subprocess
import threading
from pathlib import Path

import pytest

import harness
from client import Connection, Cut, Response, get
from harness import wait_until

COMBINED = re.compile(
    r'^(?P<client>\S+) - - \[(?P<time>\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] '
    r'"(?P<request>(?:[^"\\]|\\.)*)" (?P<status>\d{3}) (?P<bytes>\d+) '
    r'"(?P<referer>(?:[^"\\]|\\.)*)" "(?P<agent>(?:[^"\\]|\\.)*)"$')


def access_log(path, **more):
    return {"path": path, **more}


def files_of(path):
    """The log and all that it was moved to."""
    return sorted(Path(path).parent.glob(Path(path).name + "*"))


def lines_of(path):
    """All lines of the log and of what it was moved to; each ends in a newline."""
    lines = []
    for file in files_of(path):
        data = file.read_bytes()
        assert data == b"" or data.endswith(b"\n"), f"{file} ends in the middle of a line: {data[-100:]}"
        lines += data.decode("ascii").splitlines()
    return lines


def wait_for_lines(path, number):
    wait_until(lambda: len(lines_of(path)) >= number, lambda: f"{number} lines, have {len(lines_of(path))}")
    return lines_of(path)


class Writers:
    """Threads that send requests, each with an id of its own in its target, and note which were answered."""

    def __init__(self, address, threads=8, tolerate=()):
        self.answered, self.sent, self.failures = set(), set(), []
        self._address, self._tolerate = address, tolerate
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(threads)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(harness.LIMIT)

    def wait_for(self, more):
        goal = len(self.answered) + more
        wait_until(lambda: len(self.answered) >= goal or self.failures, "answers")

    def _run(self, number):
        turn = 0
        try:
            while not self._stop.is_set():
                with contextlib.suppress(*self._tolerate), Connection(self._address) as connection:
                    # Keep-alive and new connections in turns.
                    for _ in range(20):
                        turn += 1
                        # Lines of very different lengths.
                        name = f"{number}-{turn}-" + "x" * (turn * 37 % 400)
                        self.sent.add(name)
                        answer = connection.get(f"/a.txt?{name}")
                        assert answer.status == 200, answer
                        self.answered.add(name)
                        if answer.closes or self._stop.is_set():
                            break
        except Exception as error:  # a thread must tell whatever it met
            self.failures.append(f"{type(error).__name__}: {error}")


def ids_in(lines, pattern=COMBINED):
    """The ids of the lines, each of which must be whole."""
    found = []
    for line in lines:
        match = pattern.match(line)
        assert match, f"torn: {line!r}"
        found.append(match["request"].partition("?")[2].partition(" ")[0])
    return found


def check_complete(lines, writers):
    """Each answered request has its line; none has two; no other line is there."""
    assert writers.failures == []
    found = ids_in(lines)
    assert len(found) == len(set(found)), "doubled lines"
    assert writers.answered - set(found) == set(), "lost lines"
    assert set(found) - writers.sent == set(), "lines that nobody asked for"


def rotate(daemon, path, number):
    os.rename(path, f"{path}.{number:04}")
    daemon.send(signal.SIGUSR1)
    wait_until(Path(path).exists, "the file made anew")


def test_a_line_of_combined_says_what_was_asked_and_answered(session):
    path = session.folder / "access.log"
    daemon = session.start(session.pool(access_log=access_log(path)))
    with Connection(daemon.address()) as connection:
        connection.get("/a.txt?b=c", headers=["Referer: http://x.example/", "User-Agent: one \"two\" \\ \xe4"])
        connection.get("/none", method="HEAD")
    first, second = map(COMBINED.match, wait_for_lines(path, 2))
    assert path.stat().st_mode & 0o777 == 0o640
    assert (first["client"], first["request"], first["status"], first["bytes"]) == \
        ("127.0.0.1", "GET /a.txt?b=c HTTP/1.1", "200", "13")
    assert (first["referer"], first["agent"]) == ("http://x.example/", r'one \"two\" \\ \xe4')
    assert (second["request"], second["status"], second["bytes"]) == ("HEAD /none HTTP/1.1", "404", "0")
    assert (second["referer"], second["agent"]) == ("-", "-")


def test_a_pattern_can_name_any_field_of_request_and_answer(session):
    path = session.folder / "access.log"
    daemon = session.start(session.pool(workers=1, access_log=access_log(
        path, format="{header:X-Id}|{response:Content-Type}|{header:Host}|{response:X-None}|{{{worker}}}")))
    get(daemon.address(), "/a.txt", version="1.0")
    with Connection(daemon.address()) as connection:
        connection.get("/a.txt", headers=["X-Id: a|b c\"", "x-id: second"])
    assert wait_for_lines(path, 2) == [r"-|text/plain;\x20charset=utf-8|test|-|{0}",
                                       r"a\x7cb\x20c\x22|text/plain;\x20charset=utf-8|test|-|{0}"]


def test_json_has_every_field_and_parses(session):
    path = session.folder / "access.log"
    daemon = session.start(session.pool(workers=1, listen=["127.0.0.1:0", f"unix:{session.folder}/x.sock"],
                                        access_log=access_log(path, format="json")))
    host, port = daemon.address()
    with Connection((host, port)) as connection:
        connection.get("/a.txt?x=1", headers=["User-Agent: \xff\xfe\"\\ \xc3\xa4"])
        connection.get("/%00/..%2f")
        own = connection.socket.getsockname()[1]
    get(f"{session.folder}/x.sock", "/a.txt")
    one, two, three = map(json.loads, wait_for_lines(path, 3))
    assert one["client"] == "127.0.0.1" and one["client_port"] == own
    assert one["listener"] == "127.0.0.1:0"
    assert (one["method"], one["target"], one["path"], one["query"]) == ("GET", "/a.txt?x=1", "/a.txt", "x=1")
    assert (one["protocol"], one["host"], one["referer"]) == ("HTTP/1.1", "test", None)
    assert one["user_agent"] == "\ufffd\ufffd\"\\ \u00e4"
    assert (one["status"], one["body_bytes"], one["complete"]) == (200, 13, True)
    assert one["bytes"] > 13 + len("HTTP/1.1 200 OK\r\n\r\n")
    assert 0 < one["service_us"] < 10_000_000
    assert one["queue_us"] is not None
    assert (one["pool"], one["worker"], one["generation"]) == ("files", 0, 1)
    assert one["pid"] == daemon.workers()[0]
    assert (one["connection"], one["request_number"]) == (1, 1)
    assert (two["connection"], two["request_number"], two["queue_us"]) == (1, 2, 0)
    assert two["status"] in (400, 404) and two["query"] is None
    assert (three["client"], three["client_port"], three["queue_us"]) == (None, None, None)
    assert three["listener"] == f"unix:{session.folder}/x.sock"
    assert (three["connection"], three["request_number"]) == (2, 1)


def test_requests_that_could_not_be_read_have_a_line(session):
    path = session.folder / "access.log"
    daemon = session.start(session.pool(workers=1, http={"header_timeout": "200ms"},
                                        access_log=access_log(path, format='"{request}" {status} {target} {complete}')))
    with Connection(daemon.address()) as connection:
        connection.send(b"\x16\x03\x01 forged\" 200 \n\n")
        assert connection.head().status == 400
    wait_for_lines(path, 1)
    with Connection(daemon.address()) as connection:
        connection.send(b"GET / HT")
        assert connection.head().status == 408
    one, two = wait_for_lines(path, 2)
    assert one == '"-" 400 - yes'
    assert two == '"-" 408 - yes'  # a part of a request line is none


def test_an_answer_that_was_cut_says_so(session):
    path = session.folder / "access.log"
    size = len(session.big_file())
    daemon = session.start(session.pool(
        workers=1, access_log=access_log(path, format="{target} {complete} {status} {body_bytes}")))
    with Connection(daemon.address(), receive_buffer=4096) as connection:
        connection.request("/big.bin")
        connection.head()
    with Connection(daemon.address()) as connection:
        connection.get("/big.bin")
    one, two = (line.split() for line in wait_for_lines(path, 2))
    assert one[:3] == ["/big.bin", "no", "200"] and 0 < int(one[3]) < size
    assert two == ["/big.bin", "yes", "200", str(size)]


def test_pipelined_requests_have_a_line_each_in_order(session):
    path = session.folder / "access.log"
    daemon = session.start(session.pool(workers=1, access_log=access_log(path, format="{target} {request_number}")))
    with Connection(daemon.address()) as connection:
        connection.send(b"".join(b"GET /a.txt?%d HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in range(200)))
        for _ in range(200):
            assert connection.response().status == 200
    assert wait_for_lines(path, 200) == [f"/a.txt?{n} {n + 1}" for n in range(200)]


def test_lines_do_not_wait_longer_than_the_delay_and_go_out_together(session):
    path = session.folder / "access.log"
    daemon = session.start(session.pool(workers=1, access_log=access_log(path, flush_delay="300ms")))
    with Connection(daemon.address()) as connection:
        for _ in range(5):
            connection.get("/a.txt")
        assert path.read_bytes() == b""
        wait_until(lambda: path.read_bytes() != b"", "the lines")
        assert len(lines_of(path)) == 5


def test_a_stop_writes_what_waits(session):
    path = session.folder / "access.log"
    daemon = session.start(session.pool(workers=3, access_log=access_log(path, flush_delay="60s")))
    with Writers(daemon.address()) as writers:
        writers.wait_for(500)
    assert len(lines_of(path)) < len(writers.answered)
    daemon.stop()
    check_complete(lines_of(path), writers)


def test_eight_workers_and_a_hundred_rotations_under_load_lose_tear_and_double_no_line(session):
    path = session.folder / "access.log"
    daemon = session.start(session.pool(workers=8, access_log=access_log(path, flush_delay="10ms")), level="info")
    with Writers(daemon.address()) as writers:
        for number in range(100):
            rotate(daemon, path, number)
            writers.wait_for(20)
    daemon.stop()
    assert len(files_of(path)) == 101
    check_complete(lines_of(path), writers)


def test_after_a_rotation_nobody_holds_the_old_file(session):
    path = session.folder / "access.log"
    daemon = session.start(session.pool(workers=4, access_log=access_log(path)))
    get(daemon.address(), "/a.txt?before")
    wait_for_lines(path, 1)
    rotate(daemon, path, 1)
    for pid in (daemon.pid, *daemon.workers().values()):
        wait_until(lambda pid=pid: f"{path}.0001" not in harness.descriptors(pid).values(), "the old file closed")
    get(daemon.address(), "/a.txt?after")
    wait_until(lambda: path.stat().st_size > 0, "the new line")
    assert ids_in(path.read_text().splitlines()) == ["after"]
    assert ids_in(Path(f"{path}.0001").read_text().splitlines()) == ["before"]


def test_a_file_that_cannot_be_reopened_goes_on_and_does_not_keep_others_from_it(session):
    folder = session.folder / "a"
    folder.mkdir()
    bad, good = folder / "bad.log", session.folder / "good.log"
    daemon = session.start(session.pool(access_log=access_log(bad)) +
                           session.pool("more", access_log=access_log(good)))
    os.rename(folder, session.folder / "moved")
    os.rename(good, session.folder / "good.log.1")
    daemon.expect(r"error +master: cannot open the access log \"\S+/a/bad.log\": No such file or directory; "
                  "the old file goes on")
    daemon.send(signal.SIGUSR1)
    daemon.wait("the old file goes on")
    wait_until(good.exists, "the other file made anew")
    get(daemon.address(), "/a.txt?1")
    get(daemon.address("more"), "/a.txt?2")
    assert ids_in(wait_for_lines(session.folder / "moved" / "bad.log", 1)) == ["1"]
    assert ids_in(wait_for_lines(good, 1)) == ["2"]


def test_a_reload_under_load_that_changes_path_and_format_loses_no_line(session):
    paths = [session.folder / "one.log", session.folder / "two.log"]
    formats = ["combined", "json"]

    def config(number):
        return session.pool(workers=3, listen=[f"127.0.0.1:{port}"], access_log=access_log(
            paths[number % 2], format=formats[number % 2], flush_delay="10ms"))

    port = harness.free_port()
    daemon = session.start(config(0), level="info")
    with Writers(("127.0.0.1", port)) as writers:
        for number in range(1, 13):
            daemon.reload(config(number))
            writers.wait_for(30)
    daemon.stop()
    found = ids_in(lines_of(paths[0])) + [json.loads(line)["query"] for line in lines_of(paths[1])]
    assert len(found) == len(set(found))
    assert writers.failures == []
    assert set(found) >= writers.answered
    assert {json.loads(line)["generation"] % 2 for line in lines_of(paths[1])} == {0}


def test_draining_workers_of_the_old_generation_hear_of_a_rotation_too(session):
    path = session.folder / "access.log"
    body = session.big_file()
    config = session.pool(workers=1, access_log=access_log(path, format="{target} {generation}"))
    daemon = session.start(config)
    with Connection(daemon.address(), receive_buffer=4096) as slow:
        slow.request("/big.bin")
        slow.head()
        daemon.reload(session.pool(workers=1, access_log=access_log(session.folder / "other.log")))
        rotate(daemon, path, 1)
        slow.body(Response(200, "OK", {"content-length": str(len(body))}, b"", "HTTP/1.1"))
    assert wait_for_lines(path, 1) == ["/big.bin 1"]
    assert Path(f"{path}.0001").read_bytes() == b""
    daemon.wait(r"gen=1 pid=\d+: exited with status 0")
    # Nobody needs it any more.
    wait_until(lambda: str(path) not in harness.descriptors(daemon.pid).values(), "the file closed")


def test_a_reload_whose_access_log_cannot_be_opened_changes_nothing(session):
    path = session.folder / "access.log"
    taken = session.folder / "taken"
    taken.mkdir()
    daemon = session.start(session.pool(access_log=access_log(path)))
    lines = daemon.reload_fails(session.pool(access_log=access_log(taken)))
    assert any(re.search(rf'prongd\.toml:\d+:\d+: error: cannot open the access log "{taken}": Is a directory', line)
               for line in lines), lines
    lines = daemon.reload_fails(session.pool(access_log=access_log(session.folder / "no" / "a.log")))
    assert any("No such file or directory; make the folder" in line for line in lines), lines
    lines = daemon.reload_fails(session.pool(access_log=access_log(path, format="{client} {stauts}")))
    assert any("character 10 of the format: unknown field \"stauts\"; did you mean {status}?" in line
               for line in lines), lines
    get(daemon.address(), "/a.txt?still")
    assert ids_in(wait_for_lines(path, 1)) == ["still"]


def test_check_tells_a_format_that_is_none_at_its_place(session):
    config = session.config(session.pool(access_log=access_log("/tmp/x.log", format="{client")))
    done = session.run("--check", "--config", config)
    assert done.returncode == 2
    assert re.search(r'prongd\.toml:\d+:\d+: error: pool\.files\.access_log\.format: character 1 of the format: '
                     r'a "{" without its "}"; write "{{" for a brace', done.stderr), done.stderr


def test_a_boot_whose_access_log_cannot_be_opened_fails_with_the_reason(session):
    fifo = session.folder / "fifo"
    os.mkfifo(fifo)
    daemon = session.start(session.pool(access_log=access_log(fifo)), ready=False)
    daemon.expected_status = 3
    daemon.expect(rf'error +master: (cannot start: )?\S+:\d+:\d+: error: cannot open the access log "{fifo}": No such '
                  r"device or address; it is a FIFO that nobody reads, or a socket")
    assert daemon.wait_exit() == 3


def test_two_pools_write_to_one_file_that_is_open_once(session):
    path = session.folder / "access.log"
    daemon = session.start(session.pool(access_log=access_log(path, flush_delay="5ms")) +
                           session.pool("more", access_log=access_log(path, flush_delay="5ms")), level="info")
    assert list(harness.descriptors(daemon.pid).values()).count(str(path)) == 1
    with Writers(daemon.address(), threads=3) as one:
        # Other ids than those of the first.
        with Writers(daemon.address("more"), threads=3) as two:
            for number in range(20):
                rotate(daemon, path, number)
                one.wait_for(20)
                two.wait_for(20)
    daemon.stop()
    assert one.failures == two.failures == []
    found = ids_in(lines_of(path))
    for name in one.answered | two.answered:
        assert found.count(name) == (name in one.answered) + (name in two.answered)
    assert len(found) == len(one.answered) + len(two.answered)


def test_killed_workers_lose_no_line_that_was_not_waiting_and_tear_none(session):
    path = session.folder / "access.log"
    daemon = session.start(session.pool(workers=4, access_log=access_log(path, flush_delay="0")), level="info")
    with Writers(daemon.address(), tolerate=(ConnectionError, Cut)) as writers:
        for _ in range(10):
            mark = daemon.log.mark()
            daemon.kill_worker(next(iter(daemon.workers().values())))
            daemon.wait(r"pid=\d+: ready", mark)
            writers.wait_for(20)
    daemon.stop()
    found = ids_in(lines_of(path))
    assert writers.failures == []
    assert len(found) == len(set(found))
    # An answer leaves before its line is written, so each kill may cost the line of one answer of each connection that
    # the worker had; of the eight clients no more than that.
    assert len(writers.answered - set(found)) <= 10 * 8
    assert set(found) <= writers.sent


def test_a_full_disk_costs_no_answer_tears_no_line_and_is_told_once(session):
    folder = session.folder / "disk"
    folder.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder],
                                           check=False, capture_output=True).returncode != 0:
        pytest.skip("needs root and a mount of its own")
    try:
        path, ballast = folder / "access.log", folder / "ballast"
        daemon = session.start(session.pool(workers=3, access_log=access_log(path, flush_delay="5ms")), level="info")
        with open(ballast, "wb") as file:  # leaves a few pages
            os.posix_fallocate(file.fileno(), 0, (64 << 20) - (24 << 10))
        daemon.expect(rf"error +files/worker\[\d\] .*: cannot write the access log \"{path}\": No space left on device")
        with Writers(daemon.address(), threads=4) as writers:
            daemon.wait("cannot write the access log")
            writers.wait_for(60)
            ballast.unlink()
            daemon.wait("can be written again")
            writers.wait_for(20)
        daemon.stop()
        assert writers.failures == []
        lines = lines_of(path)
        found = ids_in(lines)
        assert len(found) == len(set(found))
        lost = sum(int(match[1]) for match in daemon.log.find(r"(\d+) lines (?:of the access log \S+ )?were lost"))
        assert len(writers.answered) - len(found) == lost
        assert len(daemon.log.find("cannot write the access log")) <= 3
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_pipe_without_a_reader_never_holds_a_worker_up(session):
    path = session.folder / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    daemon = session.start(session.pool(workers=2, access_log=access_log(path, flush_delay="5ms")), level="info")
    daemon.expect("cannot write the access log .*(reader is too slow|Broken pipe)")
    daemon.expect("lines of the access log .* were lost")
    with Writers(daemon.address(), threads=4) as writers:
        daemon.wait("its reader is too slow")
        writers.wait_for(50)
        text = b""
        with contextlib.suppress(BlockingIOError):
            while data := os.read(reader, 65536):
                text += data
    assert writers.failures == []
    for line in text.decode().splitlines()[:-1]:
        assert COMBINED.match(line), line
    os.close(reader)


def test_every_field_is_documented(session):
    config = session.config(session.pool(access_log=access_log("/tmp/x.log", format="{x}")))
    done = session.run("--check", "--config", config)
    names = re.search(r"the fields are (.*)", done.stderr)[1].split(", ")
    assert len(names) == 32
    page = (Path(__file__).parents[2] / "docs" / "access-log.md").read_text()
    table = page[page.index("## Fields"):page.index("## Escaping")]
    assert sorted(re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)) == sorted(names)
