"""What the world can do to a daemon: no process, no descriptor, no space, no permission, no port. A clear line, once;
the master stays up where it had been up."""

import contextlib
import os
import re
import signal
import socket
import subprocess

import pytest

import harness
from client import Connection, connections, get
from harness import wait_until

SOMEBODY = 54321  # a uid that nobody else uses, so that RLIMIT_NPROC counts only our processes


def loops(daemon, number):
    """Waits until the master's loop has turned that often: whatever it does again and again it has done again."""
    before = harness.context_switches(daemon.pid)
    wait_until(lambda: harness.context_switches(daemon.pid) >= before + number, f"{number} turns of the master's loop")


def limit_processes(daemon, most):
    """Sets the soft RLIMIT_NPROC of a running master of SOMEBODY, as that user: root may lack CAP_SYS_RESOURCE."""
    subprocess.run(["prlimit", f"--pid={daemon.pid}", f"--nproc={most}:"], user=SOMEBODY, group=SOMEBODY,
                   extra_groups=[], check=True)


def told(daemon, pattern, after=0):
    """The lines that tell a fault, without the master's verdict, which names its reason once more."""
    return [match.string for match in daemon.log.find(pattern, after)
            if not re.search(r"master: (cannot start|reload failed): ", match.string)]


@pytest.mark.root
def test_a_fork_that_fails_is_told_once_and_tried_until_it_works(session):
    session.folder.chmod(0o777)
    daemon = session.start(session.pool(workers=2, max_backoff="100ms"), user=SOMEBODY)
    victim = daemon.workers()[0]
    other = daemon.workers()[1]
    mark = daemon.log.mark()
    # Two processes are left after the kill; no third may start.
    limit_processes(daemon, 2)
    daemon.kill_worker(victim)
    daemon.expect(r"(warn|error) +master: .*(cannot fork: Resource temporarily unavailable|fork works again)")
    daemon.wait(r"cannot fork.*Resource temporarily unavailable", mark)
    loops(daemon, 8)
    assert get(daemon.address()).status == 200
    assert daemon.workers() == {1: other}
    assert len(told(daemon, r"(warn|error) .*cannot fork", mark)) == 1
    limit_processes(daemon, 100)
    daemon.wait(r"files/worker\[0\] gen=1 pid=\d+: ready", mark)
    assert daemon.workers()[1] == other


@pytest.mark.root
def test_when_no_replacement_can_be_forked_the_old_worker_serves_on(session):
    session.folder.chmod(0o777)
    daemon = session.start(session.pool(workers=1, max_requests=10, max_backoff="100ms"), user=SOMEBODY)
    old = daemon.workers()[0]
    limit_processes(daemon, 1)
    daemon.expect(r"(warn|error) +master: .*(cannot fork: Resource temporarily unavailable|fork works again)")
    daemon.expect(rf"warn +\S+ gen=1 pid={old}: goes on serving: the worker that should replace it could not start")
    for _ in range(10):
        assert get(daemon.address()).status == 200
    daemon.wait(rf"pid={old}: goes on serving")
    loops(daemon, 8)
    for _ in range(10):
        assert get(daemon.address()).status == 200
    assert daemon.workers() == {0: old}
    limit_processes(daemon, 100)
    daemon.wait(rf"pid={old}: exited with status 0 .*; retired: ")
    assert get(daemon.address()).status == 200


@pytest.mark.root
def test_a_reload_whose_forks_fail_rolls_back(session):
    session.folder.chmod(0o777)
    daemon = session.start(session.pool(workers=2, start_attempts=2), user=SOMEBODY)
    before = daemon.workers()
    limit_processes(daemon, 3)
    lines = daemon.reload_fails()
    assert any("fork" in line for line in lines), lines
    assert daemon.workers() == before and get(daemon.address()).status == 200
    limit_processes(daemon, 100)
    daemon.reload()


def test_a_worker_without_free_descriptors_says_so_once_waits_and_recovers(session):
    daemon = session.start(session.pool(workers=1, rlimits={"nofile": 64}))
    daemon.expect(r"(warn|error) +files/worker\[0\].*(Too many open files|descriptor)")
    pid = daemon.workers()[0]
    with contextlib.ExitStack() as stack:
        opened = stack.enter_context(connections(daemon.address(), 120))
        for connection in opened:
            connection.request("/a.txt")
        daemon.wait(r"(warn|error) +files/worker\[0\].*(Too many open files|descriptor)")
        before = harness.cpu_seconds(pid)
        with pytest.raises(harness.Late):  # a window to look at, not a wait: nothing in it may burn the CPU
            wait_until(lambda: harness.cpu_seconds(pid) > before + 0.25, "", limit=0.5)
        for connection in opened:  # those that wait come in as others leave
            assert connection.response().body == b"a small text\n"
            connection.close()
    assert get(daemon.address(), "/a.txt").status == 200
    assert len(told(daemon, r"(warn|error) +files/worker\[0\].*(Too many open files|descriptor)")) == 1
    assert daemon.workers() == {0: pid}


