"""Stream modules in both styles: back-pressure, ends of every kind, clients that are sent to, drain."""

import contextlib
import os
import signal
import socket
import threading

import pytest

from harness import LIMIT, resident_kib, wait_until
from modules import GONE, MODELS, WAITING, Lines, module_pool, vanish

MEGABYTE = 1 << 20


def start(session, concurrency="event", *, module="talk", workers=1, stream=None, **more):
    daemon = session.start(module_pool(module, concurrency, stream=stream or {}, workers=workers, **more))
    return daemon, daemon.address(module)


def talker(stack, address, **more):
    client = stack.enter_context(Lines(address, **more))
    assert client.line() == "welcome"
    return client


def is_over(client):
    """Waits for the end or the reset of the connection; whatever still comes is read."""
    with contextlib.suppress(*GONE):
        while client.socket.recv(1 << 16):
            pass
    return True


@pytest.mark.parametrize("concurrency", MODELS)
def test_a_module_speaks_first_and_answers_lines_cut_anywhere(session, concurrency):
    daemon, address = start(session, concurrency, workers=2)
    with contextlib.ExitStack() as stack:
        client = talker(stack, address)
        client.send("say one\nsay two\nsa")
        assert client.lines(2) == ["one", "two"]
        client.send("y three\npeer\n")
        assert client.lines(2) == ["three", "127.0.0.1"]
        client.send("close\nsay no more\n")
        assert client.rest() == ""


@pytest.mark.parametrize("concurrency", MODELS)
def test_a_unix_socket_serves_as_well_and_its_peers_have_no_address(session, concurrency):
    path = f"{session.folder}/talk.sock"
    session.start(module_pool("talk", concurrency, stream={}, listen=[f"unix:{path}"]))
    with contextlib.ExitStack() as stack:
        client = talker(stack, path)
        client.send("peer\nsay one\n")
        assert client.lines(2) == ["", "one"]


@pytest.mark.parametrize("concurrency", MODELS)
def test_the_echo_module_gives_back_50_megabytes_to_a_slow_reader_while_others_are_served(session, concurrency):
    daemon, address = start(session, concurrency, module="echo", workers=2)
    block, size = os.urandom(MEGABYTE), 50
    with Lines(address, receive_buffer=65536) as slow:

        def send():
            for _ in range(size):
                slow.socket.sendall(block)
            slow.socket.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        received, served = 0, 0
        while part := slow.socket.recv(MEGABYTE):
            at = received % MEGABYTE
            assert (block[at:] + block)[:len(part)] == part
            received += len(part)
            if received // (10 * MEGABYTE) > served:
                served += 1
                with Lines(address) as other:
                    other.send("between\n")
                    assert other.line() == "between"
        sender.join(LIMIT)
        assert received == size * MEGABYTE
    for pid in daemon.workers("echo").values():
        assert resident_kib(pid) < 300 * 1024


@pytest.mark.parametrize("concurrency", MODELS)
def test_a_flood_stands_still_while_its_client_does_not_read(session, concurrency):
    daemon, address = start(session, concurrency, workers=1 if concurrency == "event" else 2)
    with contextlib.ExitStack() as stack:
        slow = talker(stack, address, receive_buffer=4096)
        slow.send(f"flood {30 * MEGABYTE}\nsay done\n")
        if concurrency == "event":
            assert int(daemon.wait(r"flood waits after (\d+) bytes")[1]) < 20 * MEGABYTE
        other = talker(stack, address)
        other.send("say still here\n")
        assert other.line() == "still here"
        assert slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20) is None
        text = slow.read(30 * MEGABYTE + len("done\n"))  # in `event` the next line is answered while the flood waits
        assert text.count("f") == 30 * MEGABYTE and text.replace("f", "") == "done\n"


def test_a_client_that_is_sent_more_than_max_output_is_cut(session):
    daemon, address = start(session, stream={"max_output": "1MiB"})
    daemon.expect(r"warn .*talk\.so.*127\.0\.0\.1.*max_output")
    with contextlib.ExitStack() as stack:
        slow, other = talker(stack, address, receive_buffer=4096), talker(stack, address)
        slow.send(f"push {40 * MEGABYTE}\n")
        daemon.wait(r"\d+ bytes were waiting for the client 127\.0\.0\.1, more than stream\.max_output, so it was cut")
        assert is_over(slow)
        wait_until(lambda: other.send("count\n") or other.line() == "1", "the other one alone")
        # And one to whom others send.
        slow = talker(stack, address, receive_buffer=4096)
        text = "x" * 60_000
        for _ in range(400):
            other.send(f"others {text}\nsay sent\n")
            assert other.line() == "sent"
        assert is_over(slow)
        wait_until(lambda: other.send("count\n") or other.line() == "1", "the other one alone")


def test_a_half_closed_client_is_answered_before_the_end(session):
    daemon, address = start(session)
    with contextlib.ExitStack() as stack:
        client = talker(stack, address)
        client.send("say last words\n")
        client.socket.shutdown(socket.SHUT_WR)
        assert client.rest() == "last words\nend\n"


@pytest.mark.parametrize("concurrency", WAITING)
def test_a_half_closed_client_of_a_blocking_module_is_told_as_the_end(session, concurrency):
    daemon, address = start(session, concurrency)
    with contextlib.ExitStack() as stack:
        client = talker(stack, address)
        client.send("say last words\n")
        client.socket.shutdown(socket.SHUT_WR)
        assert client.rest() == "last words\nend\n"


