"""A lightly loaded pool spreads its connections evenly over its workers."""

import os
import sys

import harness

# Behind the others: bench/http.py must not pass for the module http.
sys.path.append(os.path.join(os.path.dirname(__file__), os.pardir, "bench"))
from load import jain, paced_short_connections  # noqa: E402


def test_short_connections_spread_evenly_over_four_workers(session):
    daemon = session.start(session.pool(workers=4))
    rate = 200 if not harness.is_sanitized() else 100
    failures = paced_short_connections(daemon.address(), "/a.txt", rate=rate, seconds=3, threads=4)
    assert failures == []
    daemon.stop()
    counts = [int(match[1]) for match in
              daemon.log.find(r"gen=1 pid=\d+: exited with status 0 after .*, (\d+) connections?, \d+ requests?")]
    assert len(counts) == 4 and sum(counts) == rate * 3
    assert jain(counts) >= 0.98, counts