def test_a_worker_at_its_connection_limit_leaves_the_rest_in_the_queue(session):
    daemon = session.start(session.pool(workers=1, max_connections=5))
    pid = daemon.workers()[0]
    with connections(daemon.address(), 12) as opened:
        for connection in opened:
            connection.request("/a.txt")
        for connection in opened[:5]:
            assert connection.response().status == 200
        assert sum(harness.holder_of(connection, [pid]) == pid for connection in opened) == 5
        for connection in opened[:5]:
            connection.close()
        for connection in opened[5:10]:
            assert connection.response().status == 200
            connection.close()
        for connection in opened[10:]:
            assert connection.response().status == 200


def test_a_log_that_cannot_be_written_is_told_once_and_the_service_goes_on(session):
    port = harness.free_port()
    config = harness.table("log", target="/dev/full", level="debug") + \
        session.pool(listen=[f"127.0.0.1:{port}"], workers=2)
    daemon = session.start(config, ready=False)
    daemon.expect(r"cannot write the log to \"/dev/full\": No space left on device")

    def serves():
        with contextlib.suppress(OSError):
            return get(("127.0.0.1", port)).status == 200

    wait_until(serves, "it to serve")
    daemon.wait(r"cannot write the log to \"/dev/full\": No space left on device")
    children = {child.pid for child in daemon.children()}
    daemon.send(signal.SIGHUP)
    wait_until(lambda: len(now := {child.pid for child in daemon.children()}) == 2 and not now & children,
               "the workers of the next generation")
    daemon.send(signal.SIGTERM)
    assert daemon.wait_exit() == 0
    by_master = [line for line in daemon.log.lines if "cannot write the log" in line]
    assert len(by_master) <= 1 + 4, f"once in each process: {by_master}"


def test_a_log_file_that_cannot_be_opened_is_an_error_at_boot(session):
    daemon = session.start(harness.table("log", target="/nonexistent/prongd.log") + session.pool(), ready=False)
    daemon.expect(r"/nonexistent/prongd\.log|^prongd: 1 error")
    daemon.expected_status = 2
    assert daemon.wait_exit() == 2
    assert daemon.log.find(r"prongd\.toml:2:10: error: .*\"/nonexistent/prongd\.log\".*No such file or directory")


def test_nobody_who_reads_the_log_does_not_block_the_master(session):
    """A pipe that is full, as of a stopped log shipper: lines are lost, the service goes on."""
    port = harness.free_port()
    reader, writer = os.pipe()
    try:
        os.set_blocking(writer, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writer, b"x" * 4096)
        os.set_blocking(writer, True)
        config = harness.table("log", target="stderr", level="debug") + \
            session.pool(listen=[f"127.0.0.1:{port}"], workers=2)
        daemon = session.start(config, ready=False, preexec=lambda: os.dup2(writer, 2))

        def serves():
            with contextlib.suppress(OSError):
                return get(("127.0.0.1", port)).status == 200

        wait_until(serves, "it to serve")
        daemon.send(signal.SIGTERM)
        assert daemon.wait_exit() == 0
    finally:
        os.close(reader)
        os.close(writer)


def test_a_reader_of_the_log_that_goes_away_ends_nothing(session):
    """A pipe without a reader is SIGPIPE for whoever writes."""
    port = harness.free_port()
    reader, writer = os.pipe()
    daemon = session.start(session.pool(listen=[f"127.0.0.1:{port}"], workers=2), ready=False,
                           preexec=lambda: os.dup2(writer, 2))
    os.close(writer)
    text = b""
    while b"ready: generation 1" not in text:
        text += os.read(reader, 65536)
    os.close(reader)
    before = {child.pid for child in daemon.children()}
    os.kill(min(before), signal.SIGKILL)
    wait_until(lambda: len(now := {child.pid for child in daemon.children()}) == 2 and now != before, "a replacement")
    daemon.send(signal.SIGHUP)
    wait_until(lambda: len(now := {child.pid for child in daemon.children()}) == 2 and not now & before,
               "the workers of the next generation")
    assert get(("127.0.0.1", port)).status == 200
    daemon.send(signal.SIGTERM)
    assert daemon.wait_exit() == 0


def test_an_address_in_use_at_boot_is_status_3_with_one_line(session):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        daemon = session.start(session.pool(listen=[f"127.0.0.1:{port}"]), ready=False)
        daemon.expected_status = 3
        daemon.expect(r"error +master: ")
        assert daemon.wait_exit() == 3
        assert len(told(daemon, rf"error .*127\.0\.0\.1:{port}.*Address already in use")) == 1
        assert not daemon.log.find(r"worker\["), "no worker was started for it"


def test_all_addresses_in_use_are_told_not_only_the_first(session):
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        ports = [made.getsockname()[1] for made in (one, two)]
        daemon = session.start(session.pool(listen=[f"127.0.0.1:{port}" for port in ports]), ready=False)
        daemon.expected_status = 3
        daemon.expect(r"error +master: ")
        assert daemon.wait_exit() == 3
        for port in ports:
            assert daemon.log.find(rf"127\.0\.0\.1:{port}.*Address already in use")


