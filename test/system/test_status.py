"""The app kind `status`: what it tells, in which form, to whom; that its numbers are right over deaths, recycled workers and
reloads; and that neither a master that does not answer nor a worker that has been taken over makes trouble."""

import contextlib
import ctypes
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest

from client import Connection, Cut, get
from harness import (LIMIT, PRONGD, SCALE, HeldFork, descriptors, interpreter_environment, is_frozen, is_sanitized,
                     resident_kib, table, wait_until)

MODELS = ["event", "thread", "process"]
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
# What Prometheus 2.42 sends.
PROMETHEUS_ACCEPT = ("Accept: application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
                     "text/plain;version=0.0.4;q=0.5,*/*;q=0.1")


def listen(number):
    """Port 0 of an address of its own: the address of a listener belongs to one pool."""
    return [f"127.0.0.{number}:0"]


def status_pool(**more):
    more.setdefault("listen", listen(2))
    return table("pool.status", status={}, **more)


def respond_pool(name="app", **more):
    more.setdefault("listen", listen(3))
    more.setdefault("respond", {"body": "ok"})
    return table(f"pool.{name}", **more)


class Status:
    """Asks a daemon's status pool."""

    def __init__(self, daemon):
        self.address = daemon.address("status")

    def get(self, path, *headers, **more):
        with Connection(self.address) as connection:
            return connection.get(path, headers=["Connection: close", *headers], **more)

    def json(self):
        answer = self.get("/status.json")
        assert answer.status == 200, answer
        return json.loads(answer.body)

    def samples(self):
        """{(name, labels as a frozenset): value} of a scrape, read by Debian's own parser of OpenMetrics."""
        # Not above: everything but the metrics can be tested without it.
        from prometheus_client.openmetrics.parser import text_string_to_metric_families
        answer = self.get("/metrics", f"Accept: {OPEN_METRICS}")
        assert (answer.status, answer.headers["content-type"]) == (200, OPEN_METRICS)
        return {(sample.name, frozenset(sample.labels.items())): sample.value
                for family in text_string_to_metric_families(answer.body.decode()) for sample in family.samples}

    def value(self, name, **labels):
        """Of one series; 0 when it is not there."""
        return self.samples().get((name, frozenset(labels.items())), 0)


def is_built_with_python():
    return (Path(PRONGD).parent / "python" / "prong_worker.abi3.so").exists()


def promtool():
    """The path of Debian's promtool, which `./dev test` unpacks; None where there are no Debian packages."""
    if found := os.environ.get("PROMTOOL") or shutil.which("promtool"):
        return found
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    found = cache / "prongd/test-tools/root/usr/bin/promtool"
    if found.exists():
        return str(found)
    assert shutil.which("dpkg-query") is None, f"no promtool at {found}; `./dev test` unpacks it there"
    return None


# ------------------------------------------------------------------------------------------------------------ endpoints


@pytest.mark.parametrize("concurrency", MODELS)
def test_every_path_is_answered_in_every_model(session, concurrency):
    daemon = session.start(status_pool(concurrency=concurrency) + session.pool())
    status = Status(daemon)
    assert status.get("/healthz").body == b"ok\n"
    assert status.get("/readyz").body == b"ready\n"
    assert status.json()["pid"] == daemon.pid
    assert status.value("prongd_pool_workers", pool="files", state="ready") == 2
    assert b"<title>" in status.get("/").body
    for path in ("/", "/metrics", "/healthz", "/readyz", "/status.json"):
        answer = status.get(path)
        assert (answer.status, answer.headers["cache-control"]) == (200, "no-store"), path
        assert answer.headers["x-content-type-options"] == "nosniff"
        head = status.get(path, method="HEAD")
        assert (head.status, head.headers["content-type"]) == (200, answer.headers["content-type"]), path
        refused = status.get(path, method="POST")
        assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD"), path
    assert status.get("/nothing").status == 404
    assert status.get("/nothing", method="POST").status == 404
    assert status.get("/metrics/").status == 404
    assert status.get("/healthz?x=1").status == 200


