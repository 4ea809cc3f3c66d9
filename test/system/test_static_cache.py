"""The cache of open files: what changes on disk shows soon, what is sent is never a mixture that Content-Length belies,
and a worker holds nothing for long."""

import contextlib
import os
import threading
import time

import pytest

import harness
from client import Connection, Cut, get

SITE_LIMIT = 3  # seconds: cache_ttl is 1 s, and housekeeping may be a quarter of it late


def held_files(daemon, folder):
    """What the workers hold open below the folder."""
    found = []
    for child in daemon.children():
        with contextlib.suppress(FileNotFoundError):
            found += [target for target in harness.descriptors(child.pid).values() if target.startswith(f"{folder}/")]
    return found


@pytest.fixture
def served(session):
    return session.start(session.pool(workers=1))


@pytest.mark.parametrize("size", [100, 300_000])
def test_a_file_that_vanishes_is_gone_soon_and_one_that_comes_is_there_at_once(session, served, size):
    path = session.site / "new.bin"
    with Connection(served.address()) as connection:
        assert connection.get("/new.bin").status == 404
        path.write_bytes(b"x" * size)
        assert connection.get("/new.bin").body == b"x" * size, "what is not there is not remembered"
        path.unlink()
        harness.wait_until(lambda: connection.get("/new.bin").status == 404, "404", limit=SITE_LIMIT * harness.SCALE)


@pytest.mark.parametrize("size", [100, 300_000])
def test_a_file_that_is_replaced_is_seen_soon_though_it_is_asked_for_all_the_time(session, served, size):
    (session.site / "x").write_bytes(b"1" * size)
    with Connection(served.address()) as connection:
        assert connection.get("/x").body == b"1" * size
        (session.site / "x.new").write_bytes(b"2" * size)
        (session.site / "x.new").rename(session.site / "x")
        harness.wait_until(lambda: connection.get("/x").body == b"2" * size, "the new file",
                           limit=SITE_LIMIT * harness.SCALE)


def test_an_open_file_that_is_written_to_is_seen_at_once(session):
    daemon = session.start(session.pool(workers=1, static={"root": session.site, "cache_ttl": "1h"}))
    path = session.site / "log.bin"
    path.write_bytes(b"1" * 300_000)
    with Connection(daemon.address()) as connection:
        first = connection.get("/log.bin")
        assert first.body == b"1" * 300_000
        with open(path, "ab") as file:
            file.write(b"2" * 10)
        second = connection.get("/log.bin")
        assert second.body == b"1" * 300_000 + b"2" * 10 and second.headers["etag"] != first.headers["etag"]
        os.truncate(path, 200_000)
        assert connection.get("/log.bin").body == b"1" * 200_000
        path.write_bytes(b"short")
        assert connection.get("/log.bin").body == b"short"


def test_without_a_cache_each_request_looks_anew(session):
    daemon = session.start(session.pool(workers=1, static={"root": session.site, "cache_ttl": "0"}))
    path, other = session.site / "x", session.site / "y"
    with Connection(daemon.address()) as connection:
        for number in range(50):
            for size in (10, 100_000):
                other.write_bytes(b"%d" % (number % 10) * size)
                other.rename(path)
                assert connection.get("/x").body == b"%d" % (number % 10) * size
        path.unlink()
        assert connection.get("/x").status == 404
    harness.wait_until(lambda: not held_files(daemon, session.site), "no open file")


def test_an_idle_worker_lets_a_deleted_file_go(session, served):
    body = session.big_file()
    with Connection(served.address()) as connection:
        assert connection.get("/big.bin").body == body
        (session.site / "big.bin").unlink()
        start = time.monotonic()
        harness.wait_until(lambda: not held_files(served, session.site), "the file closed",
                           limit=SITE_LIMIT * harness.SCALE)
        assert time.monotonic() - start < SITE_LIMIT * harness.SCALE


def test_a_file_of_a_slow_download_stays_until_it_is_sent_whatever_the_cache_does(session, served):
    body = session.big_file(size=24 << 20)
    with Connection(served.address(), receive_buffer=8192) as slow:
        slow.request("/big.bin")
        answer = slow.head()
        (session.site / "big.bin").unlink()
        with Connection(served.address()) as connection:
            harness.wait_until(lambda: connection.get("/big.bin").status == 404, "404",
                               limit=SITE_LIMIT * harness.SCALE)
        assert slow.body(answer).body == body


def test_the_cache_holds_no_more_files_than_it_may(session):
    for number in range(40):
        (session.site / f"{number}.bin").write_bytes(b"x" * 100_000)
    static = {"root": session.site, "cache_ttl": "1h", "cache_entries": 10, "cache_file_size": "16KiB"}
    daemon = session.start(session.pool(workers=1, static=static))
    with Connection(daemon.address()) as connection:
        for number in range(40):
            assert connection.get(f"/{number}.bin").status == 200
        assert len(held_files(daemon, session.site)) == 10
        assert {os.path.basename(held) for held in held_files(daemon, session.site)} == \
            {f"{number}.bin" for number in range(30, 40)}


