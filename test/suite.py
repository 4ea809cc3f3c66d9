"""Runs the tests of `./dev test` over both builds and counts them into one last line: `N passed, N failed`.

Each part is a runner of its own (a script, a Catch2 executable, pytest). A runner that crashes, hangs or says nothing
that can be counted is a failed test: silence never counts as success.

What has a CPU to itself runs beside others: test executables of the unit tests, and parcels of the system tests, each in a
network namespace of its own (root only; without it they run one after the other).
"""

import argparse
import concurrent.futures
import contextlib
import dataclasses
import functools
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as ElementTree

TOP = pathlib.Path(__file__).resolve().parent.parent
PYTHON = "/usr/bin/python3"
APART = [PYTHON, "test/apart.py"]
BUILDS = ("opt", "sanitize")
PARTS = ("checks", "unit", "system", "systemd")
# A runner that takes longer hangs; the slowest one (all system tests, sanitizers, nothing beside it) needs half of it.
RUNNER_LIMIT_SECONDS = 1800
# The files of the system tests are dealt into so many runs for each build: enough that no CPU waits long for the last one.
PARCELS = 8
LANES = len(os.sched_getaffinity(0))
CHECKS = ("layering.py", "tree.py", "messages.py", "pages.py", "manuals.py")

SANITIZER_ENVIRONMENT = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
}


@dataclasses.dataclass
class Count:
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def add(self, other: "Count") -> None:
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def __str__(self) -> str:
        text = f"{self.passed} passed, {self.failed} failed"
        return f"{text}, {self.skipped} skipped" if self.skipped else text


def say(text: str) -> None:
    print(text, flush=True)


def prongd(build: str) -> pathlib.Path:
    return TOP / "build" / build / "src" / "main" / "prongd"


def environment(build: str) -> dict[str, str]:
    values = dict(os.environ, PRONGD=str(prongd(build)), PRONG_BUILD=build, PYTHONDONTWRITEBYTECODE="1")
    return values | SANITIZER_ENVIRONMENT if build == "sanitize" else values


class Runners:
    """The processes that run tests now."""

    def __init__(self):
        self._mutex = threading.Lock()
        self._running: set[subprocess.Popen] = set()
        self._ended = False

    def start(self, command: list[str], **options) -> subprocess.Popen:
        with self._mutex:
            if self._ended:
                raise InterruptedError("the tests were ended")
            # A session of its own, so that a hanging runner can be ended together with whatever it started.
            runner = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, **options)
            self._running.add(runner)
            return runner

    def gone(self, runner: subprocess.Popen) -> None:
        with self._mutex:
            self._running.discard(runner)

    def end(self) -> None:
        """Ends all, and lets none begin."""
        with self._mutex:
            self._ended = True
            for runner in self._running:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(runner.pid, signal.SIGKILL)


RUNNERS = Runners()


def run(command: list[str], build: str, **options) -> tuple[int, str]:
    """Exit status and output (when captured) of a runner; 124 for one that had to be ended. Any thread."""
    with RUNNERS.start(command, cwd=TOP, env=environment(build), text=True, errors="replace", **options) as runner:
        try:
            output, _ = runner.communicate(timeout=RUNNER_LIMIT_SECONDS)
            return runner.returncode, output or ""
        except subprocess.TimeoutExpired:
            say(f"not ok: {' '.join(command[:4])} took longer than {RUNNER_LIMIT_SECONDS} s and was ended")
            os.killpg(runner.pid, signal.SIGKILL)
            return 124, runner.communicate()[0] or ""
        except BaseException:
            os.killpg(runner.pid, signal.SIGKILL)
            raise
        finally:
            RUNNERS.gone(runner)


def run_side_by_side(jobs: list, lanes: int) -> Count:
    """Calls each of the functions, as many at once, and adds up what they count."""
    total = Count()
    pool = concurrent.futures.ThreadPoolExecutor(max_workers=lanes)
    try:
        for done in concurrent.futures.as_completed([pool.submit(job) for job in jobs]):
            total.add(done.result())
    except BaseException:
        RUNNERS.end()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
    return total


def run_check(script: str) -> Count:
    """A script that prints `ok NAME` or `not ok NAME: why` for each test."""
    status, output = run([PYTHON, f"test/{script}"], "opt", stdout=subprocess.PIPE)
    lines = output.splitlines()
    count = Count(passed=sum(line.startswith("ok ") for line in lines),
                  failed=sum(line.startswith("not ok ") for line in lines))
    for line in lines:
        if not line.startswith("ok "):
            say(line)
    if (status != 0 and count.failed == 0) or count == Count():
        say(f"not ok: {script} ended with status {status} and did not say what failed")
        count.failed += 1
    return count


