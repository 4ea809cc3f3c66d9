"""Where prongd listens: TCP v4 and v6, UNIX sockets with their files, abstract ones, and sockets from systemd."""

import grp
import os
import pwd
import signal
import socket
import stat

import pytest

import harness
from client import Connection, get
from harness import wait_until


def test_ipv4_ipv6_unix_and_abstract_in_one_pool(session):
    path, name = session.folder / "files.sock", f"prongd-test-{os.getpid()}"
    ports = [harness.free_port(), harness.free_port("::1")]
    daemon = session.start(session.pool(listen=[f"127.0.0.1:{ports[0]}", f"[::1]:{ports[1]}", f"unix:{path}",
                                                f"unix:@{name}"]))
    for address in (("127.0.0.1", ports[0]), ("::1", ports[1]), str(path), "@" + name):
        assert get(address, "/a.txt").body == b"a small text\n"
    for text in (rf"127\.0\.0\.1:{ports[0]}", rf"\[::1\]:{ports[1]}", rf"unix:{path}", f"unix:@{name}"):
        assert daemon.log.find(rf"listening on {text} for pool files")


def test_port_0_gets_a_free_port_which_is_told_and_kept_over_a_reload(session):
    daemon = session.start()
    address = daemon.address()
    assert address[1] > 0
    daemon.reload()
    assert get(address).status == 200


def test_v6only_decides_whether_a_v6_wildcard_also_takes_v4(session):
    port = harness.free_port("::")
    session.start(session.pool(listen=[{"address": f"[::]:{port}", "v6only": False}]))
    assert get(("::1", port)).status == 200
    assert get(("127.0.0.1", port)).status == 200
    only = harness.free_port("::")
    session.start(session.pool(listen=[f"[::]:{only}"]))
    assert get(("::1", only)).status == 200
    with pytest.raises(ConnectionRefusedError):
        get(("127.0.0.1", only))


def test_the_same_port_on_v4_and_v6_can_be_listened_on_together(session):
    port = harness.free_port("::")
    session.start(session.pool(listen=[f"0.0.0.0:{port}", f"[::]:{port}"]))
    assert get(("::1", port)).status == 200 and get(("127.0.0.1", port)).status == 200


def test_a_unix_socket_gets_the_mode_that_the_config_says(session):
    path = session.folder / "files.sock"
    daemon = session.start(session.pool(listen=[{"address": f"unix:{path}", "mode": "0640"}]))
    assert stat.S_ISSOCK(path.stat().st_mode)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert get(str(path)).status == 200
    daemon.stop()
    assert not path.exists()


@pytest.mark.root
def test_a_unix_socket_gets_the_owner_and_group_that_the_config_says(session):
    path = session.folder / "files.sock"
    session.start(session.pool(listen=[{"address": f"unix:{path}", "owner": "nobody", "group": "daemon",
                                        "mode": "0600"}]))
    found = path.stat()
    assert found.st_uid == pwd.getpwnam("nobody").pw_uid
    assert found.st_gid == grp.getgrnam("daemon").gr_gid
    assert get(str(path)).status == 200


def test_a_stale_socket_file_is_taken_over(session):
    path = session.folder / "files.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    session.start(session.pool(listen=[f"unix:{path}"]))
    assert get(str(path)).status == 200


def test_the_socket_file_of_a_killed_master_is_taken_over(session):
    path = session.folder / "files.sock"
    daemon = session.start(session.pool(listen=[f"unix:{path}"], workers=1))
    daemon.expect(".*")
    daemon.expected_status = -signal.SIGKILL
    pids = list(daemon.workers().values())
    daemon.send(signal.SIGKILL)
    daemon.wait_exit()
    harness.reap_orphans(pids)
    assert path.exists(), "nobody could unlink it"
    again = session.start(session.pool(listen=[f"unix:{path}"], workers=1))
    assert get(str(path)).status == 200
    again.stop()
    assert not path.exists()


def test_a_socket_that_somebody_serves_is_refused_and_left_alone(session):
    path = session.folder / "files.sock"
    session.may_stay.add(str(path))
    with socket.socket(socket.AF_UNIX) as live:
        live.bind(str(path))
        live.listen()
        daemon = session.start(session.pool(listen=[f"unix:{path}"]), ready=False)
        daemon.expected_status = 3
        daemon.expect(rf"error +master: .*{path}.*Address already in use")
        assert daemon.wait_exit() == 3
        assert daemon.log.find(rf"{path}.*Address already in use")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


def test_a_file_that_is_no_socket_is_neither_unlinked_nor_overwritten(session):
    path = session.folder / "files.sock"
    path.write_text("precious\n")
    session.may_stay.add(str(path))
    daemon = session.start(session.pool(listen=[f"unix:{path}"]), ready=False)
    daemon.expected_status = 3
    daemon.expect(rf"error +master: .*{path}")
    assert daemon.wait_exit() == 3
    assert path.read_text() == "precious\n"


