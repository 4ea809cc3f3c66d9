"""The examples of docs/examples, in every model that suits them, as their readers would use them."""

import contextlib
import hashlib
import os
import re
import signal
import threading

import pytest

from client import Connection, Load, get
from harness import LIMIT, wait_until
from limits import TOP
from modules import EXAMPLES, GONE, MODELS, WAITING, Lines, metric, module_pool, plain_crashes

# ------------------------------------------------------------------------------------------------------------- hello


@pytest.mark.parametrize("concurrency", MODELS)
@pytest.mark.parametrize("module", ["hello", "hello_c"])
def test_hello_greets_by_name_over_one_connection_and_over_many(session, concurrency, module):
    daemon = session.start(module_pool("hello", concurrency, module=module))
    address = daemon.address("hello")
    with Connection(address) as connection:
        for name, answer in (("", b"hello world"), ("?name=you", b"hello you"), ("?name=a%20b%26c", b"hello a b&c"),
                             ("?x=1&name=", b"hello ")):
            got = connection.get("/" + name)
            assert (got.status, got.body) == (200, answer)
            assert got.headers["content-type"] == "text/plain; charset=utf-8"
            assert got.headers["content-length"] == str(len(answer))
        head = connection.get("/?name=you", method="HEAD")
        assert (head.status, head.headers["content-length"]) == (200, "9")
    with Load(address, {"/?name=load": b"hello load"}) as load:
        load.wait_for(500)
        load.stop()
        assert load.failures == []


def test_hello_in_c_takes_an_option_and_tells_where_a_wrong_one_stands(session):
    daemon = session.start(module_pool("hello", module="hello_c", workers=1, options={"greeting": "good day"}))
    assert get(daemon.address("hello")).body == b"good day world"
    lines = daemon.reload_fails(daemon.config_path.read_text().replace('"good day"', "42"))
    assert re.search(r"prongd\.toml:\d+:\d+: error: the option \"greeting\" has to be a string", "\n".join(lines))


# --------------------------------------------------------------------------------------------------------- key_value


def test_key_value_answers_each_command_with_both_line_ends_and_pipelined(session):
    daemon = session.start(module_pool("key_value", stream={}, workers=1))
    with Lines(daemon.address("key_value")) as client:
        client.send("GET a\r\nSET a some text \r\nGET a\nSET a other\nCOUNT\nDEL a\nDEL a\nGET a\nCOUNT\n")
        assert client.lines(9) == ["NONE", "OK", "VALUE some text ", "OK", "COUNT 1", "OK", "NONE", "NONE", "COUNT 0"]
        client.send("set a b\nSET\nNONSENSE\n\n")
        assert all(line.startswith("ERROR use SET") for line in client.lines(4))
        for part in ("SE", "T k", "ey val", "ue\nG", "ET key", "\n"):
            client.send(part)
        assert client.lines(2) == ["OK", "VALUE value"]
        client.send("QUIT\nGET key\n")
        assert client.rest() == "BYE\n"
    assert metric(daemon, "key_value", "key_value_entries")["value"] == 1
    assert metric(daemon, "key_value", "key_value_commands_total", command="set")["value"] == 3
    assert metric(daemon, "key_value", "key_value_errors_total")["value"] == 4


def test_key_value_bounds_lines_memory_and_answers(session):
    options = {"max_line": "1KiB", "max_memory": "100KiB"}
    daemon = session.start(module_pool("key_value", stream={}, workers=1, options=options))
    address = daemon.address("key_value")
    with Lines(address) as client:
        for end in ("\n", ""):
            with Lines(address) as other:
                other.send("SET a " + "x" * 2000 + end)
                assert other.rest() == "ERROR line too long\n"
        client.send("".join(f"SET key{number} {'v' * 990}\n" for number in range(110)))
        answers = client.lines(110)
        assert answers.count("OK") == 102 and set(answers[102:]) == {"ERROR no room for more"}
    # 4 MB of answers to 40 KB of questions: they are made as the client takes them.
    with Lines(address, receive_buffer=4096) as slow:
        sender = threading.Thread(target=lambda: slow.send("GET key7\n" * 4500 + "QUIT\n"))
        sender.start()
        with Lines(address) as other:
            other.send("COUNT\n")
            assert other.line() == "COUNT 102"
        assert slow.rest() == ("VALUE " + "v" * 990 + "\n") * 4500 + "BYE\n"
        sender.join(LIMIT)


