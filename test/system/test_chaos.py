"""Everything at once, in an order that a seed decides: afterwards the daemon is what its config says."""

import contextlib
import os
import random
import signal

import harness
from client import Cut, Load, get
from harness import wait_until

# In CI always the same order: what fails there must be the change, not the dice.
DICE = 20261123 if os.environ.get("CI") else random.SystemRandom().randrange(1 << 30)
SEED = int(os.environ.get("PRONGD_TEST_SEED", DICE))
ROUNDS = 120


def test_whatever_comes_in_whatever_order_the_daemon_ends_up_as_its_config_says(session):
    print(f"PRONGD_TEST_SEED={SEED}")
    chance = random.Random(SEED)
    listen = [f"127.0.0.1:{harness.free_port()}"]
    good = session.pool(workers=3, listen=listen, max_backoff="200ms", max_requests=100, max_requests_jitter=100)
    daemon = session.start(good)
    daemon.expect(r"worker\[\d+\] gen=\d+ pid=\d+: killed by signal 9")
    daemon.expect(r"error +master: (reload failed: )?.*(nonsense|prongd\.toml)")
    daemon.expect(r"error +master: reload failed: .*killed by signal 9")
    daemon.expect(r"error +\S+ gen=\d+ pid=\d+: the master is gone")
    daemon.expect(r"warn +\S+ gen=\d+ pid=\d+: goes on serving: the worker that should replace it could not start")

    def kill_some():
        pids = sorted(child.pid for child in daemon.children())
        for pid in chance.sample(pids, min(len(pids), chance.randint(1, 2))):
            with contextlib.suppress(ProcessLookupError):  # it has just exited by itself
                os.kill(pid, signal.SIGKILL)

    def drain_one():
        for child in daemon.children()[:1]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGTERM)

    def reload(text):
        daemon.write_config(text)
        daemon.send(signal.SIGHUP)

    deeds = [kill_some, kill_some, drain_one,
             lambda: reload(good), lambda: reload(good),
             lambda: reload(session.pool(workers=3, listen=["nonsense"])),
             lambda: reload(session.pool(workers=chance.randint(1, 5), listen=listen)),
             lambda: daemon.send(signal.SIGTTIN), lambda: daemon.send(signal.SIGTTOU),
             lambda: daemon.send(signal.SIGUSR1)]
    files = {"/a.txt": b"a small text\n"}
    cuts = (Cut, ConnectionResetError, BrokenPipeError)
    with Load(("127.0.0.1", int(listen[0].rpartition(":")[2])), files, short=2, keep_alive=3, tolerate=cuts) as load:
        for _ in range(ROUNDS):
            chance.choice(deeds)()
            load.wait_for(chance.randint(0, 15))
        load.stop()
    assert load.failures == [], f"seed {SEED}"
    reload(good)

    def settled():
        """The last word about reloads is a commit, and three workers of that generation are all that there is."""
        words = daemon.log.find(r"reload (asked|done: generation (?P<gen>\d+)\b|failed)")
        workers = daemon.workers(generation=int(words[-1]["gen"] or 0))
        return len(workers) == 3 and set(workers.values()) == {child.pid for child in daemon.children()}

    daemon.wait(r"reload done")
    wait_until(settled, lambda: f"three workers of the last generation: {daemon.children()}")
    for _ in range(20):
        assert get(daemon.address(), "/a.txt").status == 200
    assert not daemon.log.find("internal:"), "no move that the slot machine does not know"