def test_a_status_pool_has_one_worker_unless_its_configuration_says_otherwise(session):
    daemon = session.start(status_pool())
    assert len(daemon.workers("status")) == 1
    daemon.expect_more(workers=4)  # two descriptors each: a channel, and the connection over which it asks
    daemon.reload(status_pool(workers=3))
    wait_until(lambda: len(Status(daemon).json()["workers"]) == 3, "the old worker is gone")


def test_metrics_are_open_metrics_only_for_who_accepts_it(session):
    status = Status(session.start(status_pool()))
    for headers, wanted in (((), PROMETHEUS), (("Accept: */*",), PROMETHEUS), ((PROMETHEUS_ACCEPT,), OPEN_METRICS),
                            (("Accept: text/plain", "Accept: application/openmetrics-text"), OPEN_METRICS),
                            (("Accept: application/openmetrics-text;q=0, text/plain",), PROMETHEUS),
                            (("Accept: application/openmetrics-text; version=2.0.0",), PROMETHEUS)):
        answer = status.get("/metrics", *headers)
        assert answer.headers["content-type"] == wanted, headers
        assert answer.headers["vary"] == "Accept"
        assert answer.body.endswith(b"\n# EOF\n") == (wanted == OPEN_METRICS)


def test_the_page_needs_nothing_but_itself_and_its_policy_names_its_own_parts(session):
    answer = Status(session.start(status_pool())).get("/")
    page, policy = answer.body.decode(), answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "connect-src 'self'" in policy and "unsafe" not in policy
    for element in ("style", "script"):
        for text in re.findall(rf"<{element}\b[^>]*>(.*?)</{element}>", page, re.DOTALL):
            assert b64encode(sha256(text.encode()).digest()).decode() in policy
    assert not re.search(r"""(?:src|href|url)\s*[=(]\s*["']?https?:""", page)


def test_below_a_prefix_the_page_is_found_with_a_slash_at_its_end(session):
    status = Status(session.start(status_pool(path_prefix="/daemon")))
    answer = status.get("/daemon")
    assert (answer.status, answer.headers["location"]) == (308, "/daemon/")
    assert status.get("/daemon/").status == 200
    assert status.get("/daemon/healthz").status == 200


# -------------------------------------------------------------------------------------------------------------- metrics


def test_metrics_of_a_busy_daemon_pass_promtool_and_a_parser_of_open_metrics(session):
    session.environment = interpreter_environment() if is_built_with_python() else {}
    config = (status_pool() + session.pool() + respond_pool() + table("pool.echo", listen=listen(4), echo={}) +
              table("pool.cat", listen=listen(5), exec={"command": ["/bin/cat"]}))
    if is_built_with_python():
        config += table("pool.wsgi", listen=listen(6), workers=1, wsgi={
            "app": "conform", "path": [str(Path(__file__).parent / "wsgi")], "python": "/usr/bin/python3"})
    daemon = session.start(config)
    status = Status(daemon)
    for target in ("/a.txt", "/none"):
        get(daemon.address(), target)
    get(daemon.address("app"))
    with socket.create_connection(daemon.address("cat"), LIMIT) as held:
        held.sendall(b"x")
        assert held.recv(1) == b"x"
        daemon.kill_worker(daemon.workers()[0])
        wait_until(lambda: status.value("prongd_pool_deaths_total", pool="files", cause="SIGKILL") == 1, "the death told")
        daemon.reload_fails("nonsense")
        daemon.expect_more(workers=0)
        daemon.reload(config)
        found = status.samples()
        text = status.get("/metrics").body
    wait_until(lambda: status.value("prongd_pool_failed_answers_total", pool="files", status="404") == 1, "the 404 counted")
    assert {name for name, _ in found} >= {"prongd_build_info", "prongd_pool_info", "prongd_worker_cpu_seconds_total",
                                           "prongd_pool_service_time_seconds_bucket", "prongd_master_cpu_seconds_total"}
    assert found["prongd_reloads_total", frozenset({("outcome", "done")})] == 1
    assert found["prongd_reloads_total", frozenset({("outcome", "failed")})] == 1
    assert found["prongd_last_reload_successful", frozenset()] == 1
    assert found["prongd_generation", frozenset()] == 2
    tool = promtool()
    if tool is None:
        pytest.skip("no Debian packages here, and no promtool")
    done = subprocess.run([tool, "check", "metrics"], input=text, capture_output=True, check=False, timeout=LIMIT)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


