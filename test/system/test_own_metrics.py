"""What modules count themselves: from their workers to prongctl and to Prometheus."""

import json
import os
import re
import socket
import subprocess
import threading

import pytest

from client import get
from harness import LIMIT, PRONGCTL, table, wait_until
from limits import TOP
from test_status import Status, promtool, status_pool

# Counts what it is asked to; `kind` is what "shop_level" is.
MODULE = r"""
#include <prong/module.hpp>
#include <chrono>
#include <string>
PRONG_HTTP_MODULE(counting) {
  static const prong::Counter hits =
      prong::counter("shop_hits_total", R"(Hits, "all" \ of them.)", R"(path="/hit",a="b\\")");
  static const prong::Counter bare = prong::counter("shop_bare", "A counter of another name.");
  static const prong::Histogram times = prong::histogram("shop_time_seconds", "Times.");
  static const bool is_gauge = prong::options::text("kind", "gauge") == "gauge";
  static const prong::Gauge level = is_gauge ? prong::gauge("shop_level", "The level.") : prong::Gauge();
  static const prong::Counter count = is_gauge ? prong::Counter() : prong::counter("shop_level", "Not a level.");
  prong::on_request([](const prong::Request& request, prong::Response& response) {
    const std::string path{request.path()};
    if (path == "/hit") {
      hits.add();
      bare.add(10);
      times.observe(std::chrono::milliseconds(5));
      level.add(-3);
      count.add(7);
    }
    if (path == "/define") prong::counter(std::string{request.query("name").value_or("")}, "Another.");
    response.text(200, std::to_string(prong::worker().slot));
  });
}
"""

# What a daemon says of a pool that prongctl metrics looks at.
METRICS = [
    {"name": "kv_commands_total", "kind": "counter", "labels": {"code": "5", "command": 'a"b'}, "help": "Commands.",
     "value": 1000},
    {"name": "kv_keys", "kind": "gauge", "labels": {}, "help": "", "value": -7},
    {"name": "kv_seconds", "kind": "histogram", "labels": {}, "help": "Times.", "count": 3, "sum_seconds": 1.0,
     "buckets": [[1e-3, 3]]},
]


@pytest.fixture
def asked(session, request):
    """A daemon that is none: gives what it was asked, answers status from a list of answers, the last one again and
    again. Yields (answers, path of its socket, requests)."""
    path, answers, requests = str(session.folder / "fake.sock"), [], []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()

        def serve():
            connection = listener.accept()[0]
            with connection, connection.makefile("rb") as lines:
                for line in lines:
                    requests.append(json.loads(line))
                    answer = answers.pop(0) if len(answers) > 1 else answers[0]
                    connection.sendall(json.dumps({"version": 1, "ok": True, "result": answer}).encode() + b"\n")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield answers, path, requests
        thread.join(LIMIT)
        assert not thread.is_alive()


def daemon_with(metrics, uptime, **more):
    return {"version": "1.0", "pid": 7, "state": "serving", "generation": 1, "uptime_seconds": uptime,
            "pools": [{"name": "kv", "metrics": metrics, **more}, {"name": "files", "metrics": []}]}


def prongctl(path, *arguments):
    return subprocess.run([PRONGCTL, "--socket", path, *arguments], capture_output=True, text=True, timeout=LIMIT)


def rows(text):
    """Of the table, each by its name."""
    lines = text.splitlines()
    assert re.fullmatch(r"POOL +METRIC +KIND +VALUE +RATE/S +P50 +P99 +HELP", lines[1]), text
    return {line.split()[1]: line.split() for line in lines[2:]}


def test_prongctl_shows_values_and_what_came_in_between(asked):
    answers, path, requests = asked
    later = json.loads(json.dumps(METRICS))
    later[0]["value"] += 500
    later[2].update(count=103, buckets=[[1e-3, 53], [2e-3, 49], [0.5, 1]])
    later.append({"name": "new", "kind": "counter", "labels": {}, "help": "", "value": 20})
    answers += [daemon_with(METRICS, 10.0), daemon_with(later, 20.0)]
    done = prongctl(path, "metrics", "kv", "--over", "1ms")
    assert done.returncode == 0, done.stderr
    assert requests == [{"version": 1, "verb": "status", "pool": "kv"}] * 2
    shown = rows(done.stdout)
    assert shown == {
        'kv_commands_total{code="5",command="a\\"b"}':
            ["kv", 'kv_commands_total{code="5",command="a\\"b"}', "counter", "1500", "50", "Commands."],
        "kv_keys": ["kv", "kv_keys", "gauge", "-7"],
        "kv_seconds": ["kv", "kv_seconds", "histogram", "103", "10", "1.00ms", "2.00ms", "Times."],
        "new": ["kv", "new", "counter", "20", "2"]}


def test_prongctl_says_what_is_left_out_and_that_there_is_nothing(asked):
    answers, path, _ = asked
    answers.append(daemon_with([], 10.0, metrics_left_out=True))
    done = prongctl(path, "metrics", "--over", "1ms")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1:] == ["pool kv has more metrics than a pool may have; each set of labels is one",
                                            "no module has metrics of its own"]


def test_prongctl_gives_metrics_as_the_daemon_told_them(asked):
    answers, path, _ = asked
    answers.append(daemon_with(METRICS, 10.0))
    done = prongctl(path, "metrics", "--json")
    assert json.loads(done.stdout)["result"]["pools"][0]["metrics"] == METRICS


def test_a_daemon_without_modules_has_no_metrics_of_theirs(session):
    daemon = session.start(session.pool())
    done = daemon.control("metrics")
    assert done.returncode == 0 and done.stdout.splitlines()[1:] == ["no module has metrics of its own"]
    assert daemon.control("metrics", "nonsense").returncode == 1