@pytest.mark.root
def test_an_unreadable_config_is_status_2_at_boot_and_a_failed_reload_later(session):
    session.folder.chmod(0o777)
    daemon = session.start(user=SOMEBODY)
    before = daemon.workers()
    daemon.config_path.chmod(0o000)
    lines = daemon.reload_fails()
    assert any("prongd.toml" in line and "Permission denied" in line for line in lines), lines
    assert daemon.workers() == before
    again = session.start(arguments=["--config", str(daemon.config_path)], user=SOMEBODY, ready=False)
    again.expected_status = 2
    again.expect(r"prongd\.toml.*Permission denied|^prongd: 1 error")
    assert again.wait_exit() == 2
    assert again.log.find(r"prongd\.toml.*Permission denied")
    daemon.config_path.chmod(0o644)
    daemon.reload()


def test_a_config_that_is_gone_fails_the_reload(session):
    daemon = session.start()
    before = daemon.workers()
    daemon.config_path.unlink()
    lines = daemon.reload_fails()
    assert any("prongd.toml" in line and "No such file" in line for line in lines), lines
    assert daemon.workers() == before


def needs_privileged_port_80():
    try:
        first = int(open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii").read())
    except FileNotFoundError:
        first = 1024
    if first <= 80:
        pytest.skip(f"every user may bind port 80 here (ip_unprivileged_port_start is {first})")


@pytest.mark.root
def test_no_permission_for_port_80_is_a_clear_line_at_boot(session):
    needs_privileged_port_80()
    daemon = session.start(session.pool(listen=["127.0.0.1:80"]), user=SOMEBODY, ready=False)
    daemon.expected_status = 3
    daemon.expect(r"error +master: ")
    assert daemon.wait_exit() == 3
    [line] = told(daemon, r"error .*127\.0\.0\.1:80\b.*Permission denied")
    assert re.search(r"Permission denied.*;.*(CAP_NET_BIND_SERVICE|root|1024)", line), "with a hint"


@pytest.mark.root
def test_no_permission_for_port_80_at_a_reload_changes_nothing(session):
    needs_privileged_port_80()
    session.folder.chmod(0o777)
    daemon = session.start(user=SOMEBODY)
    before = daemon.workers()
    lines = daemon.reload_fails(session.pool(listen=["127.0.0.1:0", "127.0.0.1:80"]))
    assert any("127.0.0.1:80" in line and "Permission denied" in line for line in lines), lines
    assert daemon.workers() == before and get(daemon.address()).status == 200


def test_a_closed_stdin_stdout_and_stderr_do_no_harm(session):
    """Nothing of ours may become descriptor 0, 1 or 2."""
    port = harness.free_port()

    def close_all():
        for fd in (0, 1, 2):
            os.close(fd)

    daemon = session.start(session.pool(listen=[f"127.0.0.1:{port}"]), ready=False, preexec=close_all)

    def serves():
        with contextlib.suppress(OSError):
            return get(("127.0.0.1", port)).status == 200

    wait_until(serves, "it to serve")
    for pid in [daemon.pid, *(child.pid for child in daemon.children())]:
        held = harness.descriptors(pid)
        assert [held.get(fd) for fd in (0, 1, 2)] == ["/dev/null"] * 3, held
    daemon.send(signal.SIGTERM)
    assert daemon.wait_exit() == 0


@pytest.mark.root
def test_a_user_who_cannot_read_the_site_is_told_at_the_start_not_to_the_first_client(session):
    daemon = session.start(session.dying_pool(workers=1, start_attempts=1), ready=False)
    daemon.expected_status = 3
    daemon.expect(r"(warn|error) ")
    assert daemon.wait_exit() == 3
    assert daemon.log.find(r"error +dying/worker\[0\].*closed/site.*Permission denied")


def test_a_flood_of_connections_that_send_nothing_does_not_stop_the_service(session):
    daemon = session.start(session.pool(workers=2, http={"header_timeout": "1s"}))
    with connections(daemon.address(), 300):
        for _ in range(20):
            assert get(daemon.address(), "/a.txt").status == 200


def test_a_worker_stopped_by_somebody_costs_no_new_connection(session):
    """One queue: what a stopped worker does not take, its sibling takes."""
    daemon = session.start(session.pool(workers=2))
    stopped = daemon.workers()[0]
    os.kill(stopped, signal.SIGSTOP)
    wait_until(lambda: harness.process(stopped).state == "T", "the worker stopped")
    for _ in range(100):
        assert get(daemon.address(), "/a.txt").status == 200
    os.kill(stopped, signal.SIGCONT)


def test_clients_that_vanish_in_the_middle_do_no_harm(session):
    session.big_file()
    daemon = session.start(session.pool(workers=1))
    for _ in range(30):
        with Connection(daemon.address(), receive_buffer=4096) as connection:
            connection.request("/big.bin")
            connection.head()
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # close by a reset
    with Connection(daemon.address()) as connection:
        connection.send(b"GET / HT")
    assert get(daemon.address(), "/a.txt").status == 200
    assert len(daemon.workers()) == 1 and len(daemon.ready_lines()) == 1
