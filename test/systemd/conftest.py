"""One container for all tests; one service, begun afresh and looked over at the end, for each."""

import re

import pytest

import container as machinery

CONFIG = "/etc/prongd/prongd.toml"
DROP_IN = "/etc/systemd/system/prongd.service.d/test.conf"
SOCKET_DROP_IN = "/etc/systemd/system/prongd.socket.d/test.conf"
ERROR = 3  # journald's PRIORITY of an error line


@pytest.fixture(scope="session")
def container():
    try:
        machinery.check_available()
        made = machinery.Container()
    except machinery.Unavailable as reason:
        pytest.skip(f"no systemd to test against: {reason}")
    try:
        try:
            made.boot()
        except machinery.Unavailable as reason:
            pytest.skip(f"no systemd to test against: {reason}")
        yield made
    finally:
        made.close()


class Service:
    """prongd.service in the container, with the shipped configuration until a test writes another."""

    def __init__(self, container):
        self.container = container
        self.shipped_config = (container.root / CONFIG.lstrip("/")).read_text()
        self.cursor = container.journal_cursor()
        self.expected_errors = []

    def start(self):
        self.container.run("systemctl", "start", "prongd.service")

    def configure(self, text):
        self.container.write(CONFIG, text)

    def drop_in(self, text, path=DROP_IN):
        self.container.write(path, text)
        self.container.run("systemctl", "daemon-reload")

    def expect(self, pattern):
        """Announces error lines that the test provokes."""
        self.expected_errors.append(re.compile(pattern))

    @property
    def master(self):
        """Pid inside the container."""
        return int(self.container.show("prongd.service", "MainPID"))

    @property
    def status(self):
        return self.container.show("prongd.service", "StatusText")

    def workers(self):
        return {int(pid) for pid in self.container.run("pgrep", "-P", str(self.master), check=False).split()}

    def is_active(self):
        return self.container.show("prongd.service", "ActiveState") == "active"

    def lines(self, *arguments):
        return self.container.journal(self.cursor, "-u", "prongd.service", *arguments)

    def find(self, pattern):
        """The journal's entries whose message matches."""
        return [entry for entry in self.lines() if re.search(pattern, str(entry.get("MESSAGE")))]

    def wait_line(self, pattern):
        return machinery.wait_until(lambda: self.find(pattern), f"a journal line like {pattern!r}")[0]

    def get(self, path="/", port=80):
        """HTTP status of a request from inside the container."""
        return self.container.run("curl", "-s", "--max-time", "20", "-o", "/dev/null", "-w", "%{http_code}",
                                  f"http://127.0.0.1:{port}{path}", check=False)

    def finish(self):
        container = self.container
        container.run("systemctl", "stop", "prongd.socket", "prongd.service", check=False)
        left = container.run("pgrep", "-u", "prongd", check=False).split()
        bad = [entry["MESSAGE"] for entry in self.lines("-p", str(ERROR)) if entry.get("SYSLOG_IDENTIFIER") == "prongd"
               and not any(pattern.search(str(entry["MESSAGE"])) for pattern in self.expected_errors)]
        container.write(CONFIG, self.shipped_config)
        container.remove(DROP_IN)
        container.remove(SOCKET_DROP_IN)
        container.run("systemctl", "daemon-reload")
        container.run("systemctl", "reset-failed", "prongd.service", "prongd.socket", check=False)
        assert not left, f"processes of prongd were left behind: {left}"
        assert not bad, f"error lines that the test did not announce: {bad}"


@pytest.fixture
def service(container, request):
    made = Service(container)
    yield made
    failed = getattr(request.node, "failed", False)
    if failed:
        print(container.run("systemctl", "status", "--no-pager", "prongd.service", check=False))
        print("\n".join(str(entry.get("MESSAGE")) for entry in made.lines()))
    made.finish()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call" and outcome.get_result().failed:
        item.failed = True