# ------------------------------------------------------------------------------------------------------ with a module


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    """The path of MODULE, compiled."""
    folder = tmp_path_factory.mktemp("counting")
    (folder / "counting.cpp").write_text(MODULE)
    subprocess.run(["g++", "-std=c++20", "-shared", "-fPIC", f"-I{TOP}/include", "counting.cpp", "-o", "counting.so"],
                   cwd=folder, check=True, timeout=10 * LIMIT)
    return folder / "counting.so"


def pool(module, name="shop", *, kind="gauge", **more):
    more = {"workers": 2, "concurrency": "event", "listen": ["127.0.0.1:0"]} | more
    return table(f"pool.{name}", module={"path": str(module), "options": {"kind": kind}}, **more)


def metrics(daemon, name="shop"):
    """{name: value, of a histogram how many} of the pool."""
    report = daemon.ask("status", name)["pools"][0]
    return {metric["name"]: metric.get("value", metric.get("count")) for metric in report["metrics"]}


def hit(daemon, times=1, name="shop"):
    for _ in range(times):
        assert get(daemon.address(name), "/hit").status == 200


def test_counters_go_on_over_deaths_and_reloads_and_gauges_are_of_the_living(session, module):
    daemon = session.start(pool(module, workers=1))
    hit(daemon, 5)
    assert metrics(daemon) == {"shop_hits_total": 5, "shop_bare": 50, "shop_time_seconds": 5, "shop_level": -15}
    daemon.kill_worker(daemon.workers("shop")[0])
    wait_until(lambda: metrics(daemon).get("shop_level") == 0, "the successor, whose level is its own")
    hit(daemon, 2)
    expected = {"shop_hits_total": 7, "shop_bare": 70, "shop_time_seconds": 7, "shop_level": -6}
    assert metrics(daemon) == expected
    # Another kind for the same name: the new one is told.
    daemon.reload(pool(module, workers=1, kind="counter"))
    wait_until(lambda: metrics(daemon) == expected | {"shop_level": 0}, "the new generation alone")
    hit(daemon)
    expected = {"shop_hits_total": 8, "shop_bare": 80, "shop_time_seconds": 8}
    assert metrics(daemon) == expected | {"shop_level": 7}
    daemon.reload(pool(module, workers=1))
    wait_until(lambda: metrics(daemon) == expected | {"shop_level": 0}, "the gauge again")


def test_prometheus_is_told_each_metric_with_its_pool(session, module):
    daemon = session.start(status_pool() + pool(module) + pool(module, "other", kind="counter", listen=["127.0.0.3:0"]))
    hit(daemon, 3)
    hit(daemon, 2, "other")
    status = Status(daemon)
    labels = {"pool": "shop", "path": "/hit", "a": "b\\"}
    wait_until(lambda: status.value("shop_hits_total", **labels) == 3, "an answer of the master that is new")
    found = status.samples()

    def value(name, pool="shop", **more):
        return found[name, frozenset((more | {"pool": pool}).items())]

    assert value("shop_hits_total", "other", path="/hit", a="b\\") == 2
    assert (value("shop_bare"), value("shop_bare", "other"), value("shop_level")) == (30, 20, -9)
    assert value("shop_time_seconds_count") == value("shop_time_seconds_bucket", le="0.008192") == 3
    assert value("shop_time_seconds_bucket", le="0.004096") == 0
    assert round(value("shop_time_seconds_sum"), 6) == 0.015
    # There it is a counter.
    assert ("shop_level", frozenset({("pool", "other")})) not in found
    assert (value("prongd_pool_metrics_left_out"), value("prongd_pool_metrics_left_out", "other")) == (0, 1)
    text = status.get("/metrics").body
    assert b"# pool other: the counter shop_level is left out: it does not go with the gauge shop_level of pool shop\n" in text
    assert promtool_says(text) == ["shop_bare counter metrics should have \"_total\" suffix"]


def promtool_says(text):
    tool = promtool()
    if tool is None:
        pytest.skip("no Debian packages here, and no promtool")
    done = subprocess.run([tool, "check", "metrics"], input=text, capture_output=True, check=False, timeout=LIMIT)
    return (done.stdout + done.stderr).decode().splitlines()


def test_what_cannot_be_defined_is_said_and_the_module_goes_on(session, module):
    daemon = session.start(pool(module, workers=1))
    for name, why in (("prongd_x", "names that begin with prongd_ are the daemon's own"),
                      ("shop_other_total", None), ("shop_time_seconds_sum", "of the histogram .* already")):
        mark = daemon.log.mark()
        assert get(daemon.address("shop"), f"/define?name={name}").status == 200
        if why:
            daemon.expect(why)
            daemon.wait(f"cannot define the counter \"{name}\": .*{why}", mark)
    assert set(metrics(daemon)) == {"shop_hits_total", "shop_bare", "shop_time_seconds", "shop_level", "shop_other_total"}
    shown = daemon.control("metrics", "shop").stdout
    assert re.search(r'^shop +shop_hits_total\{a="b\\\\",path="/hit"\} +counter +0 ', shown, re.M), shown


def test_names_of_metrics_are_not_offered_as_pools(session, module):
    daemon = session.start(pool(module))
    command = f". {TOP}/src/ctl/completion/prongctl.bash; _prongctl_pools"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=LIMIT, check=True,
                          env={"PATH": f"{os.path.dirname(PRONGCTL)}:{os.environ['PATH']}",
                               "RUNTIME_DIRECTORY": str(daemon.runtime_directory)})
    assert done.stdout.split() == ["shop"]