def test_a_file_that_replaced_ours_is_not_unlinked_at_the_end(session):
    path = session.folder / "files.sock"
    daemon = session.start(session.pool(listen=[f"unix:{path}"]))
    path.unlink()
    path.write_text("somebody else's\n")
    session.may_stay.add(str(path))
    daemon.stop()
    assert path.read_text() == "somebody else's\n"


def test_a_unix_socket_in_a_folder_that_does_not_exist_is_an_error_at_boot(session):
    path = session.folder / "none" / "files.sock"
    daemon = session.start(session.pool(listen=[f"unix:{path}"]), ready=False)
    daemon.expected_status = 3
    daemon.expect(rf"error +master: .*{path}.*No such file or directory")
    assert daemon.wait_exit() == 3
    assert daemon.log.find(rf"{path}.*No such file or directory")


def test_a_backlog_above_somaxconn_is_a_warning_that_names_both(session):
    limit = int(open("/proc/sys/net/core/somaxconn", encoding="ascii").read())
    daemon = session.start(session.pool(listen=[{"address": "127.0.0.1:0", "backlog": limit + 1000}]), ready=False)
    daemon.expect(r"warn +master: .*somaxconn")
    daemon.wait(rf"warn +master: .*127\.0\.0\.1:0: .*\b{limit + 1000}\b.*\b{limit}\b.*somaxconn")
    daemon.wait(r"ready: generation 1")


def test_two_pools_may_not_listen_on_the_same_address(session):
    port = harness.free_port()
    text = session.pool("one", listen=[f"127.0.0.1:{port}"]) + session.pool("two", listen=[f"127.0.0.1:{port}"])
    done = session.run("--check", "--config", session.config(text))
    assert done.returncode == 2
    assert f"127.0.0.1:{port}" in done.stdout + done.stderr


def test_a_socket_from_systemd_is_taken_by_its_name_and_its_first_connection_served(session):
    with socket.create_server(("127.0.0.1", 0)) as web, socket.create_server(("127.0.0.1", 0)) as admin:
        with Connection(web.getsockname()) as early:
            early.request("/a.txt")  # it came before anybody was there to serve it
            daemon = session.start_with_sockets(
                session.pool(listen=["systemd:web"]) + session.pool("admin", listen=["systemd:admin"]),
                {"web": web, "admin": admin})
            assert early.response().body == b"a small text\n"
        assert get(admin.getsockname()).status == 200
        web_port = web.getsockname()[1]
        web.close()
        daemon.reload()
        assert get(("127.0.0.1", web_port)).status == 200
        admin.close()
        daemon.stop()


def test_a_systemd_name_that_was_not_handed_over_is_an_error_that_names_what_was(session):
    with socket.create_server(("127.0.0.1", 0)) as web:
        daemon = session.start_with_sockets(session.pool(listen=["systemd:wbe"]), {"web": web}, ready=False)
        daemon.expect(r"error +master: .*wbe")
        status = daemon.wait_exit()
        daemon.expected_status = status
        assert status in (2, 3)
        assert daemon.log.find(r"wbe.*\bweb\b")


def test_a_socket_from_systemd_that_nobody_uses_is_told(session):
    with socket.create_server(("127.0.0.1", 0)) as web, socket.create_server(("127.0.0.1", 0)) as other:
        daemon = session.start_with_sockets(session.pool(listen=["systemd:web"]), {"web": web, "other": other})
        daemon.expect(r"warn +master: .*other")
        assert daemon.log.find(r"warn +master: .*\bother\b")
        web.close()
        other.close()
        daemon.stop()


def test_without_systemd_a_systemd_listener_is_an_error_at_boot(session):
    daemon = session.start(session.pool(listen=["systemd:web"]), ready=False)
    daemon.expect(r"error +master: .*web")
    status = daemon.wait_exit()
    daemon.expected_status = status
    assert status in (2, 3)


def test_listen_fds_of_another_process_are_not_taken(session):
    daemon = session.start(session.pool(listen=["systemd:web"]), ready=False,
                           environment={"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "web"})
    daemon.expect(r"error +master: .*web")
    status = daemon.wait_exit()
    daemon.expected_status = status
    assert status in (2, 3)


def test_a_listener_that_one_generation_drops_and_the_next_wants_again_works(session):
    first, second = harness.free_port(), harness.free_port()
    path = session.folder / "files.sock"
    both = session.pool(listen=[f"127.0.0.1:{first}", f"127.0.0.1:{second}", f"unix:{path}"])
    daemon = session.start(both)
    for _ in range(3):
        daemon.reload(session.pool(listen=[f"127.0.0.1:{first}"]))
        wait_until(lambda: second not in harness.listening_ports(), "the dropped listener closed")
        wait_until(lambda: not path.exists(), "the dropped socket file unlinked")
        daemon.reload(both)
        assert get(("127.0.0.1", second)).status == 200 and get(str(path)).status == 200
