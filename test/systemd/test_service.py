"""prongd under a real systemd: the shipped unit, as installed, does what systemctl and the journal promise."""

import re

from container import LIMIT, wait_until
from conftest import SOCKET_DROP_IN

POOL = """
[pool.site]
listen  = [{listen}]
workers = {workers}
static  = {{ root = "/usr/share/prongd/site" }}
"""


def pool(listen='"0.0.0.0:80"', workers=2):
    return POOL.format(listen=listen, workers=workers)


def test_the_installed_service_starts_and_serves_port_80_as_its_own_user(service):
    service.start()
    assert service.is_active()
    assert service.get() == "200"
    owner = service.container.run("stat", "-c", "%U", f"/proc/{service.master}").strip()
    assert owner == "prongd"


def test_the_status_line_tells_the_pools(service):
    service.configure(pool(workers=3))
    service.start()
    shown = service.container.run("systemctl", "status", "--no-pager", "prongd.service")
    assert re.search(r'Status: ".*site 3/3.*"', shown), shown


def test_the_sandbox_leaves_an_exposure_of_at_most_two(service):
    service.start()
    assert service.get() == "200"
    shown = service.container.run("systemd-analyze", "security", "--no-pager", "prongd.service")
    level = float(re.search(r"Overall exposure level for prongd.service: ([0-9.]+)", shown)[1])
    assert level <= 2.0, shown


def test_a_reload_replaces_the_workers_under_the_same_master(service):
    service.configure(pool())
    service.start()
    master, before = service.master, service.workers()
    service.configure(pool(workers=3))
    service.container.run("systemctl", "reload", "prongd.service")
    # systemctl has waited for the verdict.
    assert len(service.workers() - before) >= 3
    wait_until(lambda: "3/3" in service.status, "the status of three workers")
    assert service.master == master
    wait_until(lambda: not before & service.workers(), "the old workers to leave")
    assert service.get() == "200"


def test_a_bad_reload_fails_is_told_in_journal_and_status_and_changes_nothing(service):
    service.configure(pool())
    service.start()
    master, before = service.master, service.workers()
    service.expect(r"reload|prongd.toml|wrokers|unknown")
    service.configure(pool().replace("workers", "wrokers"))
    assert service.container.status_of("systemctl", "reload", "prongd.service") != 0
    told = service.container.run("journalctl", "-u", "prongd.service", "-t", "prongctl", "-o", "cat", "--no-pager")
    assert re.search(r"prongd\.toml:4:1: error: unknown key \"wrokers\"", told), told
    assert "prongctl: the reload failed; generation 1 goes on as before" in told
    wait_until(lambda: "failed" in service.status, "a status that says that the reload failed")
    line = service.wait_line(r"prongd\.toml:4:1\b.*wrokers")
    assert int(line["PRIORITY"]) <= 4
    assert service.is_active()
    assert (service.master, service.workers()) == (master, before)
    assert service.get() == "200"

    service.configure(pool())
    service.container.run("systemctl", "reload", "prongd.service")
    wait_until(lambda: "failed" not in service.status and service.is_active(), "the mended reload")
    wait_until(lambda: not before & service.workers(), "the old workers to leave")


def test_a_stop_is_graceful_and_leaves_nothing(service):
    service.start()
    assert service.workers()
    service.container.run("systemctl", "stop", "prongd.service")
    assert service.container.show("prongd.service", "Result") == "success"
    assert service.container.show("prongd.service", "ExecMainStatus") == "0"
    assert service.container.run("pgrep", "-u", "prongd", check=False) == ""


def test_a_socket_passed_by_name_is_served_and_the_first_connection_is_not_lost(service):
    service.configure(pool(listen='"systemd:http"'))
    service.drop_in("[Socket]\nListenStream=\nListenStream=127.0.0.1:8080\n", SOCKET_DROP_IN)
    service.container.run("systemctl", "start", "prongd.socket")
    assert not service.is_active()
    assert service.get(port=8080) == "200"
    assert service.is_active()


def test_connections_wait_in_systemds_socket_while_the_service_restarts(service):
    service.configure(pool(listen='"systemd:http"'))
    service.drop_in("[Socket]\nListenStream=\nListenStream=127.0.0.1:8080\n", SOCKET_DROP_IN)
    service.container.run("systemctl", "start", "prongd.socket", "prongd.service")
    asking = service.container.start("sh", "-c", "for i in $(seq 200); do curl -sS -o /dev/null -w '%{http_code}\\n' "
                                     "http://127.0.0.1:8080/ || echo lost; done")
    service.container.run("systemctl", "restart", "prongd.service")
    answers = asking.communicate(timeout=LIMIT)[0].split()
    assert answers == ["200"] * 200


