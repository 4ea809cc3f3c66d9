"""What the C++ face of the SDK promises beside the C ABI: how a module begins and ends, what its functions may hold, and
calls that are easily made wrong (test/modules/sdk.cpp)."""

import signal

import pytest

from client import Connection, get
from modules import MODELS, WAITING, Lines, module_pool, vanish

# Whatever holds a farewell tells of its end.
OF_FUNCTIONS = {"on_drain", "on_stop", "on_request", "on_upload", "on_open", "on_data", "on_end", "on_writable", "on_close",
                "on_connection", "a timer", "another timer", "the chain"}
LONGEST = 2**63 - 1  # nanoseconds


def start(session, concurrency="event", *, level="debug", **more):
    more.setdefault("workers", 1)
    daemon = session.start(module_pool("sdk", concurrency, **more), level=level)
    return daemon, daemon.address("sdk")


def farewells(daemon):
    return [match[1] for match in daemon.log.find(r"farewell of (.+)$")]


# ------------------------------------------------------------------------------------------------------- begin and end


@pytest.mark.parametrize("concurrency", MODELS)
def test_what_the_functions_of_a_module_hold_ends_with_the_worker_and_may_use_the_sdk_until_then(session, concurrency):
    daemon, _ = start(session, concurrency)
    daemon.send(signal.SIGTERM)
    assert daemon.wait_exit() == 0
    wanted = OF_FUNCTIONS | ({"a watch"} if concurrency == "event" else set())
    assert set(farewells(daemon)) >= wanted
    first = farewells(daemon)
    assert all(first.count(name) == 1 for name in wanted), first
    lines = [match.string for match in daemon.log.find("on_stop was called|farewell of")]
    assert "on_stop was called" in lines[0], "functions end after on_stop()"


@pytest.mark.parametrize("concurrency", MODELS)
def test_a_start_that_fails_tells_its_reason_and_ends_what_the_functions_hold(session, concurrency):
    daemon = session.start(module_pool("sdk", concurrency, workers=1, options={"fail": True}), ready=False)
    daemon.expect("thrown when all was set up")
    daemon.expected_status = 3
    assert daemon.wait_exit() == 3
    daemon.wait(r"error .*sdk\.so\" cannot start: thrown when all was set up")
    assert set(farewells(daemon)) >= OF_FUNCTIONS


@pytest.mark.parametrize("concurrency", MODELS)
def test_a_thread_that_still_runs_when_the_worker_has_ended_has_no_effect_and_does_no_harm(session, concurrency):
    daemon, _ = start(session, concurrency)
    daemon.send(signal.SIGTERM)
    assert daemon.wait_exit() == 0
    told, = daemon.log.find("after the end: (.*)$")
    assert told[1] == "draining; pool sdk; after: the worker has ended"
    assert not daemon.log.find("a thread of the module's own"), "nothing is logged for it"
    assert "a posted function" not in farewells(daemon)


@pytest.mark.parametrize("concurrency", MODELS)
def test_threads_that_nobody_joins_do_not_crash_the_worker_that_ends(session, concurrency):
    daemon, address = start(session, concurrency, workers=3, level="info")
    for _ in range(3):
        assert get(address, "/restless").body == b"started\n"
    daemon.reload()
    assert get(address, "/restless").body == b"started\n"
    daemon.send(signal.SIGTERM)
    assert daemon.wait_exit() == 0


def test_the_sdk_says_so_when_it_is_used_before_the_braces(session):
    _, address = start(session)
    assert get(address, "/early").body == \
        b"prong is used before the braces of the module, or in a library that has none"


# -------------------------------------------------------------------------------------------------------------- answers


@pytest.mark.parametrize("concurrency", MODELS)
def test_a_body_that_is_nullptr_or_empty_braces_is_empty(session, concurrency):
    _, address = start(session, concurrency)
    with Connection(address) as connection:
        answer = connection.get("/null")
        assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "0")
        assert connection.get("/braces").status == 204


def test_headers_that_were_said_before_an_answer_was_deferred_go_along(session):
    _, address = start(session)
    with Connection(address) as connection:
        answer = connection.get("/later")
    assert (answer.headers["before"], answer.headers["after"]) == ("it was deferred", "as well")
    assert answer.body == b"later\n"


@pytest.mark.parametrize("concurrency", MODELS)
def test_after_an_answer_that_cannot_be_another_one_can_be_given(session, concurrency):
    daemon, address = start(session, concurrency)
    daemon.expect("No name")
    with Connection(address) as connection:
        answer = connection.get("/wrong-header")
        assert answer.status == 400
        assert answer.body == b"the answer has a status or a header that cannot be, which the log names"
        assert "no name" not in answer.headers
    daemon.wait('error .*"No name" is no name of a header')


@pytest.mark.parametrize("concurrency", MODELS)
def test_a_file_that_cannot_be_sent_is_told_as_that(session, concurrency):
    daemon, address = start(session, concurrency)
    daemon.expect("sdk.so.*file")
    with Connection(address) as connection:
        answer = connection.get("/no-file")
    assert answer.status == 400 and "tried" not in answer.headers
    assert answer.body.startswith(b"the file cannot be sent: no regular file, or not so long")


def test_a_second_on_gone_takes_the_place_of_the_first_which_ends(session):
    daemon, address = start(session)
    with Connection(address) as connection:
        connection.request("/gone")
        daemon.wait("the first on_gone was replaced")
        daemon.wait("farewell of the first on_gone")
        vanish(connection)
    daemon.wait("the second on_gone was called")
    daemon.send(signal.SIGTERM)
    assert daemon.wait_exit() == 0
    assert farewells(daemon).count("the second on_gone") == 1
    assert not daemon.log.find("the first on_gone was called")


def test_times_that_cannot_be_are_the_longest_or_none(session):
    _, address = start(session)
    *exact, thirds = map(int, get(address, "/nanoseconds").body.split())
    assert exact == [2_000_000_000, 0, LONGEST, 0, LONGEST, 1_500_000_000, LONGEST, 0, 1_000_000_000]
    assert abs(thirds - 20_000_000_000 * 10**9 // 3) <= 1024  # as exact as a double


# -------------------------------------------------------------------------------------------------------------- streams


def test_what_is_attached_is_made_by_a_constructor_or_by_braces_and_takes_the_place_of_the_one_before(session):
    _, address = start(session, stream={})
    with Lines(address) as client:
        assert client.lines(2) == ["vector of 3", "pair of 1 and 2"]
        assert client.line() == "after the older one: 0", "when the older one ends, the newer one is there"
        assert client.rest() == ""


@pytest.mark.parametrize("concurrency", WAITING)
def test_a_read_with_no_time_or_less_takes_what_is_there_and_does_not_wait(session, concurrency):
    _, address = start(session, concurrency, stream={"idle_timeout": "0"})
    with Lines(address) as client:
        assert client.lines(2) == ["timeout", "timeout"]
        client.send("x")
        assert client.line() == "data"
