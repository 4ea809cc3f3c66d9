"""The command line: what a new user types, and what prongd answers."""

import json
import os
import re
import signal
import tomllib

import pytest

import harness
from client import get


def test_version_and_help_go_to_stdout(session):
    done = session.run("--version")
    assert done.returncode == 0 and re.fullmatch(r"prongd \d+\.\d+\.\d+\n", done.stdout)
    done = session.run("--help")
    assert done.returncode == 0 and done.stderr == ""
    for option in ("--config", "--static", "--wsgi", "--listen", "--workers", "--threads",
                   "--reload", "--debug-errors", "--module", "--protocol", "--option", "--concurrency", "--check", "--print-config", "--dump-schema", "--version"):
        assert option in done.stdout


@pytest.mark.parametrize("arguments", [["--nonsense"], ["--config"], ["surplus"], ["--listen", "127.0.0.1:0"],
                                       ["--static", "/tmp", "--config", "x.toml"], ["--check", "--print-config"],
                                       ["--static", "/nonexistent/folder"],
                                       ["--static", "/tmp", "--listen", "nonsense"],
                                       ["--static", "/tmp", "--wsgi", "shop"], ["--wsgi", "shop", "--config", "x.toml"],
                                       ["--wsgi", "no application"], ["--wsgi", "shop", "--listen", "nonsense"],
                                       ["--wsgi", "shop", "--workers", "0"], ["--wsgi", "shop", "--threads", "many"],
                                       ["--static", "/tmp", "--workers", "2"], ["--static", "/tmp", "--reload"],
                                       ["--config", "x.toml", "--listen", "127.0.0.1:0"],
                                       ["--module", "/nonexistent/hello.so"], ["--module", "/etc/passwd", "--wsgi", "shop"],
                                       ["--module", "/etc/passwd", "--static", "/tmp"],
                                       ["--module", "/etc/passwd", "--config", "x.toml"],
                                       ["--module", "/etc/passwd", "--reload"], ["--module", "/etc/passwd", "--protocol", "tcp"],
                                       ["--module", "/etc/passwd", "--concurrency", "threads"],
                                       ["--module", "/etc/passwd", "--threads", "4"],
                                       ["--module", "/etc/passwd", "--option", "greeting"],
                                       ["--module", "/etc/passwd", "--option", "a=1", "--option", "a=2"],
                                       ["--module", "/etc/passwd", "--option"], ["--module", "/etc/passwd", "surplus"],
                                       ["--wsgi", "shop", "--option", "a=1"], ["--wsgi", "shop", "--concurrency", "event"],
                                       ["--static", "/tmp", "--protocol", "http"], ["--threads", "4"], ["--module"]],
                         ids=lambda arguments: " ".join(arguments))
def test_a_wrong_command_line_is_status_2_with_a_word_on_stderr(session, arguments):
    done = session.run(*arguments)
    assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
    assert done.stderr.strip() and "terminate" not in done.stderr


def test_check_says_that_a_good_config_is_good(session):
    done = session.run("--check", "--config", session.config(session.pool()))
    assert done.returncode == 0, done.stderr
    assert "prongd.toml" in done.stdout + done.stderr


def test_check_tells_all_errors_with_place_and_hint(session):
    done = session.run("--check", "--config", session.config("""
[pool.files]
listn = ["127.0.0.1:0"]
workers = 0
graceful_timeout = 30
static = { root = "/nonexistent/site" }

[pool.two]
listen = ["127.0.0.1:99999"]
"""))
    assert done.returncode == 2
    text = done.stdout + done.stderr
    for place, words in (("3:1", "listen"), ("4:11", "workers"), ("5:20", "30s"), ("6:19", "/nonexistent/site"),
                         ("8:1", "static"), ("9:11", "99999")):
        assert any(f"prongd.toml:{place}: error: " in line and words in line for line in text.splitlines()), \
            f"{place} {words} in:\n{text}"


def test_check_binds_nothing_and_needs_no_free_port(session):
    daemon = session.start(session.pool(listen=[f"127.0.0.1:{harness.free_port()}"]))
    done = session.run("--check", "--config", daemon.config_path)
    assert done.returncode == 0, done.stderr


def test_a_config_that_does_not_exist_is_told_by_its_name(session):
    done = session.run("--config", session.folder / "none.toml")
    assert done.returncode == 2
    assert "none.toml" in done.stderr and "No such file" in done.stderr


def test_without_arguments_the_default_config_is_named_when_it_is_missing(session):
    if os.path.exists("/etc/prongd/prongd.toml"):
        pytest.skip("there is a /etc/prongd/prongd.toml here")
    done = session.run()
    assert done.returncode == 2
    assert "/etc/prongd/prongd.toml" in done.stderr


def test_print_config_prints_the_effective_config_which_is_a_config(session):
    done = session.run("--print-config", "--config", session.config(session.pool(workers=3)))
    assert done.returncode == 0, done.stderr
    printed = tomllib.loads(done.stdout)
    files = printed["pool"]["files"]
    assert files["workers"] == 3 and files["graceful_timeout"] == "30s" and files["static"]["root"] == str(session.site)
    assert printed["log"]["level"] == "info"
    again = session.run("--print-config", "--config", session.config(done.stdout, "again.toml"))
    assert again.returncode == 0, again.stderr
    assert again.stdout == done.stdout


def test_print_config_works_for_static_too(session):
    done = session.run("--print-config", "--static", session.site, "--listen", "127.0.0.1:8181")
    assert done.returncode == 0, done.stderr
    [(_, pool)] = tomllib.loads(done.stdout)["pool"].items()
    assert pool["static"]["root"] == str(session.site)
    assert "127.0.0.1:8181" in json.dumps(pool["listen"])


