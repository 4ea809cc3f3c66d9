"""Reload is a transaction that no client notices: it commits as a whole, or nothing has changed."""

import contextlib
import os
import re
import signal
import socket
import time

import pytest

import harness
from client import Connection, Load, get
from harness import HeldFork, is_gone, wait_until


def pids_of(daemon, generation=None):
    return set(daemon.workers(generation=generation).values())


def test_100_reloads_under_constant_load_cost_no_request_and_the_master_stays_level(session):
    daemon = session.start(session.pool(workers=2), level="info")
    (session.site / "middle.bin").write_bytes(os.urandom(200_000))
    files = {f"/{name}": (session.site / name).read_bytes() for name in ("a.txt", "middle.bin", "index.html")}
    levels = {}
    with Load(daemon.address(), files, short=2, keep_alive=3) as load:
        for number in range(100):
            mark = daemon.log.mark()
            assert daemon.reload() == number + 2
            load.wait_for(20)
            # The next reload comes when the old workers are gone: the levels are those of a master at rest.
            daemon.wait(r"gen=\d+ pid=\d+: exited with status 0", mark, count=2)
            if number in (10, 99):
                wait_until(lambda: len(harness.descriptors(daemon.pid)) <= len(daemon.baseline), "descriptors level")
                levels[number] = harness.resident_kib(daemon.pid)
        load.stop()
    assert load.failures == []
    assert load.answers >= 2000
    if not harness.is_sanitized():  # freed memory stays in quarantine there
        assert levels[99] - levels[10] < 512, f"resident KiB after 10 and 100 reloads: {levels}"


def test_reloads_one_after_the_other_without_a_rest_cost_no_request(session):
    daemon = session.start(session.pool(workers=2), level="info")
    files = {"/a.txt": (session.site / "a.txt").read_bytes()}
    with Load(daemon.address(), files, short=2, keep_alive=3) as load:
        for number in range(30):
            assert daemon.reload() == number + 2
        load.wait_for(50)
        load.stop()
    assert load.failures == []


def test_an_idle_keep_alive_connection_is_served_once_more_at_drain_and_told_to_close(session):
    daemon = session.start(session.pool(workers=1))
    with Connection(daemon.address()) as used, Connection(daemon.address()) as other:
        assert not used.get("/a.txt").closes and not other.get("/a.txt").closes
        daemon.reload()
        for connection in (used, other):
            answer = connection.get("/a.txt")
            assert answer.status == 200 and answer.body == b"a small text\n"
            assert answer.closes
            assert connection.at_end()
    daemon.wait(r"gen=1 pid=\d+: exited with status 0 after .*, 2 connections, 4 requests")


def test_an_idle_connection_is_not_cut_by_a_reload_before_the_graceful_timeout(session):
    daemon = session.start(session.pool(workers=1, graceful_timeout="1s", http={"idle_grace": "10ms"}))
    with Connection(daemon.address()) as idle:
        idle.get("/a.txt")
        start = time.monotonic()
        daemon.reload()
        assert idle.at_end()
        assert 0.9 < time.monotonic() - start < 1 + 5 * harness.SCALE
    daemon.wait(r"gen=1 pid=\d+: exited with status 0")


def test_the_log_level_changes_at_a_reload(session):
    daemon = session.start(level="info")
    assert not daemon.log.find("^.{24}debug")
    daemon.reload(harness.table("log", target="stderr", level="debug") + session.pool())
    daemon.reload()
    assert daemon.log.find(r"debug files/worker\[0\] gen=3")
    daemon.write_config(harness.table("log", target="stderr", level="error") + session.pool())
    daemon.send(signal.SIGHUP)
    daemon.wait(r"gen=4 pid=\d+: ready", count=2)  # the last that is said at the old level
    wait_until(lambda: not pids_of(daemon, generation=3), "the old generation gone")
    mark = daemon.log.mark()
    daemon.send(signal.SIGUSR1)
    daemon.send(signal.SIGTTIN)
    wait_until(lambda: len(daemon.children()) == 3, "one worker more")
    assert daemon.log.mark() == mark
    daemon.expect_more(workers=1)