def test_the_cache_takes_a_quarter_of_the_descriptors_at_most(session):
    for number in range(80):
        (session.site / f"{number}.bin").write_bytes(b"x" * 100_000)
    static = {"root": session.site, "cache_ttl": "1h", "cache_entries": 1000, "cache_file_size": "16KiB"}
    daemon = session.start(session.pool(workers=1, static=static, rlimits={"nofile": 200}))
    with Connection(daemon.address()) as connection:
        for _ in range(2):
            for number in range(80):
                assert connection.get(f"/{number}.bin").status == 200
        assert len(held_files(daemon, session.site)) == 50


def test_small_files_are_kept_in_memory_and_not_open(session):
    static = {"root": session.site, "cache_ttl": "1h", "cache_file_size": "1KiB"}
    daemon = session.start(session.pool(workers=1, static=static))
    (session.site / "1024.bin").write_bytes(b"x" * 1024)
    (session.site / "1025.bin").write_bytes(b"x" * 1025)
    with Connection(daemon.address()) as connection:
        for _ in range(2):
            assert len(connection.get("/1024.bin").body) == 1024
            assert len(connection.get("/1025.bin").body) == 1025
        assert [os.path.basename(held) for held in held_files(daemon, session.site)] == ["1025.bin"]


def test_a_large_file_in_memory_comes_whole_to_a_slow_reader(session):
    static = {"root": session.site, "cache_ttl": "10ms", "cache_file_size": "1MiB"}
    daemon = session.start(session.pool(workers=1, static=static))
    body = session.big_file("m.bin", size=1 << 20)
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(Connection(daemon.address(), receive_buffer=4096)) for _ in range(8)]
        for connection in slow:
            for _ in range(3):
                connection.request("/m.bin")
        heads = [connection.head() for connection in slow]
        (session.site / "m.bin").write_bytes(b"another")
        with Connection(daemon.address()) as connection:
            harness.wait_until(lambda: connection.get("/m.bin").body == b"another", "the change")
        for connection, head in zip(slow, heads):
            assert connection.body(head).body == body
            for _ in range(2):
                assert connection.response().body in (body, b"another")


@pytest.mark.parametrize("cache_ttl", ["0", "1s"])
def test_no_length_lies_while_a_file_changes_all_the_time(session, cache_ttl):
    """Writers that replace, append and truncate: each answer is as long as it says, or the connection is cut; and a
    file that is only ever replaced is never a mixture."""
    daemon = session.start(session.pool(workers=2, static={"root": session.site, "cache_ttl": cache_ttl}))
    daemon.expect(r"warn .*rewritten became shorter while it was sent")
    replaced, rewritten = session.site / "replaced", session.site / "rewritten"
    replaced.write_bytes(b"0" * 20_000)
    rewritten.write_bytes(b"0" * 20_000)
    stop = threading.Event()

    def write():
        number = 0
        while not stop.is_set():
            number += 1
            size = (100, 20_000, 16_384, 300_000, 0)[number % 5]
            new = session.site / "replaced.new"
            new.write_bytes(b"%d" % (number % 10) * size)
            new.rename(replaced)
            rewritten.write_bytes(b"%d" % (number % 10) * size)  # truncates, then writes

    thread = threading.Thread(target=write)
    thread.start()
    cuts = 0
    try:
        for _ in range(40):
            with contextlib.suppress(Cut), Connection(daemon.address()) as connection:
                for _ in range(20):
                    cuts += 1
                    answer = connection.get("/replaced")
                    assert answer.status == 200 and len(set(answer.body)) <= 1
                    assert len(answer.body) in (100, 20_000, 16_384, 300_000, 0)
                    answer = connection.get("/rewritten")
                    assert answer.status == 200 and len(answer.body) == int(answer.headers["content-length"])
                    cuts -= 1
    finally:
        stop.set()
        thread.join()
    daemon.expect(r"warn .*rewritten")
    assert cuts < 40


def test_changes_come_to_all_files_of_a_busy_site_in_time(session, served):
    """Each is asked for more often than cache_ttl, from several clients."""
    for number in range(20):
        (session.site / f"{number}.txt").write_text("old")
    stop = threading.Event()
    failures = []

    def ask():
        with Connection(served.address()) as connection:
            while not stop.is_set():
                for number in range(20):
                    if connection.get(f"/{number}.txt").body not in (b"old", b"new"):
                        failures.append(number)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for number in range(20):
            (session.site / "next").write_text("new")
            (session.site / "next").rename(session.site / f"{number}.txt")
        harness.wait_until(lambda: all(get(served.address(), f"/{number}.txt").body == b"new" for number in range(20)),
                           "the new files", limit=SITE_LIMIT * harness.SCALE)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failures