def test_every_metric_is_documented_and_every_documented_one_is_told(session):
    page = (Path(__file__).parents[2] / "docs/metrics.md").read_text()
    documented = set(re.findall(r"`(prongd_\w+?)(?:\{[^`]*)?`", page))
    text = Status(session.start(status_pool())).get("/metrics").body.decode()
    told = set(re.findall(r"^# TYPE (\w+)", text, re.M))
    assert told <= documented, told - documented
    # The rest of the page names samples of histograms in expressions.
    assert {name for name in documented if not name.endswith("_bucket")} <= told


def test_series_do_not_grow_with_deaths_and_reloads(session):
    daemon = session.start(status_pool() + respond_pool(workers=2))
    status = Status(daemon)

    def workers():
        return {key for key in status.samples() if key[0].startswith("prongd_worker_")}

    before = workers()
    for _ in range(3):
        mark = daemon.log.mark()
        daemon.kill_worker(daemon.workers("app")[1])
        daemon.wait("app/worker.*: ready", mark)
        daemon.reload()
    assert workers() == before
    wait_until(lambda: status.value("prongd_pool_previous_generation_workers", pool="app") == 0, "the old ones gone")
    assert status.value("prongd_worker_generation", pool="app", worker="0") == 4


def test_status_json_tells_deaths_and_reloads_with_their_causes(session):
    daemon = session.start(status_pool() + session.pool(workers=1))
    status = Status(daemon)
    pid = daemon.workers()[0]
    daemon.kill_worker(pid, signal.SIGKILL)
    wait_until(lambda: len([line for line in daemon.ready_lines() if line["pool"] == "files"]) == 2, "the replacement")
    daemon.reload_fails("nonsense")
    daemon.reload(status_pool() + session.pool(workers=2))
    daemon.expect_more(workers=1)
    found = wait_until(lambda: (told := status.json())["pools"][1]["deaths_by_cause"].get("reload") and told, "the reload's end")
    assert found["pools"][1]["deaths_by_cause"] == {"SIGKILL": 1, "reload": 1}
    assert found["reloads"] == {"done": 1, "failed": 1}
    crash, failed, done = [event for event in found["events"] if event["kind"] == "reload" or not event["expected"]]
    assert (crash["kind"], crash["subject"]) == ("death", f"files/worker[0] gen=1 pid={pid}")
    assert "killed by signal 9" in crash["text"]
    assert (failed["expected"], failed["subject"]) == (False, "generation 1")
    assert "prongd.toml" in failed["text"]
    assert (done["expected"], done["subject"]) == (True, "generation 2")
    assert "workers 1 -> 2" in done["text"]
    assert abs(found["time"] - time.time()) < LIMIT
    assert found["started"] <= found["time"]


def causes(status, pool):
    return {cause: count for found in status.json()["pools"] if found["name"] == pool
            for cause, count in found["deaths_by_cause"].items()}


def test_each_death_is_counted_with_its_cause(session):
    daemon = session.start_trial("process", workers=2, request_timeout="300ms", graceful_timeout="1s", text=status_pool() +
                                 table("pool.cat", listen=listen(5), exec={"command": ["/bin/cat"], "spare": 1}))
    status = Status(daemon)
    expected = {}

    def happens(cause, what):
        what()
        expected[cause] = expected.get(cause, 0) + 1
        wait_until(lambda: causes(status, "trial") == expected, lambda: f"{expected}: {causes(status, 'trial')}")
        wait_until(lambda: status.value("prongd_pool_workers", pool="trial", state="ready") == wanted, "the replacement")

    def ask(target):
        with Connection(daemon.address("trial")) as connection:
            connection.request(target)
            with contextlib.suppress(Cut, ConnectionError):
                connection.response()

    wanted = 2
    daemon.expect(r"trial/worker.*(killed by signal 11|killed by signal 6|status 7)|overran request_timeout")
    happens("SIGSEGV", lambda: ask("/crash"))
    happens("SIGABRT", lambda: ask("/abort"))
    happens("exit_7", lambda: ask("/exit"))
    happens("request_timeout", lambda: ask("/hang"))
    happens("terminated", lambda: os.kill(next(iter(daemon.workers("trial").values())), signal.SIGTERM))
    # The replacement of the last one may be in another slot.
    happens("recycle", lambda: daemon.control("recycle", f"trial/{min(daemon.workers('trial'))}").check_returncode())
    wanted = 1
    happens("scale", lambda: daemon.control("scale", "trial", "1").check_returncode())
    daemon.expect_more(workers=-1)
    with socket.create_connection(daemon.address("cat"), LIMIT) as connection:
        connection.sendall(b"x")
        assert connection.recv(1) == b"x"
        wait_until(lambda: status.value("prongd_pool_workers", pool="cat", state="busy") == 1, "the program told")
    wait_until(lambda: causes(status, "cat") == {"finished": 1}, lambda: causes(status, "cat"))
    # Programs that end as they should are none of the events that somebody looks for.
    assert not [event for event in status.json()["events"] if event["subject"].startswith("cat/")]