def test_print_config_shows_what_the_options_of_wsgi_stand_for(session):
    done = session.run("--print-config", "--wsgi", "shop.wsgi:application", "--listen", "127.0.0.1:8181", "--workers", "3",
                       "--threads", "5", "--reload")
    assert done.returncode == 0, done.stderr
    pool = tomllib.loads(done.stdout)["pool"]["app"]
    assert (pool["workers"], pool["threads"], pool["concurrency"]) == (3, 5, "thread")
    assert pool["wsgi"]["app"] == "shop.wsgi:application" and pool["wsgi"]["chdir"] == str(session.folder)
    assert pool["wsgi"]["path"] == [str(session.folder)]
    assert (pool["wsgi"]["reload"], pool["wsgi"]["debug_errors"]) == (True, False)
    assert "127.0.0.1:8181" in json.dumps(pool["listen"])
    done = session.run("--check", "--wsgi", "shop.wsgi:application", "--workers", "auto")
    assert done.returncode == 0 and done.stdout == "shop.wsgi:application: the configuration is good\n"


def test_print_config_shows_what_the_options_of_module_stand_for(session):
    path = session.folder / "libhello.v2.so"
    path.write_text("")
    done = session.run("--print-config", "--module", "libhello.v2.so", "--listen", "127.0.0.1:8181", "--workers", "3",
                       "--threads", "5", "--concurrency", "thread", "--protocol", "stream", "--option", "greeting=hi there",
                       "--option", "limits.max=3", "--option", "limits.rate=0.5", "--option", "on=true", "--option", "empty=",
                       "--option", "equation=a=b", "--option", 'quoted="3"')
    assert done.returncode == 0, done.stderr
    [(name, pool)] = tomllib.loads(done.stdout)["pool"].items()
    assert name == "hello_v2"
    assert (pool["workers"], pool["threads"], pool["concurrency"]) == (3, 5, "thread")
    assert "127.0.0.1:8181" in json.dumps(pool["listen"])
    assert pool["module"] == {
        "path": str(path), "protocol": "stream",
        "options": {"greeting": "hi there", "limits": {"max": 3, "rate": 0.5}, "on": True, "empty": "", "equation": "a=b",
                    "quoted": '"3"'}}
    done = session.run("--check", "--module", path, "--workers", "auto")
    assert done.returncode == 0 and done.stdout == f"{path}: the configuration is good\n"


def test_each_wrong_option_of_a_module_is_told(session):
    (session.folder / "hello.so").write_text("")
    done = session.run("--check", "--module", "hello.so", "--option", "a", "--option", "b c=1", "--option", "d=1", "--option",
                       "d.e=2", "--threads", "4")
    assert done.returncode == 2 and "terminate" not in done.stderr
    assert done.stderr.splitlines()[:-1] == [
        '--option: error: "a" has no value; write NAME=VALUE',
        '--option: error: "b c" is no name for an option; use ASCII letters, digits, _ and -, with dots between the names of '
        "tables",
        '--option: error: "d.e=2" cannot be read beside those before it; give each option once, in UTF-8',
        '--threads: error: pool.hello.threads has no meaning with concurrency = "event"; write concurrency = "thread", or '
        "leave the key out"]


def test_dump_schema_is_json_schema_that_knows_the_keys(session):
    done = session.run("--dump-schema")
    assert done.returncode == 0
    schema = json.loads(done.stdout)
    assert schema["$schema"].startswith("http") and schema["type"] == "object"
    text = json.dumps(schema)
    for key in ("listen", "workers", "graceful_timeout", "static", "root", "rlimits", "header_timeout", "include"):
        assert f'"{key}"' in text


def test_static_serves_a_folder_without_a_config(session):
    port = harness.free_port()
    daemon = session.start(arguments=["--static", str(session.site), "--listen", f"127.0.0.1:{port}"])
    assert get(("127.0.0.1", port), "/a.txt").body == b"a small text\n"
    assert get(("127.0.0.1", port)).body == b"<h1>index</h1>\n"
    assert len(daemon.children()) == len(os.sched_getaffinity(0)) or os.path.exists("/sys/fs/cgroup/cpu.max")
    daemon.send(signal.SIGINT)
    assert daemon.wait_exit() == 0


def test_static_takes_a_relative_folder_and_a_unix_socket(session):
    path = session.folder / "files.sock"
    session.start(arguments=["--static", "site", "--listen", f"unix:{path}"])
    assert get(str(path), "/a.txt").status == 200


def test_a_reload_without_a_config_file_starts_a_new_generation(session):
    port = harness.free_port()
    daemon = session.start(arguments=["--static", str(session.site), "--listen", f"127.0.0.1:{port}"])
    assert daemon.reload() == 2
    assert get(("127.0.0.1", port)).status == 200


def test_a_relative_config_is_found_again_at_a_reload(session):
    session.config(session.pool())
    daemon = session.start(arguments=["--config", "prongd.toml"])
    daemon.reload()
    assert get(daemon.address()).status == 200


def test_workers_auto_counts_the_affinity_mask(session):
    cpus = sorted(os.sched_getaffinity(0))
    daemon = session.start(harness.table("log", level="debug") + session.pool(workers="auto"),
                           preexec=lambda: os.sched_setaffinity(0, cpus[:1]))
    assert len(daemon.children()) == 1


def test_the_log_is_coloured_only_when_asked_for(session):
    plain = session.start()
    assert "\x1b" not in plain.log.text()
    bright = session.start(harness.table("log", color="always") + session.pool(), ready=False)
    bright.wait(r"ready: generation 1")
    bright.expect(".*")  # the format check does not know colours
    assert "\x1b[" in bright.log.text()
