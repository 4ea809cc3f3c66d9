"""docs/prometheus-alerts.yml and docs/grafana-dashboard.json: that Prometheus takes them, that each alert fires when it
should (test/prometheus/alerts_test.yml), and that they ask only for metrics that prongd has."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from client import get
from harness import is_sanitized
from test_status import promtool

TOP = Path(__file__).resolve().parents[2]
ALERTS = TOP / "docs/prometheus-alerts.yml"
DASHBOARD = TOP / "docs/grafana-dashboard.json"
METRIC = re.compile(r"\bprongd_[a-z0-9_]+")

pytestmark = pytest.mark.skipif(is_sanitized(), reason="the files are the same for every build")


def check(*arguments):
    """Runs promtool, which must be content."""
    tool = promtool()
    if tool is None:
        pytest.skip("no Debian packages here, and no promtool")
    done = subprocess.run([tool, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def dashboard():
    return json.loads(DASHBOARD.read_text())


def panels(kind=None):
    return [panel for panel in dashboard()["panels"] if kind is None or panel["type"] == kind]


def queries():
    """All PromQL of the dashboard, with a value for each of Grafana's variables."""
    board = dashboard()
    found = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    found += [annotation["expr"] for annotation in board["annotations"]["list"]]
    values = {"$__rate_interval": "5m", "$__range": "1h", "$instance": "a", "$pool": "shop"}
    for name, value in values.items():
        found = [query.replace(name, value) for query in found]
    return found


def test_prometheus_takes_the_alerts_and_each_fires_when_it_should():
    check("check", "rules", ALERTS)
    check("test", "rules", TOP / "test/prometheus/alerts_test.yml")


def test_each_alert_says_what_has_happened_and_what_to_do():
    alerts = ALERTS.read_text().split("- alert: ")[1:]
    assert len(alerts) >= 8
    documented = (TOP / "docs/monitoring.md").read_text()
    tested = (TOP / "test/prometheus/alerts_test.yml").read_text()
    for text in alerts:
        name = text.partition("\n")[0]
        severity = re.search(r"\n        labels:\n          severity: (critical|warning|info)\n", text)
        assert severity, name
        for annotation in ("summary", "description", "runbook"):
            assert re.search(rf"\n          {annotation}: \S", text), f"{name} has no {annotation}"
        assert f"| {name} | {severity[1]} |" in documented
        assert name in tested


def test_prometheus_understands_every_query_of_the_dashboard(tmp_path):
    # As rules, since that is what promtool parses without a server. JSON is YAML.
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries())]
    assert len(rules) > 40
    path = tmp_path / "queries.yml"
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    check("check", "rules", path)
    assert not [query for query in queries() if "$" in query], "a variable that has no value here"


def test_the_dashboard_is_whole():
    board = dashboard()
    variables = {each["name"]: each for each in board["templating"]["list"]}
    assert list(variables) == ["datasource", "instance", "pool"]
    assert variables["datasource"]["type"] == "datasource"
    assert [panel["title"] for panel in panels("row")] == [
        "Now", "Traffic", "Errors", "Latency", "Queue delay", "Workers and deaths", "Memory and CPU", "Reloads"]
    identities = [panel["id"] for panel in panels()]
    assert len(identities) == len(set(identities))
    covered = set()
    for panel in panels():
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24 and not cells & covered, f"{panel['title']} lies over another panel"
        covered |= cells
        if panel["type"] == "row":
            continue
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["targets"] and all(target["datasource"] == panel["datasource"] for target in panel["targets"])
        assert all("$instance" in target["expr"] for target in panel["targets"]), panel["title"]


def test_they_ask_only_for_metrics_that_prongd_has(session):
    daemon = session.start(session.pool() + session.status_pool())
    text = get(daemon.address("status"), "/metrics").body.decode()
    there = set()
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE):
        there |= {f"{name}_{part}" for part in ("bucket", "sum", "count")} if kind == "histogram" else {name}
    # increase() does not see a counter that appears with its first event.
    born = set(re.findall(r'^prongd_pool_deaths_total{pool="files",cause="(\w+)"} 0$', text, re.MULTILINE))
    assert {"reload", "recycle", "request_timeout", "start_failed", "SIGSEGV", "SIGKILL", "exit_1"} <= born
    expressions = re.findall(r"\n        expr: (.*?)(?=\n        [a-z])", ALERTS.read_text(), re.DOTALL)
    variables = [each["definition"] for each in dashboard()["templating"]["list"] if each["type"] == "query"]
    for source, used in (("an alert", expressions), ("the dashboard", queries()), ("a variable", variables)):
        names = {name for expression in used for name in METRIC.findall(expression)}
        assert names, source
        assert names <= there, f"{source} asks for {names - there}"