def test_key_value_gives_a_half_closed_client_all_its_answers(session):
    daemon = session.start(module_pool("key_value", stream={}, workers=1))
    with Lines(daemon.address("key_value")) as client:
        client.send("SET a b\nGET a\n")
        client.socket.shutdown(1)
        assert client.rest() == "OK\nVALUE b\n"


# -------------------------------------------------------------------------------------------------------------- hash


def post(connection, target, body, headers=()):
    connection.request(target, "POST", [f"Content-Length: {len(body)}", *headers])
    connection.send(body)
    return connection.response()


@pytest.mark.parametrize("concurrency", WAITING)
def test_hash_is_that_of_hashlib_for_bodies_of_every_size(session, concurrency):
    daemon = session.start(module_pool("hash", concurrency, http={"body_buffer": "64KiB"}))
    with Connection(daemon.address("hash")) as connection:
        for size in (0, 1, 55, 56, 63, 64, 65, 1000, 65536, 300_000):
            body = os.urandom(size)
            answer = post(connection, "/", body)
            assert answer.body.decode() == f"{hashlib.sha256(body).hexdigest()} {size}\n"
        assert post(connection, "/", b"x", ["Tag: 3 tagged"]).headers["tag"] == "tag"


def test_hash_rounds_are_hashed_again_and_counted_in_its_histogram(session):
    daemon = session.start(module_pool("hash", "process", options={"rounds": 3}))
    expected = b"hello"
    for _ in range(3):
        expected = hashlib.sha256(expected).hexdigest().encode()
    with Connection(daemon.address("hash")) as connection:
        assert post(connection, "/", b"hello").body == expected + b" 5\n"
    histogram = metric(daemon, "hash", "hash_seconds")
    assert histogram["kind"] == "histogram" and histogram["count"] == 1


@pytest.mark.parametrize("concurrency", WAITING)
def test_the_old_parser_of_hash_takes_its_worker_down_and_nobody_else_notices(session, concurrency):
    session.environment |= plain_crashes()
    daemon = session.start(module_pool("hash", concurrency, workers=3))
    address = daemon.address("hash")
    death = r"killed by signal (11|6|7) |exited with status 1\b"
    daemon.expect(death)
    daemon.crashes_on_purpose = True
    daemon.expect(r"^\*\*\* (buffer overflow|stack smashing) detected")  # the C library's own words
    with Load(address, {"/": f"{hashlib.sha256().hexdigest()} 0\n".encode()}, tolerate=GONE) as load:
        load.wait_for(20)
        for turn in range(3):
            mark = daemon.log.mark()
            with Connection(address) as connection, pytest.raises(GONE):
                post(connection, "/", b"hello", ["Tag: 9999999 hello"])
            line = daemon.wait(death, mark).string
            assert re.search(r"POST /.*hash\.so", line), "the obituary names the request and the module"
            daemon.wait(r"worker\[\d\] gen=1 pid=\d+: ready", mark)
            load.wait_for(20)
            assert turn == 2 or not daemon.log.find("backoff", mark)
        load.stop()
        assert load.failures == []
        assert load.cuts <= 3 * (3 if concurrency == "thread" else 1) + 6


# -------------------------------------------------------------------------------------------------------------- chat


def guest(stack, address, name):
    client = stack.enter_context(Lines(address))
    assert client.until(b"? ") == "your name? "
    client.send(name + "\n")
    assert client.line().startswith(f"* hello {name}, ")
    return client


def test_chat_sends_each_line_to_all_others(session):
    daemon = session.start(module_pool("chat", stream={}, workers=1))
    address = daemon.address("chat")
    with contextlib.ExitStack() as stack:
        ada, bob = guest(stack, address, "ada"), guest(stack, address, "bob")
        assert ada.line() == "* bob has come"
        with contextlib.ExitStack() as shorter:
            eve = guest(shorter, address, "eve")
            assert ada.line() == bob.line() == "* eve has come"
            ada.send("good mor")
            ada.send("ning\r\nhow are you?\n")
            for other in (bob, eve):
                assert other.lines(2) == ["ada: good morning", "ada: how are you?"]
        assert ada.line() == bob.line() == "* eve has left"
        bob.send("x" * 5000)  # no line ever
        assert ada.line() == "* bob has left"


