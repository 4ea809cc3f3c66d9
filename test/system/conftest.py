"""pytest glue: the fixture `session`, and the invariants as part of the test itself, so that a violation fails it."""

import os

import pytest

import harness


def pytest_configure(config):
    harness.become_subreaper()
    config.addinivalue_line("markers", "root: needs root (other users, ports below 1024)")
    config.addinivalue_line("markers", "interpreter: workers become an interpreter, which no sanitizer was built into")


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("root") and os.geteuid() != 0:
            item.add_marker(pytest.mark.skip(reason="needs root"))


def pytest_sessionstart(session):
    if not os.access(harness.PRONGD, os.X_OK) and not session.config.option.collectonly:
        pytest.exit(f"no prongd at {harness.PRONGD}: build it, or set PRONGD", returncode=4)


def pytest_report_header():
    return f"prongd: {harness.PRONGD}, limit {harness.LIMIT:g} s{', sanitized' if harness.is_sanitized() else ''}"


@pytest.fixture
def session(request):
    is_foreign = request.node.get_closest_marker("interpreter") is not None
    return harness.Session(request.node.name, harness.interpreter_environment() if is_foreign else {})


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Runs the test and then the invariants. After a failure of either the folder stays and the log is shown."""
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    session = arguments.get("session")
    try:
        pyfuncitem.obj(**arguments)
        if session is not None:
            session.finish()
    except pytest.skip.Exception:
        if session is not None:
            session.abort()
        raise
    except BaseException:
        if session is not None:
            session.abort()
            pyfuncitem.add_report_section("call", "prongd", session.report())
        raise
    return True
