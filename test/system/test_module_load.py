"""How modules are loaded: options, what cannot be loaded and why, failures in start, versions of the ABI."""

import re
import shutil

import pytest

from client import get
from harness import LINE, SCALE, toml
from modules import MODELS, install, module_pool, path_of, plain_crashes

GOOD = "good"


def swap(daemon, path):
    """The configuration of the daemon with another module in the place of `good`, which answers `version 1`."""
    return daemon.config_path.read_text().replace(toml(path_of("version_1")), toml(path))


def errors_of(daemon):
    return [line for line in daemon.log.lines if (match := LINE.match(line)) and match["level"] == "error"]


def fails_at_boot(session, text):
    """Starts prongd with a pool that cannot; returns its error lines."""
    daemon = session.start(text, ready=False)
    daemon.expect(r"^.* error +")
    daemon.expect(r"^.* warn +.*(retried|backoff|took longer|start_timeout)")
    daemon.expected_status = 3
    assert daemon.wait_exit() == 3
    return "\n".join(errors_of(daemon))


def fails_in_both(session, path, why, *, concurrency="event", boot=True, **more):
    """That the module cannot be loaded is told with its path and the reason, at boot and at a reload, where the old
    generation goes on."""
    pattern = re.compile(re.escape(str(path)) + r"\"?.*(" + why + ")")
    if boot:
        said = fails_at_boot(session, module_pool(GOOD, concurrency, path=path, **more))
        assert pattern.search(said), said
    daemon = session.start(module_pool(GOOD, concurrency, module="version_1", **more))
    daemon.expect(r"^.* (error|warn) +")
    before = daemon.workers(GOOD)
    daemon.write_config(swap(daemon, path))
    done = daemon.control("reload")
    assert done.returncode != 0
    assert pattern.search(done.stdout + done.stderr), done.stdout + done.stderr
    daemon.wait(" error +.*" + pattern.pattern)
    assert daemon.workers(GOOD) == before
    assert get(daemon.address(GOOD)).body == b"version 1"
    return done.stdout + done.stderr


# ----------------------------------------------------------------------------------------------------------- options

WHOLE = {"greeting": "hi", "loud": True, "limits": {"max": 5}, "ratio": 2, "patience": "1m30s", "room": "2KiB",
         "peers": ["a", "b"], "backends": [{"host": "one"}, {"host": "two", "port": 81}]}


def test_options_of_every_kind_come_to_the_module_and_have_defaults(session):
    daemon = session.start(module_pool("options") + module_pool("whole", module="options", options=WHOLE, listen=["127.0.0.2:0"]))
    assert get(daemon.address("options")).body == (
        b"greeting=hello loud=0 max=10 ratio=0.500000 patience=1000000000 room=1024 peers=none, backends=")
    assert get(daemon.address("whole")).body == (
        b"greeting=hi loud=1 max=5 ratio=2.000000 patience=90000000000 room=2048 peers=a,b, backends=one:80,two:81,")


WRONG = [({"greeting": 1}, r'the option "greeting" has to be a string'),
         ({"loud": "yes"}, r'the option "loud" has to be true or false'),
         ({"limits": {"max": 0}}, r'the option "limits\.max" has to be a whole number from 1 to 100'),
         ({"limits": {"max": 101}}, r'the option "limits\.max" has to be a whole number from 1 to 100'),
         ({"limits": {"max": "5"}}, r'the option "limits\.max" has to be a whole number from 1 to 100'),
         ({"ratio": "half"}, r'the option "ratio" has to be a number'),
         ({"patience": "soon"}, r'the option "patience" has to be a duration, such as .*30s.* or .*250ms'),
         ({"patience": 30}, r'the option "patience" has to be a duration'),
         ({"patience": "300000d"}, r'the option "patience" has to be a duration'),  # more than 63 bits of nanoseconds
         ({"room": "big"}, r'the option "room" has to be a size, such as .*64KiB'),
         ({"peers": "a"}, r'the option "peers" has to be a list of strings'),
         ({"peers": ["a", 1]}, r'the option "peers\[1\]" has to be a string'),
         ({"greting": "hi"}, r'the module knows no option "greting"; did you mean "greeting"\?'),
         ({"limits": {"mx": 1}}, r'the module knows no option "limits\.mx"; did you mean "limits\.max"\?'),
         ({"unheard": 1}, r'the module knows no option "unheard"'),
         ({"unheard": {}}, r'the module knows no option "unheard"'),
         ({"unheard": [{}, {}]}, r'the module knows no option "unheard\[0\]"')]