def run_unit(executable: pathlib.Path, build: str) -> Count:
    """One Catch2 executable; its report goes to a file, so that what a test prints cannot garble it."""
    with tempfile.TemporaryDirectory(prefix="prongd-unit-") as folder:
        report = pathlib.Path(folder) / "report.xml"
        status, _ = run([str(executable), "--reporter", "xml", "--out", str(report), "--durations", "no"], build)
        try:
            root = ElementTree.parse(report).getroot()
            totals = root.find("OverallResultsCases")
            if totals is None:  # Debian's Catch2 2.13 writes it; 2.12 and older wrote only the expressions
                raise ValueError("no totals in the report")
            count = Count(passed=int(totals.get("successes", 0)), failed=int(totals.get("failures", 0)))
        except (OSError, ElementTree.ParseError, ValueError) as error:
            say(f"not ok: {executable.name} ({build}) ended with status {status} without a whole report: {error}")
            return Count(failed=1)
    if count.failed:
        # Once more for people: which expression, which values.
        run([str(executable)], build)
    elif status != 0 or count.passed == 0:
        say(f"not ok: {executable.name} ({build}) ended with status {status} after {count.passed} passed tests")
        count.failed += 1
    return count


def run_pytest(arguments: list[str], build: str, apart: bool = False) -> Count:
    """One run of pytest; one that has others beside it has a network of its own, and shows what it prints at its end."""
    where = f"pytest {' '.join(arguments)} ({build})"
    with tempfile.TemporaryDirectory(prefix="prongd-pytest-") as temporary:
        report = pathlib.Path(temporary) / "report.xml"
        # No cache: pytest would leave a folder in the tree's top level.
        command = [PYTHON, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-ra", "--color=auto", f"--junitxml={report}"]
        if apart:
            started = time.monotonic()
            status, output = run([*APART, *command, *arguments], build, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            say(f"-- {where}, {time.monotonic() - started:.0f} s\n{output.rstrip()}")
        else:
            status, _ = run([*command, *arguments], build)
        try:
            suites = list(ElementTree.parse(report).getroot().iter("testsuite"))
            total = sum(int(suite.get("tests", 0)) for suite in suites)
            failed = sum(int(suite.get("failures", 0)) + int(suite.get("errors", 0)) for suite in suites)
            skipped = sum(int(suite.get("skipped", 0)) for suite in suites)
        except (OSError, ElementTree.ParseError, ValueError) as error:
            say(f"not ok: {where} ended with status {status} without a whole report: {error}")
            return Count(failed=1)
    # A test that failed and whose teardown failed too is counted twice by pytest, once in its tests.
    count = Count(passed=max(0, total - failed - skipped), failed=failed, skipped=skipped)
    if status not in (0, 1) and failed == 0:
        say(f"not ok: {where} ended with status {status}")
        count.failed += 1
    return count


def pytest_arguments(folder: str, which: list[str]) -> list[str]:
    """`test_reload.py` and `test_reload.py::test_x` name files; any other word selects by name."""
    files = [f"test/{folder}/{word}" for word in which if ".py" in word]
    words = [word for word in which if ".py" not in word]
    return (files or [f"test/{folder}"]) + (["-k", " or ".join(words)] if words else [])


def can_run_apart() -> bool:
    status, _ = run([*APART, "true"], "opt", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return status == 0


def part_checks(which: list[str]) -> Count:
    total = Count()
    for script in CHECKS:
        if not which or any(word in script for word in which):
            total.add(run_check(script))
    return total


def part_unit(which: list[str]) -> Count:
    jobs = []
    total = Count()
    for build in BUILDS:
        executables = sorted((TOP / "build" / build / "test" / "unit").glob("*_test"))
        if which:
            executables = [each for each in executables if any(word in each.name for word in which)]
        if not executables:
            say(f"not ok: no unit test in build/{build}" + (f" matches {' '.join(which)}" if which else ""))
            total.failed += 1
        jobs += [functools.partial(run_unit, executable, build) for executable in executables]
    total.add(run_side_by_side(jobs, LANES))
    return total


def part_system(which: list[str]) -> Count:
    if which or LANES == 1 or not can_run_apart():
        total = Count()
        for build in BUILDS:
            total.add(run_pytest(pytest_arguments("system", which), build))
        return total
    files = [f"test/system/{path.name}" for path in sorted((TOP / "test" / "system").glob("test_*.py"))]
    # The slower build first, so that at the end the parcels are small.
    return run_side_by_side([functools.partial(run_pytest, files[first::PARCELS], build, apart=True)
                             for build in reversed(BUILDS) for first in range(PARCELS)], LANES)


def part_systemd(which: list[str]) -> Count:
    return run_pytest(pytest_arguments("systemd", which), "opt")


def selected(names: list[str]) -> dict[str, list[str]]:
    """Part -> which of it; everything when nothing is named."""
    parts: dict[str, list[str]] = {}
    for name in names or PARTS:
        part, _, which = name.partition("/")
        if part not in PARTS:
            raise SystemExit(f"no part {part!r}; there are: {' '.join(PARTS)}\n0 passed, 1 failed")
        parts.setdefault(part, [])
        if which:
            parts[part].append(which)
    return parts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="PART or PART/WHICH; parts: " + " ".join(PARTS))
    names = parser.parse_args().names
    runners = {"checks": part_checks, "unit": part_unit, "system": part_system, "systemd": part_systemd}
    total = Count()
    for part, which in selected(names).items():
        started = time.monotonic()
        say(f"== {part} {' '.join(which)}".rstrip())
        try:
            count = runners[part](which)
        except Exception as error:  # a broken runner must not hide the count of the others
            say(f"not ok: {part}: {type(error).__name__}: {error}")
            count = Count(failed=1)
        say(f"== {part}: {count} ({time.monotonic() - started:.0f} s)")
        total.add(count)
    say(str(total))
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
