"""Modules that misbehave in a request (test/modules/misbehave.cpp): one worker dies at most, nobody else notices, and the
obituary tells which request it was and which module."""

import collections
import contextlib
import signal

import pytest

import harness
from client import Connection, Load, get
from harness import SCALE, wait_until
from modules import GONE, MODELS, WAITING, Lines, install, module_pool, path_of, plain_crashes

SEGV = r"killed by signal 11 \(SIGSEGV\)"
ABRT = r"killed by signal 6 \(SIGABRT\)"
DEATHS = [("exit-0", "exited with status 0"), ("exit-3", "exited with status 3"), ("quick-exit", "exited with status 7"),
          ("abort", ABRT), ("terminate", ABRT), ("crash", SEGV), ("overrun", SEGV)]


def start(session, concurrency, **more):
    session.environment |= plain_crashes()
    daemon = session.start(module_pool("misbehave", concurrency, **{"workers": 3} | more))
    return daemon, daemon.address("misbehave")


def connections_of_each(stack, daemon, number):
    """{pid: that many keep-alive connections} of each worker."""
    pids, found = set(daemon.workers("misbehave").values()), collections.defaultdict(list)

    def one_more():
        connection = stack.enter_context(Connection(daemon.address("misbehave")))
        pid = int(connection.get("/pid").body)
        if len(found[pid]) < number:
            found[pid].append(connection)
        else:
            connection.close()
        return all(len(found[pid]) == number for pid in pids)

    wait_until(one_more, lambda: f"{number} connections of each worker: {dict(found)}")
    return found


@pytest.mark.parametrize("concurrency", MODELS)
@pytest.mark.parametrize("way, death", DEATHS, ids=[way for way, _ in DEATHS])
def test_a_request_that_ends_its_worker_ends_no_other(session, concurrency, way, death):
    daemon, _ = start(session, concurrency)
    daemon.expect(death)
    daemon.expect(r"^terminate called after throwing|^  what\(\): ")  # the C++ library's own words
    with contextlib.ExitStack() as stack:
        found = connections_of_each(stack, daemon, 1 if concurrency == "process" else 2)
        before = daemon.workers("misbehave")
        slot, victim = sorted(before.items())[1]
        mark = daemon.log.mark()
        found[victim][0].request("/" + way)
        with pytest.raises(GONE):
            found[victim][0].response()
        line = daemon.wait(rf"worker\[{slot}\] gen=1 pid={victim}: .*{death}", mark).string
        assert f"GET /{way}" in line and str(path_of("misbehave")) in line, line
        daemon.wait(rf"worker\[{slot}\] gen=1 pid=\d+: ready", mark)
        assert not daemon.log.find("backoff", mark), "replaced at once"
        for pid in set(found) - {victim}:
            for connection in found[pid]:
                assert int(connection.get("/pid").body) == pid
        after = daemon.workers("misbehave")
        assert {s: p for s, p in after.items() if s != slot} == {s: p for s, p in before.items() if s != slot}


@pytest.mark.parametrize("concurrency", MODELS)
@pytest.mark.parametrize("way, why", [("throw", "thrown on purpose"), ("throw-int", "no std::exception")])
def test_a_request_that_throws_is_500_and_its_worker_goes_on(session, concurrency, way, why):
    daemon, address = start(session, concurrency, workers=2)
    daemon.expect(why)
    before = daemon.workers("misbehave")
    with Connection(address) as connection:
        assert connection.get("/" + way).status == 500
        assert daemon.wait(rf"error .*{why}")
    with Connection(address) as connection:
        assert connection.get("/ok").status == 200
    assert daemon.workers("misbehave") == before


def test_in_event_a_request_that_loops_is_ended_at_request_timeout_by_the_master(session):
    daemon, address = start(session, "event", request_timeout=f"{int(400 * SCALE)}ms", workers=2)
    daemon.expect(r"request_timeout|SIGABRT|SIGKILL")
    before = daemon.workers("misbehave")
    mark = daemon.log.mark()
    with Connection(address) as connection:
        connection.request("/hang")
        with pytest.raises(GONE):
            connection.response()
    line = daemon.wait(r"killed by signal (6|9) ", mark).string
    assert "GET /hang" in line and str(path_of("misbehave")) in line, line
    daemon.wait(r"worker\[\d\] gen=1 pid=\d+: ready", mark)
    assert get(address, "/ok").body == b"ok"
    assert len(set(before.values()) & set(daemon.workers("misbehave").values())) == 1


@pytest.mark.parametrize("concurrency", WAITING)
def test_elsewhere_a_request_that_loops_gets_504_and_its_worker_is_replaced(session, concurrency):
    daemon, address = start(session, concurrency, request_timeout=f"{int(400 * SCALE)}ms", workers=2)
    daemon.expect(r"request_timeout|SIGABRT|SIGKILL|killed by signal")
    before = daemon.workers("misbehave")
    mark = daemon.log.mark()
    with Connection(address) as connection:
        connection.request("/hang")
        assert connection.response().status == 504
    daemon.wait(r"error .*GET /hang", mark)
    daemon.wait(r"worker\[\d\] gen=1 pid=\d+: ready", mark)
    assert get(address, "/ok").body == b"ok"
    wait_until(lambda: len(set(before.values()) & set(map(int, daemon.workers("misbehave").values()))) == 1,
               "one of the old workers")


