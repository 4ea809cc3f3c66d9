"""The control socket and prongctl: every verb does what it says or says why not, and no client hurts the daemon."""

import contextlib
import json
import os
import re
import select
import signal
import socket
import stat
import statistics
import subprocess
import threading
import time

import pytest

import harness
from client import Connection, get
from harness import LIMIT, PRONGCTL, SCALE, HeldFork, is_gone, table, wait_until
from limits import TOP

NOBODY = 65534  # with the group of that number: nogroup
STATUS = b'{"version":1,"verb":"status"}\n'


class Raw:
    """A connection to the control socket that sends what a test wants."""

    def __init__(self, daemon, path=None):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(LIMIT)
        self.socket.connect(path or daemon.control_socket())
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def line(self):
        """The next answer; None at the end of the connection."""
        try:
            line = self.file.readline()
        except ConnectionResetError:
            return None
        return json.loads(line) if line else None

    def ask(self, data):
        self.send(data)
        return self.line()


def background(daemon, *arguments):
    """prongctl that goes on while the test does something else."""
    return subprocess.Popen([PRONGCTL, "--socket", daemon.control_socket(), *arguments], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


# ------------------------------------------------------------------------------------------------------ status, workers


def test_status_tells_the_pools(session):
    daemon = session.start(session.pool(workers=2) + session.pool("other", workers=3))
    get(daemon.address(), "/a.txt")
    # It is counted when it has been sent, so the client may be faster than that.
    wait_until(lambda: daemon.ask("status", "files")["pools"][0]["requests"] == 1, "the request counted")
    done = daemon.control("status")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(rf"prongd \S+, pid {daemon.pid}, serving, generation 1, up ", done.stdout)
    assert re.search(r"^files +static +2/2 +0 +\d+ +\d+ +- +- +0 +- +\S+M +1 +0 +-$", done.stdout, re.M), done.stdout
    assert re.search(r"^other +static +3/3 ", done.stdout, re.M)

    result = daemon.ask("status")
    assert [pool["name"] for pool in result["pools"]] == ["files", "other"]
    assert result["pools"][0]["listeners"] == ["{}:{}".format(*daemon.address())]
    assert [pool["name"] for pool in daemon.ask("status", "other")["pools"]] == ["other"]


def test_status_tells_the_last_death_that_somebody_should_know_of(session):
    daemon = session.start(session.pool(workers=1))
    pid = daemon.workers()[0]
    daemon.kill_worker(pid, signal.SIGKILL)
    wait_until(lambda: len(daemon.ready_lines()) == 2, "the replacement")
    pool = daemon.ask("status")["pools"][0]
    assert pool["deaths"] == 1
    assert pool["last_death"]["worker"] == f"files/worker[0] gen=1 pid={pid}"
    assert re.search(r"^killed by signal 9 .* \[PR0302\]$", pool["last_death"]["text"])
    assert not pool["last_death"]["expected"]
    daemon.reload()
    wait_until(lambda: len(daemon.ask("workers")["workers"]) == 1, "the end of the old generation")
    pool = daemon.ask("status")["pools"][0]
    assert (pool["deaths"], pool["last_death"]["expected"]) == (1, False)
    assert "killed by signal 9" in daemon.control("status").stdout


def test_workers_shows_each_worker_with_its_state(session):
    daemon = session.start(session.pool(workers=2))
    with Connection(daemon.address()) as held:
        held.get("/a.txt")
        workers = daemon.ask("workers")["workers"]
        assert {worker["slot"]: worker["pid"] for worker in workers} == daemon.workers()
        assert {worker["state"] for worker in workers} == {"serving"}
        assert sorted(worker["open_connections"] for worker in workers) == [0, 1]
        wait_until(lambda: sum(worker["requests"] for worker in daemon.ask("workers")["workers"]) == 1, "the one request")
    done = daemon.control("workers")
    for slot, pid in daemon.workers().items():
        assert re.search(rf"^files/{slot} +1 +{pid} +serving ", done.stdout, re.M)


def test_a_pool_that_is_not_there_is_told_with_the_one_that_was_meant(session):
    daemon = session.start()
    done = daemon.control("status", "flies")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == 'prongctl: there is no pool "flies"; did you mean "files"?\n'


def test_a_code_of_the_log_is_explained_without_a_daemon():
    def explain(*arguments):
        return subprocess.run([PRONGCTL, "explain", *arguments], capture_output=True, text=True, timeout=LIMIT)

    texts = {explain(written).stdout for written in ("PR0301", "pr0301", "301")}
    assert len(texts) == 1
    text = texts.pop()
    assert re.match(r"PR0301 \(error\): a worker crashed\n\nCause +A signal ", text) and "\nWhat to do  " in text
    assert max(map(len, text.splitlines())) <= 100
    found = json.loads(explain("--json", "pr0301").stdout)
    assert found["code"] == "PR0301" and found["level"] == "error" and found["action"] in " ".join(text.split())
    listed = explain().stdout.splitlines()
    codes = [line.split()[0] for line in listed[1:]]
    assert "PR0301" in codes and codes == [each["code"] for each in json.loads(explain("--json").stdout)["messages"]]
    unknown = explain("PR9999")
    assert unknown.returncode == 1 and not unknown.stdout and 'no code "PR9999"' in unknown.stderr


def test_version_tells_both_sides(session):
    daemon = session.start()
    assert re.fullmatch(rf"prongctl (\S+)\nprongd \1 \(pid {daemon.pid}\)\n", daemon.control("version").stdout)


def test_config_tells_every_value_and_where_it_comes_from(session):
    daemon = session.start(session.pool(workers=2))
    values = {value["name"]: (value["value"], value["origin"]) for value in daemon.ask("config")["values"]}
    assert values["pool.files.workers"][0] == "2"
    assert re.fullmatch(rf"{re.escape(str(daemon.config_path))}:\d+:\d+", values["pool.files.workers"][1])
    assert values["pool.files.http.idle_timeout"] == ('"1m15s"', "default")
    assert re.search(r"^pool\.files\.workers +2 +\S+:\d+:\d+$", daemon.control("config").stdout, re.M)


# --------------------------------------------------------------------------------------------------------------- reload


def test_reload_waits_for_the_verdict_and_tells_what_changed(session):
    daemon = session.start(session.pool(workers=2))
    daemon.write_config(session.pool(workers=3))
    daemon.expect_more(workers=1)
    done = daemon.control("reload")
    assert (done.returncode, done.stderr) == (0, "")
    assert "changed: pool files: workers 2 -> 3\n" in done.stdout
    assert done.stdout.endswith("reloaded: generation 2 serves\n")
    wait_until(lambda: len(daemon.workers(generation=2)) == 3, "the log of what has happened")


def test_reload_of_a_bad_configuration_prints_every_error_and_fails(session):
    daemon = session.start()
    daemon.write_config(session.pool(wrokers=1, umask="9"))
    daemon.expect(r"prongd\.toml|reload failed")
    before = daemon.workers()
    done = daemon.control("reload")
    assert (done.returncode, done.stdout) == (1, "")
    lines = done.stderr.splitlines()
    assert len(lines) == 3, lines
    assert sum(bool(re.match(r"\S+/prongd\.toml:\d+:\d+: error: ", line)) for line in lines) == 2
    assert lines[2] == "prongctl: the reload failed; generation 1 goes on as before"
    assert daemon.workers() == before
    assert "wrokers" in daemon.ask("status")["last_reload_failure"]


def test_reload_onto_a_taken_port_tells_which_and_fails(session):
    daemon = session.start()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        daemon.write_config(session.pool(listen=[f"127.0.0.1:{port}"]))
        daemon.expect(r"cannot bind|reload failed")
        done = daemon.control("reload")
    assert done.returncode == 1
    assert re.search(rf'prongd\.toml:\d+:\d+: error: cannot bind "127\.0\.0\.1:{port}": Address already in use; ',
                     done.stderr)


def test_reload_whose_workers_cannot_start_tells_why_and_fails(session):
    daemon = session.start()
    daemon.write_config(session.pool() + session.dying_pool())
    daemon.expect(r"cannot start|reload failed|dying/worker")
    done = daemon.control("reload")
    assert done.returncode == 1
    assert "pool dying: worker[" in done.stderr and "cannot start" in done.stderr
    assert get(daemon.address(), "/a.txt").status == 200


def test_a_second_reload_under_way_is_refused_and_the_first_goes_on(session):
    daemon = session.start(session.pool(workers=1))
    first = []
    held = HeldFork(daemon, lambda: first.append(background(daemon, "reload")))
    wait_until(lambda: daemon.ask("status")["state"] == "reloading", "a reload under way")
    second = daemon.control("reload")
    assert (second.returncode, second.stdout) == (1, "")
    assert re.match(rf"prongctl: another reload is under way, asked by prongctl of pid {first[0].pid} uid \d+; "
                    r"this one was not begun; ask again", second.stderr)
    assert daemon.control("scale", "files", "2").returncode == 1
    held.release()
    out, _ = first[0].communicate(timeout=LIMIT)
    assert (first[0].returncode, out) == (0, "reloaded: generation 2 serves\n")


def test_reload_of_a_master_that_is_stopping_is_refused(session):
    daemon = session.start(session.pool(workers=1))
    worker = daemon.workers()[0]
    os.kill(worker, signal.SIGSTOP)
    daemon.send(signal.SIGTERM)
    daemon.wait("graceful stop asked")
    done = daemon.control("reload")
    assert (done.returncode, done.stderr) == (1, "prongctl: the daemon is stopping; nothing was reloaded\n")
    assert daemon.ask("status")["state"] == "stopping"
    os.kill(worker, signal.SIGCONT)
    assert daemon.wait_exit() == 0


def test_a_reload_that_a_stop_overtakes_is_told_so(session):
    daemon = session.start(session.pool(workers=1))
    asked = []
    held = HeldFork(daemon, lambda: asked.append(background(daemon, "reload")))
    wait_until(lambda: daemon.ask("status")["state"] == "reloading", "a reload under way")
    daemon.send(signal.SIGTERM)
    _, said = asked[0].communicate(timeout=LIMIT)
    assert (asked[0].returncode, said) == (1, "prongctl: the daemon is stopping; the reload was given up\n")
    held.release()
    assert daemon.wait_exit() == 0


def test_plan_tells_what_would_change_and_does_nothing(session):
    daemon = session.start(session.pool(workers=2))
    before = daemon.workers()
    assert daemon.control("reload", "--plan").stdout == "nothing would change\n"
    daemon.write_config(table("log", target="stderr", level="debug") + session.pool(workers=3))
    done = daemon.control("reload", "--plan")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == ("changed: pool files: workers 2 -> 3\n"
                           "nothing was done; this is what a reload would change\n")
    daemon.write_config("nonsense")
    done = daemon.control("reload", "--plan")
    assert done.returncode == 1
    assert "prongd.toml:1:" in done.stderr
    assert daemon.workers() == before
    assert daemon.ask("status")["generation"] == 1
    assert not daemon.log.find("reload")


# ---------------------------------------------------------------------------------------------- stop, scale, recycle, ...


def test_stop_returns_when_the_daemon_is_gone(session):
    daemon = session.start()
    daemon.check_quiet()
    done = daemon.control("stop")
    assert (done.returncode, done.stdout) == (0, "stopping: the workers finish what they have\n")
    assert daemon.wait_exit() == 0
    assert not os.path.exists(daemon.control_socket())
    done = daemon.control("status")
    assert (done.returncode, done.stdout) == (3, "")
    assert re.match(r"prongctl: no prongd is running: .*control\.sock: No such file or directory.*\n"
                    r"Start it with `systemctl start prongd`", done.stderr)


def test_a_fast_stop_does_not_wait_for_clients(session):
    session.big_file()
    daemon = session.start(session.pool(workers=1, graceful_timeout="50s"))
    with Connection(daemon.address()) as slow:
        slow.send(b"GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: daemon.ask("workers")["workers"][0]["open_connections"] == 1, "the connection")
        daemon.expect("1 connections cut in the middle of a request")
        asked = background(daemon, "stop")
        wait_until(lambda: daemon.ask("status")["state"] == "stopping", "the graceful stop")
        assert asked.poll() is None
        assert daemon.control("stop", "--fast").returncode == 0
    assert asked.wait(LIMIT) == 0
    assert daemon.wait_exit() == 0


def test_scale_changes_one_pool_until_the_next_reload(session):
    daemon = session.start(session.pool(workers=2) + session.pool("other", workers=2))
    assert daemon.control("scale", "files", "5").stdout == "pool files: 5 workers wanted now, until the next reload\n"
    wait_until(lambda: len(daemon.workers()) == 5, "5 workers")
    assert daemon.ask("status", "files")["pools"][0]["workers"]["wanted"] == 5
    daemon.control("scale", "files", "1")
    wait_until(lambda: len(daemon.workers()) == 1, "1 worker")
    assert len(daemon.workers("other")) == 2
    assert daemon.control("scale", "gone", "1").returncode == 1
    assert daemon.control("scale", "files", "0").returncode == 2
    with Raw(daemon) as client:
        answer = client.ask(b'{"version":1,"verb":"scale","pool":"files","count":5000}\n')
    assert answer["error"]["message"] == "a pool has 1 to 1024 workers, and not 5000"
    daemon.reload()
    wait_until(lambda: len(daemon.workers(generation=2)) == 2, "2 workers again")


def test_recycle_replaces_workers_one_by_one_and_never_has_fewer(session):
    daemon = session.start(session.pool(workers=2))
    before = set(daemon.workers().values())
    assert daemon.control("recycle", "files").stdout == \
        "pool files: 2 workers are replaced, each by one that is ready first\n"
    wait_until(lambda: all(is_gone(pid) for pid in before), "the old workers to leave")
    wait_until(lambda: daemon.ask("status")["pools"][0]["workers"]["leaving"] == 0, "rest")
    now = daemon.workers()
    assert len(now) == 2
    assert len(daemon.log.find(r"retired: asked by prongctl of pid")) == 2

    slot, pid = next(iter(now.items()))
    daemon.control("recycle", f"files/worker[{slot}]")
    wait_until(lambda: is_gone(pid), "the one worker to leave")
    assert len(set(now.values()) & set(daemon.workers().values())) == 1
    done = daemon.control("recycle", "files/77")
    assert (done.returncode, done.stderr) == \
        (1, "prongctl: pool files has no worker[77] that serves; `prongctl workers` shows them\n")
    assert daemon.control("recycle", "files/x").returncode == 2


def test_workers_that_come_with_connections_are_neither_scaled_nor_recycled(session):
    daemon = session.start(table("pool.files", listen=["127.0.0.1:0"], exec={"command": ["/bin/cat"], "spare": 1}))
    for verb in (("scale", "files", "2"), ("recycle", "files")):
        done = daemon.control(*verb)
        assert done.returncode == 1
        assert "come and go with connections" in done.stderr
    assert daemon.ask("status")["pools"][0]["app"] == "exec"


def test_log_level_reaches_the_master_its_workers_and_those_that_come_later(session):
    daemon = session.start(session.pool(workers=1), level="info")
    assert not daemon.log.find("^[^ ]+ [^ ]+ debug")
    assert daemon.control("log-level", "debug").returncode == 0
    mark = daemon.log.mark()
    daemon.control("recycle", "files")
    daemon.wait(r" debug files/worker", mark)
    wait_until(lambda: daemon.ask("status")["pools"][0]["workers"]["leaving"] == 0, "rest")
    daemon.control("log-level", "error")
    daemon.wait("log level error asked by prongctl")  # the last line of its kind
    mark = daemon.log.mark()
    assert daemon.control("reload").returncode == 0
    assert not daemon.log.find(" info ", mark)
    daemon.control("log-level", "info")


def test_reopen_logs_makes_the_log_anew(session):
    path = session.folder / "log" / "prongd.log"
    path.parent.mkdir()
    daemon = session.start(table("log", target=path) + session.pool(), log_file=path)
    path.rename(path.with_name("prongd.log.1"))
    assert daemon.control("reopen-logs").returncode == 0
    wait_until(path.exists, "the new log")


def test_wrong_usage_exits_with_2():
    for arguments in ([], ["stauts"], ["status", "--nonsense"], ["scale", "files"], ["scale", "files", "many"]):
        done = subprocess.run([PRONGCTL, *arguments], capture_output=True, text=True, timeout=LIMIT, check=False)
        assert (done.returncode, done.stdout) == (2, ""), arguments


# ----------------------------------------------------------------------------------------------------------- the socket


def test_the_socket_is_a_dead_daemons_to_take_and_never_a_live_ones(session):
    path = session.folder / "own.sock"
    config = table("control", socket=path) + session.pool()
    first = session.start(config)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    second = session.start(config, ready=False)
    second.expect(r"cannot bind|cannot start")
    second.expected_status = 3
    assert second.wait_exit() == 3
    assert second.log.find(rf'prongd\.toml:\d+:\d+: error: the control socket: cannot bind "unix:{path}": '
                           "Address already in use; another program listens there")
    with Raw(first, str(path)) as client:
        assert client.ask(b'{"version":1,"verb":"version"}\n')["result"]["pid"] == first.pid
    workers = list(first.workers().values())
    first.expect("the master is gone")
    first.send(signal.SIGKILL)
    first.expected_status = -signal.SIGKILL
    first.wait_exit()
    harness.reap_orphans(workers)
    assert path.exists()
    third = session.start(config)
    assert third.log.find(rf"control socket {path}")
    third.stop()
    assert not path.exists()


def test_a_default_place_that_is_taken_costs_the_socket_and_not_the_daemon(session):
    first = session.start()
    second = session.start(environment={"RUNTIME_DIRECTORY": str(first.runtime_directory)}, ready=False)
    second.expect("no control socket, prongctl cannot reach this daemon: .*Address already in use")
    second.wait(r"master: ready")
    assert first.ask("version")["pid"] == first.pid


def test_a_daemon_without_a_runtime_directory_runs_without_and_says_so(session):
    if os.geteuid() == 0:
        daemon = session.start(user=NOBODY, environment={"RUNTIME_DIRECTORY": ""}, ready=False)
    else:
        daemon = session.start(environment={"RUNTIME_DIRECTORY": "", "XDG_RUNTIME_DIR": ""}, ready=False)
    daemon.expect("no control socket, prongctl cannot reach this daemon: there is no runtime directory for it")
    daemon.wait(r"no control socket")
    daemon.wait(r"master: ready")


def test_a_reload_moves_the_socket_and_can_turn_it_off(session):
    daemon = session.start()
    path = session.folder / "moved.sock"
    daemon.write_config(table("control", socket=path, mode="0600") + session.pool())
    assert daemon.control("reload").returncode == 0  # over the socket that goes
    assert not os.path.exists(daemon.control_socket())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with Raw(daemon, str(path)) as client:
        assert client.ask(STATUS)["result"]["generation"] == 2
    daemon.write_config(table("control", socket=session.folder / "no" / "folder") + session.pool())
    daemon.expect("there can be no socket|reload failed")
    with Raw(daemon, str(path)) as client:
        assert not client.ask(b'{"version":1,"verb":"reload"}\n')["ok"]
    daemon.expect_more(listeners=-1)
    daemon.reload(table("control", socket="off") + session.pool())
    assert not path.exists()


@pytest.mark.root
def test_only_root_the_daemons_user_and_the_group_may_ask(session):
    daemon = session.start(table("control", mode="0666") + session.pool())
    session.folder.chmod(0o755)
    done = daemon.control("status", user=NOBODY)
    assert done.returncode == 1
    assert re.match(r"prongctl: uid \d+ may not use the control socket; become root", done.stderr)
    daemon.reload(table("control", group="nogroup") + session.pool())
    assert os.stat(daemon.control_socket()).st_gid == 65534
    done = daemon.control("status", user=NOBODY)
    assert (done.returncode, done.stderr) == (0, "")
    daemon.reload(table("control", mode="0600") + session.pool())
    done = daemon.control("status", user=NOBODY)
    assert done.returncode == 1
    assert re.match(r"prongctl: cannot reach the daemon: .*Permission denied; become root", done.stderr)


# --------------------------------------------------------------------------------------------------------- the protocol


def test_several_requests_in_one_write_are_answered_in_order(session):
    daemon = session.start()
    with Raw(daemon) as client:
        client.send(b'{"version":1,"verb":"version"}\n' * 50 + STATUS)
        for _ in range(50):
            assert client.line()["result"]["pid"] == daemon.pid
        assert client.line()["result"]["state"] == "serving"


def test_a_client_that_has_finished_sending_still_gets_its_answer(session):
    daemon = session.start()
    with Raw(daemon) as client:
        client.send(STATUS + STATUS)
        client.socket.shutdown(socket.SHUT_WR)
        assert client.line()["ok"] and client.line()["ok"]
        assert client.line() is None


def test_nonsense_is_answered_and_the_connection_goes_on(session):
    daemon = session.start()
    with Raw(daemon) as client:
        assert "no JSON object" in client.ask(b"hello\n")["error"]["message"]
        assert "no JSON object" in client.ask(b"\xff\x00\n")["error"]["message"]
        assert "nested too deep" in client.ask(b"[" * 60_000 + b"\n")["error"]["message"]
        assert "version 1" in client.ask(b'{"version":2,"verb":"status"}\n')["error"]["message"]
        assert client.ask(STATUS)["ok"]


def test_a_line_that_is_too_long_ends_the_connection(session):
    daemon = session.start(table("control", max_line="1KiB") + session.pool())
    with Raw(daemon) as client:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.send(b"x" * 1_000_000)
        assert client.line()["error"]["message"] == "the request is longer than control.max_line = 1KiB"
        assert client.line() is None


def test_a_client_that_sends_no_whole_line_is_cut_after_the_idle_timeout(session):
    daemon = session.start(table("control", idle_timeout="200ms") + session.pool())
    with Raw(daemon) as client:
        client.send(b'{"version"')
        assert client.line() is None


def test_one_client_more_takes_the_place_of_the_most_silent_one(session):
    daemon = session.start(table("control", max_clients=2) + session.pool())
    with Raw(daemon) as silent, Raw(daemon) as busy:
        assert busy.ask(STATUS)["ok"]
        with Raw(daemon) as third:
            assert third.ask(STATUS)["ok"]
            assert silent.line() is None
            assert busy.ask(STATUS)["ok"]


def test_broken_clients_leave_the_master_responsive_and_small(session):
    """1,000 of each kind, more than may be connected: half a line, a line without end, and never reading."""
    daemon = session.start(session.pool(workers=2))
    with Raw(daemon) as before:
        assert before.ask(STATUS)["ok"]
    level = harness.resident_kib(daemon.pid)
    stop = threading.Event()
    kinds = {"half a line": b'{"version":1,', "a line without end": b"x" * 500_000, "never reading": STATUS * 2_000}
    tried = dict.fromkeys(kinds, 0)

    def broken(kind):
        while not stop.is_set() or tried[kind] < 1_000:
            held = []
            for _ in range(100):
                with contextlib.suppress(OSError):
                    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                    client.settimeout(0.05)
                    held.append(client)
                    client.connect(daemon.control_socket())
                    tried[kind] += 1
                    client.sendall(kinds[kind])
            for client in held:
                client.close()

    threads = [threading.Thread(target=broken, args=(kind,)) for kind in kinds]
    for thread in threads:
        thread.start()
    try:
        seconds, answered = [], 0
        deadline = time.monotonic() + LIMIT
        while (answered < 100 or min(tried.values()) < 1_000) and time.monotonic() < deadline:
            with contextlib.suppress(OSError), Raw(daemon) as client:
                begin = time.monotonic()
                if client.ask(STATUS) is not None:
                    answered += 1
                    seconds.append(time.monotonic() - begin)
            assert get(daemon.address(), "/a.txt").status == 200
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert answered >= 100 and min(tried.values()) >= 1_000, tried
    assert statistics.median(seconds) < 0.05 * SCALE, sorted(seconds)
    with Raw(daemon) as after:
        assert after.ask(STATUS)["ok"]
    if not harness.is_sanitized():
        assert harness.resident_kib(daemon.pid) - level < 16 << 10


def test_a_gibibyte_without_a_line_end_is_cut_after_the_longest_line(session):
    daemon = session.start()
    with Raw(daemon) as client:
        sent = 0
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while sent < 1 << 30:
                client.send(b"x" * (1 << 20))
                sent += 1 << 20
        assert sent < 8 << 20
    with Raw(daemon) as after:
        assert after.ask(STATUS)["ok"]


# ------------------------------------------------------------------------------------------------- pause, resume


@pytest.mark.parametrize("concurrency", ["process", "thread", "event"])
def test_a_paused_pool_leaves_new_connections_in_the_queue_and_goes_on_with_open_ones(session, concurrency):
    daemon = session.start(session.pool(workers=2, concurrency=concurrency) + session.pool("other", workers=1))
    with Connection(daemon.address()) as open_one:
        assert open_one.get("/a.txt").status == 200
        done = daemon.control("pause", "files")
        assert done.stdout == "pool files: paused, new connections wait until `prongctl resume files`\n"
        waiting = [Connection(daemon.address()) for _ in range(3)]
        for connection in waiting:
            connection.request("/a.txt")
        wait_until(lambda: daemon.ask("status", "files")["pools"][0]["queued"] == 3, "three in the queue")
        assert open_one.get("/a.txt").status == 200
        assert get(daemon.address("other"), "/a.txt").status == 200
        pool = daemon.ask("status", "files")["pools"][0]
        assert pool["paused"] and pool["queued"] == 3
        assert " 2/2 paused " in daemon.control("status").stdout
        assert not select.select([connection.socket for connection in waiting], [], [], 0)[0]
        assert daemon.control("pause", "files").stdout == "pool files is paused already\n"
    assert daemon.control("resume", "files").stdout == "pool files: accepts connections again\n"
    for connection in waiting:
        assert connection.response().status == 200
        connection.close()
    assert not daemon.ask("status", "files")["pools"][0]["paused"]
    assert daemon.control("resume", "files").stdout == "pool files is not paused already\n"


def test_a_pool_stays_paused_over_deaths_and_reloads_and_loses_nobody(session):
    daemon = session.start(session.pool(workers=2))
    daemon.control("pause", "files")
    connection = Connection(daemon.address())
    connection.request("/a.txt")
    wait_until(lambda: daemon.ask("status")["pools"][0]["queued"] == 1, "one in the queue")
    mark = daemon.log.mark()
    daemon.kill_worker(daemon.workers()[0])
    daemon.wait("ready after", mark)
    assert daemon.control("reload").returncode == 0
    wait_until(lambda: daemon.ask("status")["pools"][0]["workers"]["leaving"] == 0, "the old generation to leave")
    pool = daemon.ask("status")["pools"][0]
    assert pool["paused"] and pool["queued"] == 1 and pool["connections"] == 0
    daemon.control("resume", "files")
    assert connection.response().status == 200
    connection.close()


def test_a_daemon_that_stops_serves_whom_a_pause_has_kept_waiting(session):
    daemon = session.start(session.pool(workers=2))
    daemon.control("pause", "files")
    connection = Connection(daemon.address())
    connection.request("/a.txt")
    wait_until(lambda: daemon.ask("status")["pools"][0]["queued"] == 1, "one in the queue")
    daemon.control("stop", "--no-wait")
    assert connection.response().status == 200
    connection.close()
    assert daemon.wait_exit() == 0


def test_programs_cannot_be_paused_and_unknown_pools_are_told(session):
    daemon = session.start(table("pool.files", listen=["127.0.0.1:0"], exec={"command": ["/bin/cat"], "spare": 1}))
    done = daemon.control("pause", "files")
    assert done.returncode == 1 and "pool files runs programs of yours, which cannot be paused" in done.stderr
    done = daemon.control("resume", "flies")
    assert done.returncode == 1 and 'did you mean "files"?' in done.stderr


# ---------------------------------------------------------------------------------------------------- reload of one pool


def test_a_reload_of_one_pool_changes_that_pool_and_no_other(session):
    daemon = session.start(session.pool(workers=2) + session.pool("other", workers=2))
    other = daemon.workers("other")
    with Connection(daemon.address("other")) as open_one:
        assert open_one.get("/a.txt").status == 200
        daemon.write_config(session.pool(workers=3) + session.pool("other", workers=4))
        daemon.expect_more(workers=1)
        plan = daemon.control("reload", "files", "--plan")
        assert "changed: pool files: workers 2 -> 3\n" in plan.stdout and "other" not in plan.stdout
        done = daemon.control("reload", "files")
        assert done.returncode == 0
        assert done.stdout == "changed: pool files: workers 2 -> 3\nreloaded: generation 2 serves\n"
        wait_until(lambda: len(daemon.workers(generation=2)) == 3, "three workers of the new one")
        wait_until(lambda: daemon.ask("status", "files")["pools"][0]["workers"]["leaving"] == 0, "the old ones to leave")
        assert daemon.workers("other") == other
        assert open_one.get("/a.txt").status == 200
    # Those that were adopted are looked after as before: one that dies comes back as of its own generation.
    mark = daemon.log.mark()
    daemon.kill_worker(other[1])
    daemon.wait(r"other/worker\[1\] gen=1 pid=\d+: ready", mark)
    assert get(daemon.address("other"), "/a.txt").status == 200
    workers = daemon.ask("workers", "other")["workers"]
    assert [worker["generation"] for worker in workers] == [1, 1]
    # What is in force is what was reloaded; the rest of the file comes with a reload of everything.
    values = {value["name"]: value["value"] for value in daemon.ask("config")["values"]}
    assert (values["pool.files.workers"], values["pool.other.workers"]) == ("3", "2")
    daemon.expect_more(workers=3)
    done = daemon.control("reload")
    assert "changed: pool other: workers 2 -> 4\n" in done.stdout and "pool files" not in done.stdout
    wait_until(lambda: len(daemon.workers("other", generation=3)) == 4, "all of the last generation")
    wait_until(lambda: daemon.ask("status", "other")["pools"][0]["workers"]["leaving"] == 0, "the old ones to leave")


def test_pools_are_reloaded_one_by_one_in_any_order_and_clients_notice_nothing(session):
    names = ["a", "b", "c"]
    daemon = session.start("".join(session.pool(name, workers=1) for name in names))
    for turn in range(4):
        for name in reversed(names):
            with Connection(daemon.address(name)) as connection:
                assert connection.get("/a.txt").status == 200
                assert daemon.control("reload", name).stdout == f"reloaded: generation {turn * 3 + 4 - ord(name) + 97} serves\n"
            assert all(get(daemon.address(each), "/a.txt").status == 200 for each in names)
    assert [pool["name"] for pool in daemon.ask("status")["pools"]] == names
    wait_until(lambda: len(daemon.children()) == 3, "only the last ones")


def test_a_reload_of_one_pool_that_fails_leaves_all_as_it_was(session):
    daemon = session.start(session.pool(workers=2) + session.pool("other", workers=1))
    before = (daemon.workers(), daemon.workers("other"))
    daemon.expect("error ")
    daemon.write_config(session.pool(workers=2) + session.pool("other", wrokers=1))
    done = daemon.control("reload", "files")
    assert done.returncode == 1 and "wrokers" in done.stderr
    daemon.write_config(session.pool("other", workers=1))
    done = daemon.control("reload", "files")
    assert done.returncode == 1 and "pool files is not in the configuration any more" in done.stderr
    done = daemon.control("reload", "new")
    assert done.returncode == 1 and 'there is no pool "new"' in done.stderr
    assert (daemon.workers(), daemon.workers("other")) == before
    assert get(daemon.address(), "/a.txt").status == 200


def test_a_pool_that_only_fits_together_with_a_change_of_another_one_is_refused(session):
    a, b = str(session.folder / "a.sock"), str(session.folder / "b.sock")
    daemon = session.start(session.pool(listen=["unix:" + a], workers=1) + session.pool("other", listen=["unix:" + b], workers=1))
    daemon.write_config(session.pool(listen=["unix:" + b], workers=1) + session.pool("other", listen=["unix:" + a], workers=1))
    daemon.expect("error ")
    done = daemon.control("reload", "files")
    assert done.returncode == 1 and "b.sock" in done.stderr
    assert get(a, "/a.txt").status == 200
    assert daemon.control("reload").returncode == 0  # of both
