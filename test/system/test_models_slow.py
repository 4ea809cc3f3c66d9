"""Slow clients, full pools and crashing code in each concurrency: who waits for whom, and who does not.

The application is prongd-trial's (test/trial/worker_main.cpp).
"""

import collections
import contextlib
import selectors
import time

import pytest

import harness
from client import Connection, Cut, get
from harness import LIMIT, SCALE, wait_until

SENDERS, READERS = 200, 50
LARGE = "/stream?parts=4000&size=16384"  # 64 MB, which fit into no buffer
WHOLE = 5_000_000  # bytes of an answer that is made at once; more than the sockets' buffers take
FAST = 60  # requests
NUMBERS = b"".join(b"%07d\n" % number for number in range(WHOLE // 8))


def slow_sender(stack, address):
    """A client in the middle of its request."""
    connection = stack.enter_context(Connection(address))
    connection.send(b"GET /pid HTTP/1.1\r\nHost: t\r\nX-Slow: ")
    return connection


def slow_reader(stack, address, target=LARGE, more=()):
    """A client that has asked for much and takes next to nothing; its answer, which the application makes as it is sent,
    has begun."""
    connection = stack.enter_context(Connection(address, receive_buffer=4096))
    connection.request(target, headers=more)
    connection.answer = connection.head()
    assert connection.answer.status == 200
    return connection


def slow_numbers(stack, address):
    """The same; connection.body(connection.answer) gets the rest."""
    return slow_reader(stack, address, f"/numbers?bytes={WHOLE}", ["Connection: close"])


@pytest.mark.parametrize("concurrency", ["thread", "event"])
def test_slow_clients_cost_no_application_thread(session, concurrency):
    threads = {"threads": 2} if concurrency == "thread" else {}
    daemon = session.start_trial(concurrency, workers=2, **threads)
    address = daemon.address("trial")
    with contextlib.ExitStack() as stack:
        senders = [slow_sender(stack, address) for _ in range(SENDERS)]
        readers = [slow_numbers(stack, address) for _ in range(READERS)]
        times, pids = [], set()
        for number in range(FAST):
            for connection in senders:  # a byte of each, between two requests of the fast ones
                connection.send(b"x")
            readers[number % READERS].socket.recv(100)
            begin = time.monotonic()
            pids.add(get(address, "/pid").body)
            times.append(time.monotonic() - begin)
        assert sorted(times)[FAST // 2] < 0.05 * SCALE
        assert max(times) < 1.0 * SCALE
        for connection in senders:  # none was cut, and each has its answer in the end
            connection.send(b"\r\n\r\n")
            assert connection.response().status == 200
    assert get(address, "/pid").status == 200


def test_slow_readers_of_streamed_answers_cost_no_thread_and_get_every_byte(session):
    daemon = session.start_trial("thread", workers=2, threads=2)
    address = daemon.address("trial")
    with contextlib.ExitStack() as stack:
        readers = [slow_numbers(stack, address) for _ in range(8)]  # twice as many as threads
        begin = time.monotonic()
        assert get(address, "/pid").status == 200
        assert time.monotonic() - begin < 1.0 * SCALE
        for reader in readers:
            assert reader.body(reader.answer).body == NUMBERS
            assert reader.at_end()


@pytest.mark.parametrize("http", [{"output_spool": "0"}, {"output_spool": "1MiB"}, {"body_dir": "/nonexistent"}])
def test_threads_wait_for_slow_readers_of_what_fits_into_no_spool(session, http):
    daemon = session.start_trial("thread", workers=2, threads=2, http=http)
    address, pids = daemon.address("trial"), daemon.workers("trial").values()
    if "body_dir" in http:
        daemon.expect("a streamed answer is not spooled")
    with contextlib.ExitStack() as stack:
        readers = [slow_numbers(stack, address) for _ in range(4)]
        if "body_dir" in http:
            daemon.wait("a streamed answer is not spooled, so its thread waits for the client: cannot make a file in "
                        '"/nonexistent": No such file or directory')
        with Connection(address) as waiting:
            waiting.request("/pid", headers=["Connection: close"])
            waiting.socket.settimeout(0.5)  # a pool with a free thread needs a millisecond
            with pytest.raises(TimeoutError):
                waiting.head()
            assert harness.holder_of(waiting, pids) is None, "in the queue: all threads wait"
            waiting.socket.settimeout(LIMIT)
            for reader in readers:
                assert reader.body(reader.answer).body == NUMBERS
            assert waiting.response().status == 200


def test_in_process_a_slow_client_takes_a_worker_and_siblings_serve_the_others(session):
    daemon = session.start_trial("process", workers=3)
    address, pids = daemon.address("trial"), set(daemon.workers("trial").values())
    with contextlib.ExitStack() as stack:
        reader = slow_reader(stack, address)
        senders = [slow_sender(stack, address)]
        wait_until(lambda: all(harness.holder_of(each, pids) for each in (reader, *senders)), "both at a worker")
        taken = {harness.holder_of(each, pids) for each in (reader, *senders)}
        assert len(taken) == 2
        for _ in range(20):
            assert {int(get(address, "/pid").body)} == pids - taken
        senders.append(slow_sender(stack, address))  # the last free worker
        wait_until(lambda: harness.holder_of(senders[1], pids), "all workers taken")
        with Connection(address) as waiting:
            waiting.request("/pid", headers=["Connection: close"])
            for number in range(20):
                senders[number % 2].send(b"x")
            assert harness.holder_of(waiting, pids) is None, "in the queue"
            senders[0].send(b"\r\n\r\n")
            first = senders[0].response()
            assert first.closes, "somebody waits"
            assert waiting.response().body == first.body, "the worker that has become free"


def fill(stack, daemon, concurrency):
    """Connections that take all places of the pool, and a function that frees one of them."""
    address = daemon.address("trial")
    pids = daemon.workers("trial").values()
    if concurrency == "event":
        held = [stack.enter_context(Connection(address)) for _ in range(4)]
        for connection in held:
            assert connection.get("/pid").status == 200
        return held[0].close
    held = []
    for number in range(4 if concurrency == "thread" else 2):
        held.append(stack.enter_context(Connection(address)))
        held[-1].request(f"/sleep?ms={2500 if number else 900}", headers=["Connection: close"])
    wait_until(lambda: all(harness.holder_of(each, pids) for each in held), "all threads at work")
    return lambda: None  # the first has the shortest sleep


@pytest.mark.parametrize("concurrency", ["process", "thread", "event"])
def test_a_full_pool_refuses_nobody_and_serves_in_the_order_of_arrival(session, concurrency):
    more = {"thread": {"threads": 2}, "event": {"max_connections": 2}}.get(concurrency, {})
    daemon = session.start_trial(concurrency, workers=2, **more)
    address, pids = daemon.address("trial"), daemon.workers("trial").values()
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
        free_one = fill(stack, daemon, concurrency)
        waiting = []
        for number in range(20):
            waiting.append(stack.enter_context(Connection(address)))
            waiting[-1].request("/sleep?ms=5", headers=["Connection: close"])
            selector.register(waiting[-1].socket, selectors.EVENT_READ, number)
        assert [harness.holder_of(each, pids) for each in waiting] == [None] * 20
        free_one()
        answered = set()
        while len(answered) < len(waiting):
            ready = selector.select(LIMIT)
            assert ready, f"only {sorted(answered)} answered"
            for key, _ in ready:
                answered.add(key.data)
                selector.unregister(key.fileobj)
            # One look may find several, but none whose predecessor has none.
            assert answered == set(range(len(answered)))
        for connection in waiting:
            assert connection.response().body == b"ok"


def connections_of_each(stack, daemon, number):
    """{pid: that many keep-alive connections} of each worker."""
    pids, found = set(daemon.workers("trial").values()), collections.defaultdict(list)

    def one_more():
        connection = stack.enter_context(Connection(daemon.address("trial")))
        pid = int(connection.get("/pid").body)
        if len(found[pid]) < number:
            found[pid].append(connection)
        else:
            connection.close()
        return all(len(found[pid]) == number for pid in pids)

    wait_until(one_more, lambda: f"{number} connections of each worker: {dict(found)}")
    return found


@pytest.mark.parametrize("concurrency", ["process", "thread", "event"])
@pytest.mark.parametrize("way, death", [("crash", r"killed by signal 11 \(SIGSEGV\)"),
                                        ("abort", r"killed by signal 6 \(SIGABRT\)"), ("exit", "exited with status 7")])
def test_code_that_crashes_fails_what_is_inside_its_worker_and_nothing_else(session, concurrency, way, death):
    if way == "crash" and harness.is_sanitized():
        pytest.skip("the sanitizer turns the signal into a report")
    daemon = session.start_trial(concurrency, workers=3, **({"threads": 4} if concurrency == "thread" else {}))
    daemon.expect(death)
    with contextlib.ExitStack() as stack:
        found = connections_of_each(stack, daemon, 1 if concurrency == "process" else 3)
        before = daemon.workers("trial")
        slot, victim = sorted(before.items())[1]
        crasher, *others = found[victim]
        if concurrency == "thread":  # requests that other threads are at
            for connection in (each for pid in found for each in found[pid] if each is not crasher):
                connection.request("/sleep?ms=400")
        mark = daemon.log.mark()
        crasher.request("/" + way)
        for connection in (crasher, *others):
            with pytest.raises((Cut, ConnectionResetError, BrokenPipeError)):
                connection.response() if concurrency == "thread" or connection is crasher else connection.get("/pid")
        daemon.wait(rf"worker\[{slot}\] gen=1 pid={victim}: {death}", mark)
        daemon.wait(rf"worker\[{slot}\] gen=1 pid=\d+: ready", mark)
        assert not daemon.log.find("backoff", mark), "replaced at once"
        for pid in set(found) - {victim}:
            for connection in found[pid]:
                answer = connection.response() if concurrency == "thread" else connection.get("/pid")
                assert answer.status == 200
        after = daemon.workers("trial")
        assert {s: p for s, p in after.items() if s != slot} == {s: p for s, p in before.items() if s != slot}
        assert after[slot] != victim