def test_chat_skips_a_slow_guest_and_tells_it_what_it_has_missed(session):
    daemon = session.start(module_pool("chat", stream={"max_output": "8MiB"}, workers=1))
    address = daemon.address("chat")
    with contextlib.ExitStack() as stack:
        ada = guest(stack, address, "ada")
        slow = stack.enter_context(Lines(address, receive_buffer=4096))
        slow.send("slow\n")
        assert ada.line() == "* slow has come"
        quick = guest(stack, address, "quick")
        assert ada.line() == "* quick has come"
        number = 0
        while number < 20_000:  # more than the buffers of the kernel and of prongd hold
            ada.send("".join(f"{number + each} {'x' * 900}\n" for each in range(100)))
            assert quick.lines(100)[0].startswith(f"ada: {number} ")
            number += 100
        seen, missed = 0, 0
        while seen + missed < number:
            line = slow.line()
            seen += ": " in line
            if match := re.search(r"\* you have missed (\d+) messages", line):
                missed += int(match[1])
        assert missed > 0 and seen + missed == number
        ada.send("once more\n")
        assert slow.line() == "ada: once more"


def test_chat_asks_a_silent_guest_and_then_ends_it(session):
    daemon = session.start(module_pool("chat", stream={}, workers=1, options={"patience": "300ms"}))
    with contextlib.ExitStack() as stack:
        client = guest(stack, daemon.address("chat"), "ada")
        assert client.line() == "* are you still there?"
        client.send("yes\n")
        assert client.line() == "* are you still there?"
        assert client.rest() == "* goodbye\n"


def test_chat_says_goodbye_at_a_reload_and_guests_find_the_new_worker(session):
    daemon = session.start(module_pool("chat", stream={}, workers=1))
    address = daemon.address("chat")
    with contextlib.ExitStack() as stack:
        guests = [guest(stack, address, name) for name in ("ada", "bob", "eve")]
        daemon.reload()
        for each in guests:
            assert each.rest().endswith("* this server is going down, come back at once\n")
    with contextlib.ExitStack() as stack:
        wait_until(lambda: not daemon.workers("chat", 1), "the end of the old worker")
        guest(stack, address, "ada")


# --------------------------------------------------------------------------------------------------------------- ask


@pytest.mark.parametrize("concurrency", WAITING)
def test_ask_calculates_for_several_clients_at_once(session, concurrency):
    daemon = session.start(module_pool("ask", concurrency, stream={}))
    address = daemon.address("ask")
    with Lines(address) as one, Lines(address) as two:
        for client in (one, two):
            client.send("1 + 2 * 3\n")
        for client in (one, two):
            assert client.until(b"= 7\n") == "> = 7\n"
        one.send("2 * (3 + 4) - -1\n(1\n1 +\n1 / 8 x\n\n")
        assert one.rest() == ('> = 15\n> ? a parenthesis is not closed\n> ? a number is missing\n'
                              '> ? "x" is not understood\n> goodbye\n')
        two.send("(" * 250 + "\n")
        assert two.rest() == "> that line is too long\n"


@pytest.mark.parametrize("concurrency", WAITING)
def test_ask_tells_its_clients_between_two_questions_that_it_ends(session, concurrency):
    daemon = session.start(module_pool("ask", concurrency, stream={}))
    with Lines(daemon.address("ask")) as idle, Lines(daemon.address("ask")) as busy:
        idle.send("1 + 1\n")
        busy.send("1 + 1\n1 +")  # the half of a question is there when the drain comes: it is answered first
        for client in (idle, busy):
            assert client.until(b"\n> ") == "> = 2\n> "
        daemon.send(signal.SIGHUP)
        assert idle.rest() == "closing down, please come back\n"
        busy.send(" 2\n")
        assert busy.rest().startswith("= 3\n> ")
        daemon.wait("reload done: generation 2")


# ---------------------------------------------------------------------------------------------------------- all of them


def test_the_configuration_of_the_examples_runs_them_all(session):
    """docs/examples/modules.toml, beside the modules that its comment says to build."""
    folder = session.folder / "examples"
    folder.mkdir()
    for module in EXAMPLES.glob("*.so"):
        (folder / module.name).symlink_to(module)
    text = (TOP / "docs/examples/modules.toml").read_text()
    text = re.sub(r"127\.0\.0\.1:700(\d)", r"127.0.0.1\1:0", text).replace('path = "', f'path = "{folder}/')
    daemon = session.start(text.replace('workers = "auto"', "workers = 2"))
    assert get(daemon.address("hello")).body == b"hello world"
    assert get(daemon.address("hash")).body.endswith(b" 0\n")
    for name, said, answer in (("key_value", "COUNT\n", "COUNT 0\n"), ("chat", "ada\n", "others are here\n"),
                               ("ask", "6 * 7\n", "= 42\n")):
        with Lines(daemon.address(name)) as client:
            client.send(said)
            assert client.until(answer.encode()).endswith(answer)