def test_a_reload_that_changes_everything_under_load_costs_no_request(session):
    port, other = harness.free_port(), harness.free_port()
    listen = [f"127.0.0.1:{port}"]
    configs = [session.pool(workers=1, listen=listen),
               session.pool(workers=4, listen=[*listen, f"127.0.0.1:{other}"], max_connections=50),
               session.pool(workers=2, listen=listen) + session.pool("more", workers=1)]
    daemon = session.start(configs[0], level="info")
    files = {"/a.txt": b"a small text\n"}
    with Load(("127.0.0.1", port), files, short=2, keep_alive=3) as load:
        for number in range(1, 31):
            daemon.reload(configs[number % 3])
            load.wait_for(10)
        load.stop()
    assert load.failures == []


def test_a_request_that_is_half_sent_at_the_reload_is_answered(session):
    daemon = session.start(session.pool(workers=1))
    with Connection(daemon.address()) as connection, Connection(daemon.address()) as fresh:
        assert connection.get("/a.txt").status == 200
        connection.send(b"GET /a.txt HTTP/1.1\r\nHo")
        fresh.send(b"GET /a.t")
        old = daemon.workers()[0]
        wait_until(lambda: harness.holder_of(fresh, [old]) == old, "the worker to hold the second connection")
        daemon.reload()
        connection.send(b"st: test\r\n\r\n")
        fresh.send(b"xt HTTP/1.1\r\nHost: test\r\n\r\n")
        for late in (connection, fresh):
            answer = late.response()
            assert answer.body == b"a small text\n" and answer.closes
            assert late.at_end()


def test_an_answer_that_is_under_way_at_the_reload_is_finished_by_the_old_worker(session):
    body = session.big_file()
    daemon = session.start(session.pool(workers=1))
    with Connection(daemon.address()) as connection:
        connection.request("/big.bin")
        answer = connection.head()
        old = daemon.workers()[0]
        daemon.reload()
        assert get(daemon.address()).status == 200
        assert not is_gone(old)
        assert connection.body(answer).body == body
    daemon.wait(rf"pid={old}: exited with status 0")


def test_the_backlog_of_a_listener_that_both_generations_have_survives(session):
    daemon = session.start(session.pool(workers=2))
    old = pids_of(daemon)
    for pid in old:
        os.kill(pid, signal.SIGSTOP)
    with contextlib.ExitStack() as stack:
        waiting = [stack.enter_context(Connection(daemon.address())) for _ in range(20)]
        for connection in waiting:
            connection.request("/a.txt")
        daemon.reload()
        for connection in waiting:
            assert connection.response().body == b"a small text\n"
    for pid in old:
        os.kill(pid, signal.SIGCONT)
    daemon.wait(r"gen=1 pid=\d+: exited with status 0", count=2)


def test_the_backlog_of_a_removed_listener_is_served_and_then_it_is_closed(session):
    keep, remove = harness.free_port(), harness.free_port()
    daemon = session.start(session.pool(workers=2, listen=[f"127.0.0.1:{keep}", f"127.0.0.1:{remove}"]))
    old = pids_of(daemon)
    for pid in old:
        os.kill(pid, signal.SIGSTOP)
    with contextlib.ExitStack() as stack:
        waiting = [stack.enter_context(Connection(("127.0.0.1", remove))) for _ in range(20)]
        for connection in waiting:
            connection.request("/a.txt", headers=["Connection: close"])
        daemon.reload(session.pool(workers=2, listen=[f"127.0.0.1:{keep}"]))
        for pid in old:
            os.kill(pid, signal.SIGCONT)
        for connection in waiting:
            assert connection.response().body == b"a small text\n"
    daemon.wait(r"gen=1 pid=\d+: exited with status 0", count=2)
    daemon.expect_more(listeners=-1)
    with pytest.raises(ConnectionRefusedError):
        Connection(("127.0.0.1", remove))
    assert get(("127.0.0.1", keep)).status == 200