def memory_cgroup(limit):
    """A new memory cgroup below our own, with that limit; skips where there can be none."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for top, name, key in ((Path("/sys/fs/cgroup/memory"), "memory", "memory.limit_in_bytes"),
                               (Path("/sys/fs/cgroup"), "", "memory.max")):
            folder = Path(f"{top}{path}") / f"prongd-test-{os.getpid()}"
            if controllers != name:
                continue
            with contextlib.suppress(OSError):
                folder.mkdir()
                try:
                    (folder / key).write_text(str(limit))
                    return folder
                except OSError:
                    folder.rmdir()
    pytest.skip("no memory cgroup can be made here")


@pytest.mark.root
def test_a_worker_that_the_out_of_memory_killer_ends_is_told_as_such(session):
    if is_sanitized():
        pytest.skip("a sanitized daemon is as large as what would be killed")
    folder = memory_cgroup(150 << 20)
    try:
        eats = "import sys; sys.stdin.readline(); x = bytearray(600 << 20); x[::4096] = x[::4096]"
        daemon = session.start(status_pool() + table("pool.eats", listen=listen(5), exec={
            "command": ["/usr/bin/python3", "-c", eats], "spare": 1}),
            preexec=lambda: (folder / "cgroup.procs").write_text("0"))
        status = Status(daemon)
        daemon.expect(r"program for 127.* killed by signal 9 \(SIGKILL\).*; by the kernel's out-of-memory killer")
        with socket.create_connection(daemon.address("eats"), LIMIT) as connection:
            connection.sendall(b"\n")
            assert connection.recv(1) == b""
        wait_until(lambda: causes(status, "eats") == {"oom": 1}, lambda: causes(status, "eats"))
        # One that somebody kills afterwards is none of the kernel's.
        daemon.kill_worker(daemon.workers("status")[0])
        wait_until(lambda: causes(Status(daemon), "status") == {"SIGKILL": 1}, "the other death told")
        daemon.stop()
    finally:
        wait_until(lambda: not (folder / "cgroup.procs").read_text(), "the cgroup's end")
        folder.rmdir()


# --------------------------------------------------------------------------------------------------- numbers that are right


class Clients:
    """Threads that send one request after the other over keep-alive connections, and count what came of each."""

    def __init__(self, address, number, requests=None):
        self.answered = self.broken = 0
        self.wrong, self.troubles = [], []
        self._address, self._requests = address, requests
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(number)]
        for thread in self._threads:
            thread.start()

    def finish(self, stop=False):
        if stop:
            self._stop.set()
        for thread in self._threads:
            thread.join(5 * LIMIT)
            assert not thread.is_alive(), "a client got no answer"
        assert not self.wrong, self.wrong[:3]

    def _run(self):
        left, connection, last = self._requests, None, None
        while not self._stop.is_set() and left != 0:
            left = None if left is None else left - 1
            before = last if connection is not None else None  # when the last request of this connection was begun
            last = time.monotonic()
            try:
                connection = connection or Connection(self._address)
                answer = connection.get("/")
                ended = answer.closes
                with self._lock:
                    self.answered += 1
                    if answer.status != 200:
                        self.wrong.append(str(answer))
            except (Cut, ConnectionError) as error:
                ended = True
                # A client that a busy machine has kept from asking for so long may lose its place in `process`, and asks
                # again (RFC 9112, 9.3.1): worker/event_loop_accept.cpp, kLeastIdle.
                if before is not None and time.monotonic() - before >= 0.25:
                    left = None if left is None else left + 1
                else:
                    with self._lock:
                        self.broken += 1
                        self.troubles.append(f"{error!r} on a connection whose last request was begun at {before}, and this "
                                             f"one at {last}")
            if ended and connection is not None:
                connection.close()
                connection = None
        if connection is not None:
            connection.close()


def lines_in(path):
    return path.read_bytes().count(b"\n")


def counted(status, pool):
    """(over, lost, answered with 200, as many times of service) of a pool."""
    found = status.samples()
    value = {name: found.get((name, frozenset({("pool", pool), *more})), 0) for name, more in (
        ("prongd_pool_requests_total", ()), ("prongd_pool_lost_requests_total", ()),
        ("prongd_pool_answers_total", (("class", "2xx"),)), ("prongd_pool_service_time_seconds_count", ()))}
    return tuple(int(number) for number in value.values())


@pytest.mark.parametrize("concurrency", MODELS)
def test_requests_over_recycled_workers_and_reloads_are_counted_exactly(session, concurrency):
    path = session.folder / "access.log"
    config = (status_pool() + respond_pool(workers=2, concurrency=concurrency) +
              respond_pool("logged", workers=2, concurrency=concurrency, access_log={"path": str(path)}, max_requests=int(100 / SCALE),
                           listen=listen(4)))
    daemon = session.start(config, level="info")
    status = Status(daemon)
    clients, each = 4, int(500 / SCALE)
    for reloads in (3, 0):  # in the second half workers reach their limit before they are replaced
        loads = [Clients(daemon.address(pool), clients, each) for pool in ("app", "logged")]
        for _ in range(reloads):
            daemon.reload()
            assert daemon.control("recycle", "app").returncode == 0
        for load in loads:
            load.finish()
            assert (load.answered, load.broken) == (clients * each, 0), load.troubles
    number = 2 * clients * each
    for pool in ("app", "logged"):
        wanted = (number, 0, number, number)
        wait_until(lambda: counted(status, pool) == wanted, lambda: f"{wanted} in {pool}: {counted(status, pool)}")
    wait_until(lambda: lines_in(path) == number, lambda: f"{number} lines: {lines_in(path)}")
    wait_until(lambda: set(causes(status, "logged")) == {"reload", "recycle"}, lambda: causes(status, "logged"))
    wait_until(lambda: all(not pool["workers"]["leaving"] for pool in status.json()["pools"]), "all are gone that leave")


@pytest.mark.parametrize("concurrency", MODELS)
def test_requests_over_killed_workers_are_counted_or_told_as_lost(session, concurrency):
    path = session.folder / "access.log"
    daemon = session.start(status_pool() + respond_pool(workers=3, concurrency=concurrency, threads=2,
                                                        access_log={"path": str(path), "flush_delay": "0s"})
                           if concurrency == "thread" else
                           status_pool() + respond_pool(workers=3, concurrency=concurrency,
                                                        access_log={"path": str(path), "flush_delay": "0s"}), level="info")
    status = Status(daemon)
    clients, kills = 6, 12
    load = Clients(daemon.address("app"), clients)
    chance = random.Random(6)
    for number in range(kills):
        mark, goal = daemon.log.mark(), load.answered + 200 / SCALE
        wait_until(lambda: load.answered >= goal, "some answers")
        daemon.kill_worker(chance.choice(list(daemon.workers("app").values())))
        daemon.wait(r"app/worker\[\d\] gen=\d+ pid=\d+: ready", mark)
        if number % 4 == 3:
            daemon.reload()
    load.finish(stop=True)
    wait_until(lambda: status.value("prongd_pool_requests_in_progress", pool="app") == 0, "all is over")
    requests, lost, whole, timed = counted(status, "app")
    # What a client saw break may have been inside a worker, or have come to none.
    assert load.answered <= requests + lost <= load.answered + load.broken
    assert whole == timed <= requests
    # A worker that was killed had begun at most one request of each client, and all that are lost were inside one.
    assert lost <= kills * clients
    # An answer leaves before its line is written (test_access_log.py).
    assert requests - kills * clients <= lines_in(path) <= requests + lost
    found = next(pool for pool in status.json()["pools"] if pool["name"] == "app")
    assert found["deaths_by_cause"].get("SIGKILL") == found["deaths"] == kills
    # The access log and the clients agree too: no line without a request.
    assert lines_in(path) <= load.answered + load.broken


# ------------------------------------------------------------------------------------------------------------ readiness


def test_not_ready_while_a_pool_has_no_worker_that_is_ready(session):
    daemon = session.start(status_pool() + session.pool(workers=1))
    status = Status(daemon)
    held = HeldFork(daemon, lambda: daemon.kill_worker(daemon.workers()[0]))
    answer = status.get("/readyz")
    assert (answer.status, answer.body) == (503, b"pool files has no worker that is ready\n")
    assert status.get("/healthz").status == 200
    held.release()
    wait_until(lambda: status.get("/readyz").status == 200, "the replacement")


def test_not_ready_while_a_pool_is_paused(session):
    daemon = session.start(status_pool() + session.pool())
    status = Status(daemon)
    assert daemon.control("pause", "files").returncode == 0
    answer = wait_until(lambda: (got := status.get("/readyz")).status == 503 and got, "the pause")
    assert answer.body == b"pool files is paused\n"
    assert status.value("prongd_pool_paused", pool="files") == 1
    assert daemon.control("resume", "files").returncode == 0
    wait_until(lambda: status.get("/readyz").status == 200, "the end of the pause")


def test_not_ready_while_the_daemon_is_stopping_and_ready_while_it_reloads(session):
    config = status_pool() + session.pool(workers=1)
    daemon = session.start(config)
    with Connection(daemon.address("status")) as old:
        assert old.get("/readyz").status == 200
        daemon.reload()
        # Its worker drains, and another one serves.
        assert old.get("/readyz").status == 200
    wait_until(lambda: len(daemon.ask("workers")["workers"]) == 2, "the end of the old generation")
    worker = daemon.workers(generation=2)[0]
    os.kill(worker, signal.SIGSTOP)
    # Each has one more request while its worker drains; an answer of the master may serve for 100 ms.
    asking = [Connection(daemon.address("status")) for _ in range(200)]
    for connection in asking:
        assert connection.get("/healthz").status == 200
    daemon.send(signal.SIGTERM)
    daemon.wait("graceful stop asked")
    answer = wait_until(lambda: (got := asking.pop().get("/readyz")).status == 503 and got, "the stop")
    os.kill(worker, signal.SIGCONT)
    assert (answer.status, answer.body) == (503, b"the daemon is stopping\n")
    for connection in asking:
        connection.close()
    assert daemon.wait_exit() == 0


# ------------------------------------------------------------------------------------------------ the master and its worker


@pytest.mark.parametrize("concurrency", MODELS)
def test_a_master_that_does_not_answer_is_told_within_its_second_and_then_at_once(session, concurrency):
    daemon = session.start(status_pool(concurrency=concurrency))
    status = Status(daemon)
    os.kill(daemon.pid, signal.SIGSTOP)
    try:
        wait_until(lambda: is_frozen(daemon.pid), "the master stopped")
        began = time.monotonic()
        answer = status.get("/healthz")
        assert (answer.status, answer.body) == (503, b"the master did not answer within 1s\n")
        assert 0.9 < time.monotonic() - began < 1 + 2 * SCALE
        for path in ("/healthz", "/readyz", "/metrics", "/status.json"):
            answer = status.get(path)
            assert (answer.status, answer.body) == (503, b"the master has not answered the question before\n"), path
        assert status.get("/").status == 200
    finally:
        os.kill(daemon.pid, signal.SIGCONT)
    wait_until(lambda: status.get("/healthz").status == 200, "an answer again")
    # What it had been asked for first was a version: this is the report, so nobody took the late answer for it.
    assert status.json()["pid"] == daemon.pid


def test_status_works_without_a_control_socket(session):
    daemon = session.start(table("control", socket="off") + status_pool() + session.pool())
    assert not os.path.exists(daemon.control_socket())
    assert Status(daemon).json()["state"] == "serving"
    assert Status(daemon).get("/readyz").status == 200


@pytest.mark.root
def test_status_works_with_a_user_of_its_own(session):
    daemon = session.start(status_pool(user="nobody") + session.pool())
    status = Status(daemon)
    assert status.json()["pid"] == daemon.pid
    worker = next(worker for worker in status.json()["workers"] if worker["pool"] == "status")
    assert worker["resident_bytes"] > 0.5 * 1024 * resident_kib(worker["pid"])


@pytest.mark.parametrize("concurrency", MODELS)
def test_many_reloads_and_deaths_leave_no_connection_to_a_worker_behind(session, concurrency):
    config = status_pool(concurrency=concurrency, workers=2)
    daemon = session.start(config)
    before = len(daemon.baseline)
    for _ in range(10):
        daemon.reload()
        mark = daemon.log.mark()
        daemon.kill_worker(daemon.workers("status")[0])
        daemon.wait("status/worker.*: ready", mark)
        assert wait_until(lambda: Status(daemon).get("/readyz"), "an answer").status == 200
    wait_until(lambda: len(descriptors(daemon.pid)) == before, lambda: f"{before} descriptors: {descriptors(daemon.pid)}")


def get_descriptor(pid, fd):
    """A copy of another process's descriptor (pidfd_getfd(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = os.pidfd_open(pid)
    try:
        copy = libc.syscall(438, pidfd, fd, 0)
        if copy < 0:
            pytest.skip(f"pidfd_getfd is not allowed here: {os.strerror(ctypes.get_errno())}")
        return copy
    finally:
        os.close(pidfd)