def test_in_event_every_client_that_vanishes_is_closed_once(session):
    daemon, address = start(session)
    with contextlib.ExitStack() as stack:
        for way in ("reset", "end", "flood"):
            mark = daemon.log.mark()
            client = talker(stack, address, receive_buffer=4096)
            if way == "flood":
                client.send(f"flood {30 * MEGABYTE}\n")
                daemon.wait("flood waits", mark)
            if way == "end":
                client.socket.close()
            else:
                vanish(client)
            daemon.wait("closed after a flood of", mark)
        other = talker(stack, address)
        other.send("count\n")
        assert other.line() == "1"
    daemon.wait("closed after a flood of", count=4)


@pytest.mark.parametrize("concurrency", WAITING)
def test_a_blocking_module_that_writes_to_nobody_is_told(session, concurrency):
    daemon, address = start(session, concurrency)
    with contextlib.ExitStack() as stack:
        client = talker(stack, address, receive_buffer=4096)
        client.send(f"flood {50 * MEGABYTE}\n")
        assert client.socket.recv(1) == b"f"
        vanish(client)
        daemon.wait("write failed: gone")
        other = talker(stack, address)
        other.send("say still here\n")
        assert other.line() == "still here"


@pytest.mark.parametrize("concurrency", WAITING)
def test_a_read_with_a_timeout_comes_back_in_time(session, concurrency):
    daemon, address = start(session, concurrency)
    with contextlib.ExitStack() as stack:
        client = talker(stack, address)
        client.send("wait 100\n")
        assert client.line() == "waited: timeout"
        client.send("say after\n")
        assert client.line() == "after"


@pytest.mark.parametrize("concurrency", MODELS)
def test_a_stream_that_throws_is_cut_and_told_and_others_go_on(session, concurrency):
    daemon, address = start(session, concurrency, workers=2)
    daemon.expect("thrown in on_")
    with contextlib.ExitStack() as stack:
        one, two = talker(stack, address), talker(stack, address)
        before = daemon.workers("talk")
        one.send("throw\n")
        assert is_over(one)
        daemon.wait("error .*thrown in on_(data|connection)")
        two.send("say well\n")
        assert two.line() == "well"
        assert daemon.workers("talk") == before


@pytest.mark.parametrize("concurrency", MODELS)
def test_a_stream_that_is_cut_ends_with_a_reset(session, concurrency):
    daemon, address = start(session, concurrency)
    with contextlib.ExitStack() as stack:
        client = talker(stack, address)
        client.send("cut\n")
        with pytest.raises(ConnectionResetError):
            client.socket.recv(1)


def test_a_connection_that_wants_no_data_makes_its_client_wait(session):
    daemon, address = start(session)
    with contextlib.ExitStack() as stack:
        client = talker(stack, address)
        client.send("hold 200\n")
        assert client.line() == "holding"
        client.send("say later\n")
        assert client.lines(2) == ["listening", "later"]


def test_what_is_sent_to_others_comes_in_order_to_all_of_a_worker(session):
    daemon, address = start(session)
    with contextlib.ExitStack() as stack:
        clients = [talker(stack, address) for _ in range(20)]
        for number in range(50):
            sender = clients[number % 2]
            sender.send(f"others message {number}\nsay sent {number}\n")
            while sender.line() != f"sent {number}":
                pass
        for client in clients[2:]:
            assert client.lines(50) == [f"message {number}" for number in range(50)]


@pytest.mark.parametrize("end", ["reload", "stop"])
def test_streams_hear_of_a_drain_and_may_go_on_within_the_grace(session, end):
    daemon, address = start(session, stream={"idle_grace": "1s"}, graceful_timeout="10s")
    with contextlib.ExitStack() as stack:
        client = talker(stack, address)
        if end == "reload":
            daemon.reload()
        else:
            daemon.send(signal.SIGTERM)
        assert client.line() == "draining"
        client.send("say still here\nclose\n")
        assert client.rest() == "still here\n"
    if end == "stop":
        assert daemon.wait_exit() == 0


@pytest.mark.parametrize("concurrency", WAITING)
def test_a_blocking_module_comes_back_from_its_read_at_a_drain(session, concurrency):
    daemon, address = start(session, concurrency, graceful_timeout="30s")
    with contextlib.ExitStack() as stack:
        client = talker(stack, address)
        daemon.reload()
        assert client.rest() == "draining\n"
        daemon.wait("gen=1 .*reading ended: draining")
        again = talker(stack, address)
        again.send("say new\n")
        assert again.line() == "new"
    daemon.wait(r"gen=1 pid=\d+: exited with status 0")


@pytest.mark.parametrize("concurrency", MODELS)
def test_a_silent_stream_ends_after_the_idle_timeout(session, concurrency):
    daemon, address = start(session, concurrency, stream={"idle_timeout": "300ms"})
    with contextlib.ExitStack() as stack:
        client = talker(stack, address)
        text = client.rest()
        assert text in ("", "timeout\n")
        assert talker(stack, address)


@pytest.mark.parametrize("concurrency", MODELS)
def test_obituaries_of_a_killed_worker_tell_of_its_streams(session, concurrency):
    daemon, address = start(session, concurrency)
    with contextlib.ExitStack() as stack:
        client = talker(stack, address)
        mark = daemon.log.mark()
        daemon.kill_worker(daemon.workers("talk")[0])
        assert is_over(client)
        daemon.wait(r"killed by signal 9 \(SIGKILL\)", mark)
        daemon.wait(r"worker\[0\] gen=1 pid=\d+: ready", mark)
        again = talker(stack, address)
        again.send("say new\n")
        assert again.line() == "new"