@pytest.mark.parametrize("options, why", WRONG, ids=[str(options) for options, _ in WRONG])
def test_a_wrong_option_is_told_with_file_line_and_column_at_a_reload(session, options, why):
    daemon = session.start(module_pool("options", workers=1))
    text = daemon.config_path.read_text()
    app = f"module = {{ path = {toml(path_of('options'))}"
    line = text[:text.index(app)].count("\n") + 1
    lines = "\n".join(daemon.reload_fails(text.replace(app, f"{app}, options = {toml(options)}")))
    assert re.search(rf"prongd\.toml:{line}:\d+: error: {why}", lines), lines
    assert str(path_of("options")) in lines
    assert get(daemon.address("options")).status == 200


def test_every_wrong_option_is_told_at_once_and_ends_the_boot(session):
    said = fails_at_boot(session, module_pool("options", options={"greeting": 1, "loud": 2, "greting": "x"}))
    for why in ('"greeting" has to be a string', '"loud" has to be true or false', 'knows no option "greting"'):
        assert why in said
    assert said.count("prongd.toml:") >= 3


def test_an_option_that_has_to_be_there_is_missed_by_name(session):
    said = fails_at_boot(session, module_pool("options", options={"need": "token"}))
    assert 'the option "token" is missing' in said and str(path_of("options")) in said


def test_options_of_the_command_line_are_wrong_without_a_line(session):
    daemon = session.start(arguments=["--module", path_of("options"), "--listen", "127.0.0.1:0", "--option",
                                      "limits.max=7", "--option", "greeting=you there"])
    assert b"greeting=you there loud=0 max=7 " in get(daemon.address("options")).body


# ------------------------------------------------------------------------------------------------------ cannot be loaded


def test_a_file_that_is_not_there_is_told(session):
    path = session.folder / "nowhere.so"
    done = session.run("--check", "--config", session.config(module_pool("lost", path=path)))
    assert done.returncode == 2 and str(path) in done.stderr and "No such file" in done.stderr
    daemon = session.start(module_pool(GOOD, module="version_1"))
    lines = "\n".join(daemon.reload_fails(swap(daemon, path)))
    assert str(path) in lines and "No such file" in lines
    assert get(daemon.address(GOOD)).body == b"version 1"


def test_a_file_that_vanishes_between_check_and_load_costs_only_the_replacement(session):
    path = session.folder / "module.so"
    install(path_of("version_1"), path)
    daemon = session.start(module_pool(GOOD, path=path, workers=2))
    path.unlink()
    daemon.expect(r"cannot load module|exited with status")
    victim = daemon.workers(GOOD)[0]
    mark = daemon.log.mark()
    daemon.kill_worker(victim)
    daemon.wait(rf"cannot load module .*{re.escape(str(path))}", mark)
    assert get(daemon.address(GOOD)).body == b"version 1"
    install(path_of("version_1"), path)
    daemon.wait(r"worker\[0\] gen=1 pid=\d+: ready", mark)


def test_a_file_that_is_no_library(session):
    path = session.folder / "text.so"
    path.write_text("#include <prong/module.hpp>\n" * 100)
    fails_in_both(session, path, "invalid ELF header")


def test_a_library_that_is_cut_short(session):
    path = session.folder / "short.so"
    path.write_bytes(path_of("version_1").read_bytes()[:50])
    fails_in_both(session, path, "too short")


def test_a_library_that_is_no_module(session):
    fails_in_both(session, path_of("no_entry"), "has no symbol prong_module_entry, so it is no module")


def test_a_library_that_needs_another_one_that_is_missing(session):
    path = session.folder / "needs_gone.so"
    shutil.copy(path_of("needs_gone"), path)
    fails_in_both(session, path, r"libgone\.so: cannot open shared object file")


def test_a_library_that_calls_what_nobody_defines(session):
    fails_in_both(session, path_of("undefined"), "undefined symbol: prong_test_nobody_defines_this")