def test_a_worker_that_has_been_taken_over_can_look_and_do_nothing(session):
    daemon = session.start(status_pool() + session.pool())
    worker = daemon.workers("status")[0]
    sockets = [socket.socket(fileno=get_descriptor(worker, fd)) for fd, target in descriptors(worker).items()
               if target.startswith("socket:")]
    asks = [one for one in sockets if one.family == socket.AF_UNIX and one.type & ~socket.SOCK_NONBLOCK == socket.SOCK_STREAM]
    assert len(asks) == 1
    os.kill(worker, signal.SIGSTOP)
    connection = asks[0]
    connection.settimeout(LIMIT)
    with connection.makefile("rb") as answers:
        for verb, fields in (("stop", {}), ("reload", {}), ("config", {}), ("reopen-logs", {}), ("pause", {"pool": "files"}),
                             ("scale", {"pool": "files", "count": 1}), ("recycle", {"pool": "files"}),
                             ("resume", {"pool": "files"}), ("log-level", {"level": "error"})):
            connection.sendall(json.dumps({"version": 1, "verb": verb, **fields}).encode() + b"\n")
            answer = json.loads(answers.readline())
            assert answer["error"]["message"] == f'this connection is there to look, and not for the verb "{verb}"'
        for verb in ("version", "status", "workers"):
            connection.sendall(json.dumps({"version": 1, "verb": verb}).encode() + b"\n")
            assert json.loads(answers.readline())["ok"]
        # A line without an end costs it its connection, and the daemon nothing.
        with pytest.raises((ConnectionError, AssertionError)):
            for _ in range(100):
                connection.sendall(b"x" * 65536)
            assert False
    for one in sockets:
        one.close()
    os.kill(worker, signal.SIGCONT)
    assert daemon.ask("status")["state"] == "serving"
    daemon.expect_more(workers=-1)  # the worker's connection is gone


def test_many_who_ask_cost_the_master_ten_answers_a_second(session):
    daemon = session.start(status_pool(), level="info")
    status = Status(daemon)

    def turns():
        return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", Path(f"/proc/{daemon.pid}/status").read_text(), re.M)[1])

    status.get("/status.json")
    before, began, asked = turns(), time.monotonic(), 0
    with Connection(daemon.address("status")) as connection:
        while time.monotonic() - began < 1:
            assert connection.get("/status.json").status == 200
            asked += 1
    assert asked > 100 / SCALE
    assert turns() - before <= 10 * (time.monotonic() - began) + 5