def test_socket_activation_needs_no_capability_for_port_80(service):
    service.configure(pool(listen='"systemd:http"'))
    service.drop_in("[Service]\nAmbientCapabilities=\nCapabilityBoundingSet=\n")
    service.container.run("systemctl", "start", "prongd.socket")
    assert service.get() == "200"
    status = service.container.run("cat", f"/proc/{service.master}/status")
    assert re.search(r"^CapPrm:\s+0+$", status, re.MULTILINE), status


def test_workers_may_have_users_of_their_own_when_the_unit_lets_the_master_be_root(service):
    """The drop-in of docs/systemd.md."""
    service.drop_in("""
[Service]
User=root
Group=root
CapabilityBoundingSet=CAP_SETUID CAP_SETGID CAP_KILL
SystemCallFilter=@setuid
""")
    service.configure(pool() + 'user = "nobody"\n')
    service.start()
    assert service.get() == "200"
    owners = service.container.run("ps", "-o", "user=", "-p", ",".join(map(str, service.workers()))).split()
    assert owners == ["nobody"] * 2
    service.container.run("systemctl", "reload", "prongd.service")
    service.wait_line("reload done")


def test_a_master_that_hangs_is_restarted_by_the_watchdog(service):
    service.drop_in("[Service]\nWatchdogSec=1s\n")
    service.expect(r"worker|master")
    service.start()
    master = service.master
    service.container.run("kill", "-STOP", str(master))
    wait_until(lambda: service.master not in (0, master) and service.is_active(), "another master")
    assert service.container.show("prongd.service", "NRestarts") == "1"
    assert service.get() == "200"


def test_a_master_that_is_killed_is_started_again(service):
    service.start()
    master, workers = service.master, service.workers()
    service.expect(r"the master is gone")
    service.container.run("kill", "-KILL", str(master))
    wait_until(lambda: service.master not in (0, master) and service.is_active(), "another master")
    assert not workers & service.workers()
    assert service.get() == "200"


def test_a_bad_configuration_fails_the_start_once_and_tells_why(service):
    service.configure(pool().replace("workers", "wrokers"))
    service.expect(r"prongd\.toml|wrokers|configuration")
    assert service.container.status_of("systemctl", "start", "prongd.service") != 0
    assert service.container.show("prongd.service", "ExecMainStatus") == "2"
    assert service.container.show("prongd.service", "ActiveState") == "failed"
    assert service.container.show("prongd.service", "NRestarts") == "0"
    service.wait_line(r"prongd\.toml:4:1\b.*wrokers")


def test_lines_about_a_worker_carry_pool_worker_and_generation(service):
    service.configure(pool())
    service.start()
    victim = min(service.workers())
    service.expect(r"killed by")
    service.container.run("kill", "-KILL", str(victim))
    entry = service.wait_line(r"killed by")
    assert entry["POOL"] == "site"
    assert entry["WORKER"] in ("0", "1")
    assert entry["GENERATION"] == "1"
    assert entry["WORKER_PID"] == str(victim)
    assert entry["CODE"] == "PR0302" and entry["MESSAGE"].endswith("[PR0302]")
    found = service.container.journal(service.cursor, "POOL=site", f"WORKER={entry['WORKER']}", "GENERATION=1")
    assert entry["MESSAGE"] in [each["MESSAGE"] for each in found]
    wait_until(lambda: len(service.workers()) == 2 and victim not in service.workers(), "the replacement")


def test_workers_log_to_the_journal_as_the_same_unit(service):
    service.configure(pool())
    service.start()
    units = {entry["_SYSTEMD_UNIT"] for entry in service.lines() if "POOL" in entry}
    assert units == {"prongd.service"}


def test_the_log_may_go_to_a_file_that_usr1_opens_again(service):
    service.configure('[log]\ntarget = "/var/log/prongd/prongd.log"\n' + pool())
    service.start()
    log = service.container.root / "var/log/prongd/prongd.log"
    assert "ready: generation 1" in log.read_text()
    log.rename(log.with_suffix(".old"))
    service.container.run("systemctl", "kill", "-s", "USR1", "--kill-whom=main", "prongd.service")
    wait_until(log.exists, "the log file to be opened again")
    service.container.run("systemctl", "reload", "prongd.service")
    wait_until(lambda: "reload done" in log.read_text(), "lines in the new file")
    assert "reload done" not in log.with_suffix(".old").read_text()