def test_listeners_and_sizes_change_at_a_reload(session):
    first, second = harness.free_port(), harness.free_port()
    daemon = session.start(session.pool(workers=1, listen=[f"127.0.0.1:{first}"]))
    path = session.folder / "files.sock"
    daemon.reload(session.pool(workers=3, listen=[f"127.0.0.1:{first}", f"127.0.0.1:{second}", f"unix:{path}"]))
    assert len(daemon.workers(generation=2)) == 3
    for address in (("127.0.0.1", first), ("127.0.0.1", second), str(path)):
        assert get(address, "/a.txt").body == b"a small text\n"
    daemon.reload(session.pool(workers=2, listen=[f"127.0.0.1:{second}"]))
    assert len(daemon.workers(generation=3)) == 2
    assert get(("127.0.0.1", second)).status == 200
    wait_until(lambda: first not in harness.listening_ports(), "the removed listener closed")
    wait_until(lambda: not path.exists(), "the removed socket file unlinked")
    daemon.expect_more(workers=1)


def test_a_dropped_listener_can_come_back_while_its_old_workers_still_drain(session):
    """Somebody takes an address out, sees that it was wrong, and puts it back while a download still runs."""
    body = session.big_file()
    first, second = harness.free_port(), harness.free_port()
    both = session.pool(workers=1, listen=[f"127.0.0.1:{first}", f"127.0.0.1:{second}"])
    daemon = session.start(both)
    with Connection(("127.0.0.1", second), receive_buffer=4096) as connection:
        connection.request("/big.bin")
        answer = connection.head()
        daemon.reload(session.pool(workers=1, listen=[f"127.0.0.1:{first}"]))
        wait_until(lambda: second not in harness.listening_ports(), "the dropped listener closed")
        daemon.reload(both)
        assert get(("127.0.0.1", second)).status == 200
        assert connection.body(answer).body == body


def test_pools_come_and_go_at_a_reload(session):
    daemon = session.start(session.pool("one", workers=1))
    daemon.reload(session.pool("one", workers=1) + session.pool("two", workers=1))
    assert get(daemon.address("one")).status == 200 and get(daemon.address("two")).status == 200
    two = daemon.workers("two")[0]
    daemon.reload(session.pool("one", workers=1))
    daemon.wait(rf"pid={two}: exited with status 0")
    with pytest.raises(ConnectionRefusedError):
        Connection(daemon.address("two"))


def test_a_new_root_serves_after_the_commit(session):
    other = session.folder / "other"
    other.mkdir()
    (other / "a.txt").write_text("another text\n")
    daemon = session.start()
    assert get(daemon.address(), "/a.txt").body == b"a small text\n"
    daemon.reload(session.pool(root=other))
    for _ in range(10):
        assert get(daemon.address(), "/a.txt").body == b"another text\n"


def broken(session, taken):
    return session.pool() + "\n[pool.files\n"


def unknown_key(session, taken):
    return session.pool(worker=2)


def wrong_type(session, taken):
    return session.pool(workers="many")


def taken_port(session, taken):
    return session.pool(listen=["127.0.0.1:0", f"127.0.0.1:{taken}"])


def missing_root(session, taken):
    return session.pool(root=session.folder / "no such folder")


def dying_workers(session, taken):
    return session.pool(workers=3) + session.dying_pool(workers=1, start_attempts=2)


def no_pool(session, taken):
    return "# nothing\n"


def unknown_user(session, taken):
    return session.pool(user="no-such-user-here")


BAD = {
    broken: r"prongd\.toml:\d+:\d+: error: ",
    unknown_key: r"prongd\.toml:\d+:\d+: error: .*\bworker\b.*workers",
    wrong_type: r"prongd\.toml:\d+:\d+: error: .*workers",
    taken_port: r"(cannot bind|127\.0\.0\.1:\d+).*(Address already in use)",
    missing_root: r"(no such folder).*(No such file)",
    dying_workers: r"dying",
    no_pool: r"error .*pool",
    unknown_user: r"no-such-user-here",
}


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.__name__)
def test_a_reload_that_fails_changes_nothing_and_a_later_good_one_works(session, bad):
    notify = session.notify()
    daemon = session.start(environment={"NOTIFY_SOCKET": notify.path})
    notify.wait(READY="1")
    before = pids_of(daemon)
    files = {"/a.txt": b"a small text\n", "/": (session.site / "index.html").read_bytes()}
    with socket.create_server(("127.0.0.1", 0)) as taken, contextlib.ExitStack() as stack:
        idle = stack.enter_context(Connection(daemon.address()))
        idle.get("/a.txt")
        load = stack.enter_context(Load(daemon.address(), files, short=1, keep_alive=1))
        said = notify.mark()
        daemon.expect(r"error +dying/worker\[\d\] gen=2 ")  # another attempt may die when the reload has failed already
        text = harness.table("log", level="debug") + bad(session, taken.getsockname()[1])
        told = daemon.reload_fails(text)
        assert any(re.search(BAD[bad], line) for line in told), told
        assert "generation 1 goes on" in told[-1]
        notify.wait(said, RELOADING="1")
        notify.wait(said, READY="1")
        assert pids_of(daemon, generation=1) == before
        load.wait_for(20)
        load.stop()
        assert load.failures == [] and load.closes == 0
        assert not idle.get("/a.txt").closes, "a connection does not even see that a reload was tried"
    daemon.check_quiet()
    assert len(daemon.children()) == 2
    said = notify.mark()
    daemon.reload(harness.table("log", level="debug") + session.pool())
    notify.wait(said, READY="1")
    assert get(daemon.address(), "/a.txt").body == b"a small text\n"
    daemon.wait(r"gen=1 pid=\d+: exited with status 0", count=2)


