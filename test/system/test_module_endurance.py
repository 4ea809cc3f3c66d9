"""Every example of docs/examples in every model that suits it, all in one daemon and all under load, while their files
change with each of 50 reloads, and while their workers are killed."""

import contextlib
import hashlib

from client import Cut, Load
from harness import wait_until
from modules import EXAMPLES, GONE, MODELS, WAITING, Lines, install, module_pool

HTTP = [("hello", model) for model in MODELS] + [("hello_c", model) for model in MODELS] + [
    ("hash", model) for model in WAITING]
STREAMS = [("key_value", "event"), ("chat", "event"), *(("ask", model) for model in WAITING)]
ANSWERS = {"hello": {"/?name=you": b"hello you"}, "hello_c": {"/?name=you": b"hello you"},
           "hash": {"/": f"{hashlib.sha256().hexdigest()} 0\n".encode()}}
RELOADS = 50


def keep_and_get(client, number):
    """Of key_value: a conversation that a reload may come into."""
    for said, answer in ((f"SET key{number} {number}\n", "OK"), (f"GET key{number}\n", f"VALUE {number}")):
        client.send(said)
        assert client.line() == answer
    client.send("QUIT\n")
    assert client.line() == "BYE"


def enter(client, number):
    """Of chat, which says goodbye to all when its worker is to end."""
    client.send(f"guest {number}\n")
    text = client.until(b" here\n", b" come back at once\n")
    assert text.startswith("your name? ")
    if not text.endswith(" come back at once\n"):
        assert f"* hello guest {number}, " in text


def calculate(client, number):
    """Of ask, which says between two questions that it ends."""
    for _ in range(3):
        client.send(f"{number} * 2 + 1\n")
        if client.until(b"= %d\n" % (number * 2 + 1), b"please come back\n").endswith("come back\n"):
            return


TALKS = {"key_value": keep_and_get, "chat": enter, "ask": calculate}


class Conversations(Load):
    """Constant load of clients that talk with a stream module, one conversation after the other."""

    def __init__(self, address, talk, **more):
        self._talk = talk
        super().__init__(address, {}, keep_alive=0, **more)

    def _short(self, turn):
        with Lines(self._address) as client:
            self._talk(client, turn)
        with self._lock:
            self.answers += 1
        return turn + 1


@contextlib.contextmanager
def load_of_all(daemon, tolerate=()):
    """{pool: its load}. At the end none of them may have met anything but what it tolerates."""
    with contextlib.ExitStack() as stack:
        loads = {f"{name}_{model}": stack.enter_context(
            Load(daemon.address(f"{name}_{model}"), ANSWERS[name], short=1, keep_alive=1, tolerate=tolerate))
            for name, model in HTTP}
        loads |= {f"{name}_{model}": stack.enter_context(
            Conversations(daemon.address(f"{name}_{model}"), TALKS[name], short=2, tolerate=tolerate))
            for name, model in STREAMS}
        yield loads
    assert {pool: load.failures for pool, load in loads.items() if load.failures} == {}


def test_all_examples_in_all_models_survive_50_reloads_with_changed_files_and_the_death_of_each_worker(session):
    names = sorted({name for name, _ in HTTP + STREAMS})
    assert {path.stem for path in EXAMPLES.glob("*.so")} == set(names)
    paths = {name: session.folder / f"{name}.so" for name in names}
    for name, path in paths.items():
        install(EXAMPLES / f"{name}.so", path)
    pools = []
    for name, model in HTTP + STREAMS:
        listen = [f"127.0.1.{len(pools) + 1}:0"]  # an address belongs to one pool
        protocol = "stream" if (name, model) in STREAMS else "http"
        pools.append(module_pool(f"{name}_{model}", model, path=paths[name], workers=1, protocol=protocol, listen=listen))
    daemon = session.start("\n".join(pools), level="info")

    with load_of_all(daemon) as loads:
        for number in range(2, RELOADS + 2):
            before = {pool: load.answers for pool, load in loads.items()}
            for path in paths.values():  # what is behind its sections, a library does not look at
                changed = path.with_suffix(".changed")
                changed.write_bytes(path.read_bytes() + b"%d" % number)
                install(changed, path)
            assert daemon.reload() == number
            wait_until(lambda: all(load.answers > before[pool] or load.failures for pool, load in loads.items()),
                       lambda: f"an answer of each pool: {[p for p, l in loads.items() if l.answers == before[p]]}")

    with load_of_all(daemon, tolerate=(*GONE, Cut)) as loads:
        for pool, load in loads.items():
            load.wait_for(3)
            victim, = daemon.workers(pool, RELOADS + 1).values()
            mark = daemon.log.mark()
            daemon.kill_worker(victim)
            daemon.wait(rf"{pool}/worker\[0\] gen={RELOADS + 1} pid=\d+: ready", mark)
            load.wait_for(3)
            # Each of its two clients had at most one conversation in there, and one that waited to be closed.
            assert load.cuts <= 4, f"{load.cuts} connections of {pool} were lost"
        assert {pool: load.cuts for pool, load in loads.items() if load.cuts > 4} == {}