@pytest.mark.parametrize("protocol, module, why", [
    ("stream", "hello", 'is an HTTP module, and no stream module'), ("http", "talk", 'speaks no HTTP')])
def test_a_module_of_the_other_protocol(session, protocol, module, why):
    said = fails_at_boot(session, module_pool("other", module=module, protocol=protocol))
    assert re.search(re.escape(str(path_of(module))) + ".*" + why, said), said


@pytest.mark.parametrize("module, concurrency, protocol, why", [
    ("key_value", "thread", "stream", r'does not run in concurrency = "thread".*"event"'),
    ("ask", "event", "stream", r'concurrency = "event"'), ("hash", "event", "http", r'concurrency = "event"'),
    ("chat", "process", "stream", r'concurrency = "process"')])
def test_a_module_in_a_concurrency_that_it_does_not_run_in(session, module, concurrency, protocol, why):
    said = fails_at_boot(session, module_pool("other", concurrency, module=module, protocol=protocol))
    assert re.search(re.escape(str(path_of(module))) + ".*" + why, said), said


# ------------------------------------------------------------------------------------------------------------ start fails

STARTS = [("throw", "thrown on purpose"), ("throw-int", "no std::exception"),
          ("exit-0", r"exit|status 0"), ("exit-3", r"exit|status 3"),
          ("abort", r"signal 6 \(SIGABRT\)"), ("crash", r"signal 11 \(SIGSEGV\)"), ("overrun", r"signal 11 \(SIGSEGV\)")]


@pytest.mark.parametrize("concurrency", MODELS)
@pytest.mark.parametrize("way, why", STARTS, ids=[way for way, _ in STARTS])
def test_a_module_that_fails_in_its_start(session, concurrency, way, why):
    session.environment |= plain_crashes()
    boot = concurrency == "event"
    pattern = re.compile(rf"{re.escape(str(path_of('misbehave')))}.*({why})|({why}).*misbehave\.so")
    if boot:
        said = fails_at_boot(session, module_pool("bad", module="misbehave", options={"start": way}))
        assert pattern.search(said), said
    daemon = session.start(module_pool("bad", concurrency, module="misbehave", options={"start": "well"}))
    daemon.expect(r"^.* (error|warn) +")
    before = daemon.workers("bad")
    daemon.write_config(daemon.config_path.read_text().replace('"well"', toml(way)))
    done = daemon.control("reload")
    assert done.returncode != 0
    said = done.stdout + done.stderr + "\n".join(errors_of(daemon))
    assert pattern.search(said), said
    assert daemon.workers("bad") == before
    assert get(daemon.address("bad"), "/ok").status == 200


def test_a_module_that_hangs_in_its_start_ends_at_start_timeout(session):
    more = {"start_timeout": f"{int(500 * SCALE)}ms"}
    said = fails_at_boot(session, module_pool("bad", module="misbehave", options={"start": "hang"}, **more))
    assert re.search(r"start_timeout", said) and "misbehave.so" in said
    daemon = session.start(module_pool("bad", module="misbehave", options={"start": "well"}, **more))
    daemon.expect(r"^.* (error|warn) +")
    lines = "\n".join(daemon.reload_fails(daemon.config_path.read_text().replace('"well"', '"hang"')))
    assert "start_timeout" in lines
    assert get(daemon.address("bad"), "/ok").status == 200


# ----------------------------------------------------------------------------------------------------------------- ABI


@pytest.mark.parametrize("concurrency", MODELS)
def test_a_module_of_the_first_abi_runs(session, concurrency):
    daemon = session.start(module_pool("old", concurrency, module="abi_first"))
    answer = get(daemon.address("old"), "/?name=again")
    assert (answer.body, answer.headers["content-type"]) == (b"again", "text/plain")
    assert daemon.log.find(re.escape(str(path_of("abi_first"))))


@pytest.mark.parametrize("module, built", [("abi_newer", r"version 2 .*\d+ bytes.* has version 1"),
                                           ("abi_larger", r"version 1 .*\d+ bytes.* has version 1")])
def test_a_module_of_a_later_abi_is_refused_with_both_versions(session, module, built):
    said = fails_in_both(session, path_of(module), built)
    sizes = re.findall(r"(\d+) bytes", said)
    assert module != "abi_larger" or int(sizes[0]) > int(sizes[1])