def test_many_failed_reloads_leave_the_master_level(session):
    daemon = session.start()
    daemon.expect(r"error +dying/worker\[\d\] gen=")
    before = pids_of(daemon)
    resident = None
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for number in range(30):
            bad = (taken_port, unknown_key, dying_workers)[number % 3]
            daemon.reload_fails(harness.table("log", level="debug") + bad(session, taken.getsockname()[1]))
            if number == 5:
                resident = harness.resident_kib(daemon.pid)
    wait_until(lambda: {child.pid for child in daemon.children()} == before, "only the workers of before")
    if not harness.is_sanitized():
        assert harness.resident_kib(daemon.pid) - resident < 512
    assert get(daemon.address()).status == 200


def test_all_errors_of_a_bad_config_are_told_at_a_reload_each_with_its_place(session):
    daemon = session.start()
    lines = daemon.reload_fails("""[log]
levl = "info"
[pool.files]
listen = ["127.0.0.1:0", "nonsense"]
workers = "many"
graceful_timeout = 30
static = { root = "/nonexistent/site" }
""")
    for place, hint in (("2:1", "level"), ("4:26", ""), ("5:11", ""), ("6:20", "30s"), ("7:19", "")):
        assert any(f"prongd.toml:{place}: error: " in line and hint in line for line in lines), (place, lines)


def test_workers_of_a_new_generation_accept_only_after_the_commit(session):
    daemon = session.start(session.pool(workers=2))
    old = pids_of(daemon)
    daemon.write_config(session.pool("slow", workers=1) + session.pool(workers=2))
    held = HeldFork(daemon, lambda: daemon.send(signal.SIGHUP))
    daemon.wait(r"files/worker\[\d\] gen=2 pid=\d+: ready", count=2)
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            connection = stack.enter_context(Connection(daemon.address()))
            assert not connection.get("/").closes
            assert harness.holder_of(connection, old) in old
    held.release()
    daemon.wait(r"reload done: generation 2\b")
    new = pids_of(daemon) - old

    def is_held_by_new():
        with Connection(daemon.address()) as connection:
            connection.get("/")
            return harness.holder_of(connection, new) in new

    wait_until(is_held_by_new, "a connection of a new worker")  # an old one accepts until it has read its Stop
    daemon.expect_more(workers=1, listeners=1)


def test_a_reload_asked_for_during_a_reload_runs_afterwards(session):
    daemon = session.start(session.pool(workers=1))
    held = HeldFork(daemon, lambda: daemon.send(signal.SIGHUP))
    daemon.write_config(session.pool(workers=3))
    daemon.send(signal.SIGHUP)
    daemon.wait(r"reload asked by SIGHUP", count=2)
    assert not daemon.log.find(r"reload done")
    held.release()
    daemon.wait(r"reload done: generation 2\b")
    daemon.wait(r"reload done: generation 3\b")
    assert len(daemon.workers(generation=3)) == 3
    daemon.expect_more(workers=2)
    daemon.wait(r"gen=[12] pid=\d+: exited with status 0", count=2)


