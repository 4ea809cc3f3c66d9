"""What the log says of a worker whose module ends it. The module is the trial's (test/trial/worker_main.cpp): what it does
to its worker is what counts here, not how it is loaded."""

import os
import shutil

import pytest

import harness
from client import Connection, Cut, get
from harness import table, wait_until

LEFT = (Cut, ConnectionResetError)


def module_pool(session, *, start=None, content=b"m" * 100_000, workers=1, **more):
    """The TOML of a pool, and the path of its module."""
    path = session.folder / "hello.so"
    path.write_bytes(content)
    module = {"path": str(path), "options": {"start": start} if start else {}}
    return table("pool.hello", listen=["127.0.0.1:0"], workers=workers, module=module, **more), path


def ask_for_the_end(daemon, path):
    with Connection(daemon.address("hello")) as connection:
        connection.request(path)
        with pytest.raises(LEFT):
            connection.response()


@pytest.mark.skipif(harness.is_sanitized(), reason="the sanitizer turns the signal into a report")
def test_a_crash_names_the_request_and_the_module(session):
    text, path = module_pool(session)
    daemon = session.start(text, program=harness.TRIAL)
    daemon.expect("killed by signal 11")
    ask_for_the_end(daemon, "/crash?a=1")
    daemon.wait(rf"killed by signal 11 .*; in GET /crash\?a=1 of module {path} for [\d.]+[mu]?s \[PR0301\]")
    wait_until(lambda: len(daemon.workers("hello")) == 1, "the successor")


@pytest.mark.parametrize("concurrency", ["event", "thread"])
def test_exit_is_told_as_what_it_is(session, concurrency):
    text, path = module_pool(session, concurrency=concurrency)
    daemon = session.start(text, program=harness.TRIAL)
    daemon.expect("exited with status 7")
    ask_for_the_end(daemon, "/exit")
    daemon.wait(rf"exited with status 7 .*; in GET /exit of module {path} for .*; the module, or a library that it uses, "
                r"called exit\(\) \[PR0304\]")
    wait_until(lambda: len(daemon.workers("hello")) == 1, "the successor")


@pytest.mark.parametrize("start, said", [
    pytest.param("crash", "killed by signal 11 .*; while it started, in module PATH", marks=pytest.mark.skipif(
        harness.is_sanitized(), reason="the sanitizer turns the signal into a report")),
    ("exit", r"exited with status 0 .*; while it started, in module PATH, which called exit\(\)"),
    ("hang", "killed by the master: it was not ready within start_timeout = 300ms; in module PATH")])
def test_a_module_that_ends_its_worker_in_its_start_is_named_and_the_boot_fails(session, start, said):
    text, path = module_pool(session, start=start, start_timeout="300ms" if start == "hang" else "30s", start_attempts=1)
    daemon = session.start(text, program=harness.TRIAL, ready=False)
    said = said.replace("PATH", str(path))
    daemon.expect(said)
    daemon.expect("cannot start: pool hello")
    daemon.expected_status = 3
    assert daemon.wait_exit() == 3
    daemon.wait(said)


def test_a_reload_to_a_module_that_ends_its_worker_is_rolled_back(session):
    text, path = module_pool(session)
    daemon = session.start(text, program=harness.TRIAL)
    worse, _ = module_pool(session, start="exit")
    session.config(worse)
    said = rf"while it started, in module {path}, which called exit\(\)"
    daemon.expect(said)
    mark = daemon.log.mark()
    daemon.reload_fails()
    daemon.wait(rf"reload failed: .*{said}", mark)
    assert get(daemon.address("hello"), "/").body == b"ok"


@pytest.mark.skipif(harness.is_sanitized(), reason="the sanitizer turns the signal into a report")
def test_a_module_that_is_written_over_is_told_with_what_to_do_instead(session):
    text, path = module_pool(session)
    daemon = session.start(text, program=harness.TRIAL)
    daemon.expect("killed by signal")
    hint = (r"; the file of the module was overwritten in place while it was mapped: replace it with install\(1\) or "
            r"mv\(1\) \[PR0301\]")
    os.truncate(path, 10)
    ask_for_the_end(daemon, "/mapped")
    daemon.wait(rf"killed by signal 7 .*; in GET /mapped of module {path} for .*{hint}")
    # The next worker has the file as it is now, and nothing is wrong with that.
    wait_until(lambda: len(daemon.workers("hello")) == 1, "the successor")
    assert int(get(daemon.address("hello"), "/mapped").body) == 10 * ord("m")
    mark = daemon.log.mark()
    ask_for_the_end(daemon, "/crash")
    assert "overwritten" not in daemon.wait(r"killed by signal 11 .*", mark).group()


@pytest.mark.skipif(harness.is_sanitized(), reason="the sanitizer turns the signal into a report")
def test_a_module_that_is_replaced_is_not_blamed_for_that(session):
    text, path = module_pool(session)
    daemon = session.start(text, program=harness.TRIAL)
    daemon.expect("killed by signal 11")
    other = session.folder / "next.so"
    shutil.copy(path, other)
    other.write_bytes(b"n" * 50_000)
    os.rename(other, path)
    assert int(get(daemon.address("hello"), "/mapped").body) == 100_000 * ord("m")
    ask_for_the_end(daemon, "/crash")
    assert "overwritten" not in daemon.wait(r"killed by signal 11 .*").group()
    wait_until(lambda: len(daemon.workers("hello")) == 1, "the successor")