@pytest.mark.parametrize("concurrency", MODELS)
@pytest.mark.parametrize("way", ["hang-timer", "hang-post"])
def test_a_timer_or_a_posted_function_that_loops_costs_its_worker(session, concurrency, way):
    daemon, address = start(session, concurrency, request_timeout=f"{int(400 * SCALE)}ms", workers=2)
    daemon.expect(r"request_timeout|SIGABRT|SIGKILL|killed by signal")
    before = daemon.workers("misbehave")
    mark = daemon.log.mark()
    assert get(address, "/" + way).body == b"ok"
    line = daemon.wait("a timer or a descriptor of the application of module .*request_timeout", mark).string
    assert str(path_of("misbehave")) in line, line
    daemon.wait(r"worker\[\d\] gen=1 pid=\d+: ready", mark)
    if concurrency == "thread":
        # The other threads of the worker finish what they have: it leaves by itself, and nothing is cut.
        daemon.wait(r"worker\[\d\] gen=1 pid=\d+: exited with status 0", mark)
        assert not daemon.log.find("killed by signal", mark)
    assert get(address, "/ok").body == b"ok"
    wait_until(lambda: len(set(before.values()) & set(daemon.workers("misbehave").values())) == 1,
               "one of the old workers")


@pytest.mark.skipif(harness.is_sanitized(), reason="a sanitizer's memory says nothing")
@pytest.mark.parametrize("concurrency", MODELS)
def test_a_module_that_leaks_is_retired_at_max_memory_and_costs_no_request(session, concurrency):
    daemon, address = start(session, concurrency, workers=2, max_memory="64MiB", memory_grace="100ms")
    daemon.expect("more than max_memory")
    before = daemon.workers("misbehave")
    with Load(address, {"/ok": b"ok"}, short=1, keep_alive=1) as load:
        for _ in range(60):
            get(address, "/leak")
        daemon.wait(r"more than max_memory = 64MiB")
        daemon.wait(r"exited with status 0 .*retired")
        load.wait_for(50)
        load.stop()
        assert load.failures == []
    wait_until(lambda: set(daemon.workers("misbehave").values()) - set(before.values()), "a new worker")


@pytest.mark.parametrize("concurrency", MODELS)
def test_a_request_that_writes_past_the_end_harms_its_own_worker_at_most(session, concurrency):
    daemon, address = start(session, concurrency)
    daemon.expect(rf"{ABRT}|{SEGV}")
    daemon.expect(r"^(free|malloc|corrupted|munmap|double free|realloc)[^:]*: ?.*$|^malloc|^free|^corrupted")
    with contextlib.ExitStack() as stack:
        found = connections_of_each(stack, daemon, 1)
        victim, *others = sorted(found)
        with contextlib.suppress(*GONE):
            for _ in range(20):
                found[victim][0].get("/heap")
        for pid in others:
            assert int(found[pid][0].get("/pid").body) == pid
        if not harness.is_gone(victim):  # with a heap like that it may still die of any request
            daemon.kill_worker(victim)
    wait_until(lambda: len(set(daemon.workers("misbehave").values()) - {victim}) == 3, "all workers")
    assert get(address, "/ok").body == b"ok"


@pytest.mark.parametrize("concurrency", MODELS)
def test_workers_killed_under_load_cost_only_what_is_inside_them(session, concurrency):
    daemon = session.start(module_pool("hello", concurrency, workers=4))
    with Load(daemon.address("hello"), {"/?name=you": b"hello you"}, short=2, keep_alive=2, tolerate=GONE) as load:
        for turn in range(12):
            load.wait_for(20)
            mark = daemon.log.mark()
            slot, pid = sorted(daemon.workers("hello").items())[turn % 4]
            daemon.kill_worker(pid)
            daemon.wait(rf"worker\[{slot}\] gen=1 pid=\d+: ready", mark)
        load.wait_for(50)
        load.stop()
    assert load.failures == []
    assert load.cuts <= 12 * 4


@pytest.mark.parametrize("concurrency", MODELS)
def test_50_reloads_under_load_with_a_file_that_changes_cost_no_request(session, concurrency):
    """Half of the clients keep their connection. An answer is of the version that its worker has loaded."""
    path = session.folder / "module.so"
    install(path_of("version_1"), path)
    daemon = session.start(module_pool("version", concurrency, path=path, workers=2))
    address = daemon.address("version")
    answers = collections.Counter()

    class Versions(Load):
        def _check(self, answer, body):
            assert answer.status == 200 and answer.body in (b"version 1", b"version 2"), f"wrong answer: {answer}"
            with self._lock:
                self.answers += 1
                answers[answer.body] += 1

    with Versions(address, {"/": b""}, short=2, keep_alive=3) as load:
        for number in range(50):
            load.wait_for(10)
            install(path_of(f"version_{2 - number % 2}"), path)
            assert daemon.reload() == number + 2
            newest = b"version %d" % (2 - number % 2)
            wait_until(lambda: get(address).body == newest, "an answer of the new file")
        load.wait_for(20)
        load.stop()
    assert load.failures == []
    assert min(answers.values()) > 50
    daemon.wait(r"gen=50 pid=\d+: exited with status 0", count=2)
    assert not daemon.log.find("killed by")


def test_a_stream_module_is_reloaded_under_load_and_loses_no_conversation(session):
    daemon = session.start(module_pool("key_value", stream={"idle_grace": "200ms"}, workers=1))
    address = daemon.address("key_value")
    for number in range(10):
        with Lines(address) as client:
            client.send(f"SET a {number}\n")
            assert client.line() == "OK"
            daemon.send(signal.SIGHUP)
            daemon.wait(f"reload done: generation {number + 2}")
            client.send("GET a\nQUIT\n")  # the old worker still talks with it
            assert client.rest() == f"VALUE {number}\nBYE\n"