def test_a_worker_that_hangs_in_its_start_fails_the_reload_at_the_start_timeout(session):
    daemon = session.start(session.pool(workers=1))
    before = pids_of(daemon)
    daemon.write_config(session.pool(workers=1, start_timeout="300ms"))
    daemon.expect(r"error ")
    HeldFork(daemon, lambda: daemon.send(signal.SIGHUP))
    failed = daemon.wait(r"reload failed: .*")
    assert "start_timeout" in failed.string and "300ms" in failed.string
    assert pids_of(daemon, generation=1) == before
    daemon.reload(session.pool(workers=1))


def test_a_worker_of_the_serving_generation_that_dies_during_a_reload_is_replaced(session):
    daemon = session.start(session.pool(workers=2))
    get(daemon.address())
    held = HeldFork(daemon, lambda: daemon.send(signal.SIGHUP))
    mark = daemon.log.mark()
    daemon.kill_worker(daemon.workers(generation=1)[0])
    daemon.wait(r"files/worker\[0\] gen=1 pid=\d+: ready", mark)
    assert get(daemon.address()).status == 200
    held.release()
    daemon.wait(r"reload done: generation 2\b")


def test_a_new_worker_that_is_killed_before_the_commit_fails_the_reload(session):
    daemon = session.start(session.pool(workers=2))
    before = pids_of(daemon)
    held = HeldFork(daemon, lambda: daemon.send(signal.SIGHUP))
    daemon.expect(r"error ")
    daemon.kill_worker(held.pid)
    daemon.wait(r"reload failed: .*; generation 1 goes on")
    assert pids_of(daemon, generation=1) == before and get(daemon.address()).status == 200


def test_two_hups_at_once_end_in_one_generation_that_serves(session):
    daemon = session.start()
    for _ in range(10):
        mark = daemon.log.mark()
        daemon.send(signal.SIGHUP)
        daemon.send(signal.SIGHUP)
        daemon.wait(r"reload done: generation \d+\b", mark)
        assert get(daemon.address()).status == 200

    def only_the_last_one_lives():
        # Looked up anew each time: of two signals at once the second one may still begin another reload.
        last = max(int(m["gen"]) for m in daemon.ready_lines())
        live = {child.pid for child in daemon.children()}
        return len(live) == 2 and live == set(daemon.workers(generation=last).values())

    wait_until(only_the_last_one_lives, lambda: f"two workers, both of the last generation: {daemon.children()}")


def test_a_worker_of_the_old_generation_that_dies_while_it_drains_is_not_replaced(session):
    body = session.big_file()
    daemon = session.start(session.pool(workers=1))
    old = daemon.workers()[0]
    with Connection(daemon.address()) as connection:
        connection.request("/big.bin")
        answer = connection.head()
        daemon.reload()
        daemon.kill_worker(old)
        daemon.wait(rf"pid={old}: killed by signal 9")
        with pytest.raises(Exception, match="missing|reset"):
            connection.body(answer)
    # Its line is written before it is reaped.
    wait_until(lambda: len(daemon.children()) == 1, "the dead worker reaped")
    assert len(body)
    assert not daemon.log.find(r"gen=1 pid=(?!%d\b)\d+: ready" % old)


def test_a_slow_client_of_the_old_generation_is_cut_at_the_graceful_timeout(session):
    session.big_file()
    daemon = session.start(session.pool(workers=1, graceful_timeout="300ms"))
    old = daemon.workers()[0]
    with Connection(daemon.address(), receive_buffer=4096) as connection:
        connection.request("/big.bin")
        answer = connection.head()
        daemon.expect(rf"warn +\S+ gen=1 pid={old}: ")
        daemon.reload()
        daemon.wait(rf"pid={old}: (exited|killed)")
        with pytest.raises(Exception, match="missing|reset"):
            connection.body(answer)


def test_an_included_file_that_breaks_fails_the_reload_by_its_own_name(session):
    (session.folder / "conf.d").mkdir()
    part = session.folder / "conf.d" / "files.toml"
    part.write_text(session.pool())
    daemon = session.start('include = ["conf.d/*.toml"]\n' + harness.table("log", level="debug"))
    assert get(daemon.address()).status == 200
    part.write_text(session.pool(workesr=3))
    lines = daemon.reload_fails()
    assert any(re.search(r"files\.toml:\d+:\d+: error: .*workesr.*workers", line) for line in lines), lines
    part.write_text(session.pool(workers=1))
    daemon.reload()
    daemon.expect_more(workers=-1)
