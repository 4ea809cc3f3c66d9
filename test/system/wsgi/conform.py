"""A WSGI application for each thing that a server can get wrong: /NAME/... runs the function of that name below. All but
those that break the rules on purpose run inside wsgiref.validate."""

import io
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from wsgiref.validate import validator

PLAIN = [("Content-Type", "text/plain")]
closed = []  # names of answers whose close() was called
BREAKS_RULES = set()


def breaks_rules(function):
    BREAKS_RULES.add(function.__name__)
    return function


def text(start_response, body, status="200 OK", headers=()):
    body = body if isinstance(body, bytes) else str(body).encode()
    start_response(status, [*PLAIN, ("Content-Length", str(len(body))), *headers])
    return [body]


class Closing:
    """An iterable that says when close() was called."""

    def __init__(self, name, parts):
        self.name, self.parts = name, iter(parts)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.parts)

    def close(self):
        closed.append(self.name)


# ---------------------------------------------------------------------------------------------------------- environ


def environ(environ, start_response):
    shown = {key: value for key, value in environ.items() if isinstance(value, (str, bool, tuple))}
    return text(start_response, json.dumps(shown))


def types(environ, start_response):
    bad = [key for key, value in environ.items()
           if not key.startswith("wsgi.") and type(value) is not str] + [key for key in environ if type(key) is not str]
    assert type(environ) is dict
    environ["mine"] = 1  # it is this request's own
    return text(start_response, bad)


def fresh(environ, start_response):
    body = text(start_response, "mine" in environ)
    environ["mine"] = 1
    environ["wsgi.version"] = None
    return body


# ------------------------------------------------------------------------------------------------------------- input


def read_all(environ, start_response):
    return text(start_response, environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))


@breaks_rules
def read_without_size(environ, start_response):
    return text(start_response, environ["wsgi.input"].read())


@breaks_rules
def read_sizes(environ, start_response):
    body = environ["wsgi.input"]
    parts = [body.read(3), body.read(0), body.read(2), body.read(None), body.read(10), body.read(-1)]
    return text(start_response, repr(parts))


@breaks_rules
def lines(environ, start_response):
    body = environ["wsgi.input"]
    parts = [body.readline(), body.readline(2), body.readline(None), body.readline(-1), list(body), body.readline()]
    return text(start_response, repr(parts))


@breaks_rules
def readlines(environ, start_response):
    body = environ["wsgi.input"]
    return text(start_response, repr([body.readlines(3), body.readlines(), body.readlines(0)]))


@breaks_rules
def wrong_read(environ, start_response):
    try:
        environ["wsgi.input"].read("x")
    except TypeError as error:
        return text(start_response, f"TypeError {error}")


@breaks_rules
def as_text(environ, start_response):
    """What frameworks do: a buffered reader over the input."""
    total = 0
    for piece in iter(lambda: environ["wsgi.input"].read(65536), b""):
        total += len(piece)
    return text(start_response, total)


def ignores_input(environ, start_response):
    return text(start_response, "ignored")


# ------------------------------------------------------------------------------------------------------------ answers


def simple(environ, start_response):
    return text(start_response, "hello")


def no_length(environ, start_response):
    start_response("200 OK", list(PLAIN))
    return [b"one ", b"two ", b"three"]


def a_tuple(environ, start_response):
    start_response("200 OK", list(PLAIN))
    return (b"one ", b"two")


def empty_list(environ, start_response):
    start_response("200 OK", list(PLAIN))
    return []


def generator(environ, start_response):
    start_response("200 OK", list(PLAIN))
    for number in range(5):
        yield b"part %d\n" % number


@breaks_rules  # for the validator alone: PEP 3333 allows it
def late_start(environ, start_response):
    """start_response() in the first step of the iteration, after an empty part."""
    yield b""
    start_response("202 Accepted", list(PLAIN))
    yield b"late"


def empty_parts(environ, start_response):
    start_response("200 OK", list(PLAIN))
    return Closing("empty_parts", [b"", b"a", b"", b"b", b""])


def large(environ, start_response):
    start_response("200 OK", [*PLAIN, ("Content-Length", str(5 << 20))])
    return [b"x" * (5 << 20)]


def large_parts(environ, start_response):
    start_response("200 OK", list(PLAIN))
    return (bytes([65 + number % 26]) * 100_000 for number in range(50))


def with_close(environ, start_response):
    start_response("200 OK", list(PLAIN))
    return Closing("with_close", [b"a", b"b"])


def sized_with_close(environ, start_response):
    start_response("200 OK", [*PLAIN, ("Content-Length", "2")])
    return Closing("sized_with_close", [b"ab"])


@breaks_rules
def was_closed(environ, start_response):
    return text(start_response, json.dumps(closed))


@breaks_rules
def close_fails(environ, start_response):
    answer = Closing("close_fails", [b"fine"])
    answer.close = None
    start_response("200 OK", list(PLAIN))

    class Bad(Closing):
        def close(self):
            raise OSError("close failed")

    return Bad("bad", [b"fine"])


def written(environ, start_response):
    write = start_response("200 OK", list(PLAIN))
    write(b"written, ")
    write(b"twice, ")
    return [b"then returned"]


def written_only(environ, start_response):
    write = start_response("200 OK", list(PLAIN))
    write(b"written")
    return []


def status_204(environ, start_response):
    start_response("204 No Content", [])
    return []


def status_304(environ, start_response):
    start_response("304 Not Modified", [("ETag", '"a"')])
    return []


def status_404(environ, start_response):
    return text(start_response, "nothing here", "404 Not Found")


def status_299(environ, start_response):
    return text(start_response, "odd", "299 My Own Words")


def cookies(environ, start_response):
    return text(start_response, "cookies", headers=[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2; Path=/")])


def latin1(environ, start_response):
    return text(start_response, "latin", headers=[("X-Name", "Zo\xeb")])


def own_server(environ, start_response):
    return text(start_response, "mine", headers=[("Server", "mine/1")])


def head_length(environ, start_response):
    """What frameworks answer to HEAD: the length of the body that GET would have."""
    start_response("200 OK", [*PLAIN, ("Content-Length", "12345")])
    return []


@breaks_rules  # the validator would hide the wrapper, and the file would be read
def file(environ, start_response):
    stream = tempfile.TemporaryFile()
    stream.write(b"0123456789" * 20_000)
    stream.seek(5)
    start_response("200 OK", list(PLAIN))
    return environ["wsgi.file_wrapper"](stream, 4096)


@breaks_rules
def sized_file(environ, start_response):
    stream = tempfile.TemporaryFile()
    stream.write(b"0123456789" * 20_000)
    stream.seek(0)
    start_response("200 OK", [*PLAIN, ("Content-Length", "1000")])
    return environ["wsgi.file_wrapper"](stream)


def not_a_file(environ, start_response):
    start_response("200 OK", list(PLAIN))
    return environ["wsgi.file_wrapper"](io.BytesIO(b"0123456789" * 2_000), 7)


def wrapped_file(environ, start_response):
    """Middleware that iterates over it."""
    stream = tempfile.TemporaryFile()
    stream.write(b"abc")
    stream.seek(0)
    start_response("200 OK", list(PLAIN))
    yield from environ["wsgi.file_wrapper"](stream, 2)


# ------------------------------------------------------------------------------------------------------------ failures


@breaks_rules
def raises(environ, start_response):
    raise ValueError("asked for")


@breaks_rules
def raises_after_start(environ, start_response):
    start_response("200 OK", list(PLAIN))
    raise ValueError("asked for")


@breaks_rules
def raises_first(environ, start_response):
    start_response("200 OK", list(PLAIN))

    def parts():
        raise ValueError("asked for")
        yield b""

    return parts()


@breaks_rules
def raises_later(environ, start_response):
    start_response("200 OK", list(PLAIN))
    yield b"first"
    raise ValueError("asked for")


@breaks_rules
def exits(environ, start_response):
    sys.exit(3)


@breaks_rules
def interrupts(environ, start_response):
    raise KeyboardInterrupt


@breaks_rules
def never_starts(environ, start_response):
    return [b"no head"]


@breaks_rules
def returns_none(environ, start_response):
    start_response("200 OK", list(PLAIN))


@breaks_rules
def returns_text(environ, start_response):
    start_response("200 OK", list(PLAIN))
    return ["text"]


@breaks_rules
def starts_twice(environ, start_response):
    start_response("200 OK", list(PLAIN))
    start_response("200 OK", list(PLAIN))
    return [b""]


@breaks_rules
def recovers(environ, start_response):
    """An error page in place of the answer, as exc_info is meant."""
    start_response("200 OK", [("X-First", "1")])
    try:
        raise ValueError("asked for")
    except ValueError:
        start_response("503 Service Unavailable", list(PLAIN), sys.exc_info())
    return [b"sorry"]


@breaks_rules
def too_late_to_recover(environ, start_response):
    start_response("200 OK", list(PLAIN))
    yield b"first"
    try:
        raise ValueError("asked for")
    except ValueError:
        start_response("503 Service Unavailable", list(PLAIN), sys.exc_info())
    yield b"never"


@breaks_rules
def too_short(environ, start_response):
    start_response("200 OK", [*PLAIN, ("Content-Length", "10")])
    return [b"short"]


@breaks_rules
def too_short_parts(environ, start_response):
    start_response("200 OK", [*PLAIN, ("Content-Length", "10")])
    return (part for part in [b"sh", b"ort"])


@breaks_rules
def too_long(environ, start_response):
    start_response("200 OK", [*PLAIN, ("Content-Length", "4")])
    return [b"too long"]


@breaks_rules
def too_long_parts(environ, start_response):
    start_response("200 OK", [*PLAIN, ("Content-Length", "4")])
    return (part for part in [b"to", b"o long", b"!"])


def wrong(status="200 OK", headers=()):
    @breaks_rules
    def application(environ, start_response):
        start_response(status, headers)
        return [b"never"]

    return application


bytes_status = wrong(b"200 OK")
bare_status = wrong("200OK")
low_status = wrong("100 Continue")
word_status = wrong("OK")
bytes_header = wrong(headers=[(b"X-A", b"b")])
number_header = wrong(headers=[("X-A", 5)])
header_list = wrong(headers=[["X-A", "b"]])
header_text = wrong(headers="X-A: b")
no_headers = wrong(headers=None)
bad_name = wrong(headers=[("X A", "b")])
split_header = wrong(headers=[("X-A", "b\r\nX-Evil: 1")])
wide_header = wrong(headers=[("X-A", "\u20ac")])
bad_length = wrong(headers=[("Content-Length", "ten")])
two_lengths = wrong(headers=[("Content-Length", "5"), ("Content-Length", "6")])


@breaks_rules
def hop_by_hop(environ, start_response):
    body = b"fine"
    start_response("200 OK", [*PLAIN, ("Content-Length", "4"), ("Connection", "x-private"), ("Keep-Alive", "timeout=1"),
                              ("Transfer-Encoding", "chunked"), ("Date", "yesterday")])
    return [body]


# ------------------------------------------------------------------------------------------------------- surroundings


def errors(environ, start_response):
    environ["wsgi.errors"].write("to wsgi.errors\n")
    environ["wsgi.errors"].writelines(["two ", "parts\n"])
    environ["wsgi.errors"].flush()
    print("to stdout")
    print("to stderr", file=sys.stderr)
    return text(start_response, "told")


def host(environ, start_response):
    main = sys.modules["__main__"]
    return text(start_response, json.dumps({
        "argv": sys.argv, "path": sys.path[:2], "cwd": os.getcwd(),
        "main": sorted(name for name in vars(main) if not name.startswith("__")),
        "thread": threading.current_thread() is threading.main_thread(),
        "TEST": os.environ.get("TEST"), "prefix": sys.prefix, "version": list(sys.version_info[:2])}))


def child(environ, start_response):
    """What a program that the application starts inherits: descriptors, blocked and ignored signals."""
    script = ("import os, re; status = open('/proc/self/status').read(); print(len(os.listdir('/proc/self/fd')), "
              "re.search(r'SigBlk:\\s*(\\w+)', status)[1], re.search(r'SigIgn:\\s*(\\w+)', status)[1])")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return text(start_response, done.stdout)


def forked(environ, start_response):
    """What a child that the application forks has: sockets, and what TERM does to it."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        sockets = [fd for fd in os.listdir("/proc/self/fd")
                   if os.path.lexists(f"/proc/self/fd/{fd}") and "socket:" in os.readlink(f"/proc/self/fd/{fd}")]
        os.write(writer, repr(sockets).encode() + b"\n")
        time.sleep(60)
        os._exit(7)
    os.close(writer)
    sockets = os.read(reader, 1000)
    os.close(reader)
    os.kill(pid, 15)
    _, status = os.waitpid(pid, 0)
    return text(start_response, f"{sockets.decode().strip()} {os.WTERMSIG(status) if os.WIFSIGNALED(status) else status}")


def slow_parts(environ, start_response):
    start_response("200 OK", list(PLAIN))
    return Closing("slow_parts", (b"x" * 60_000 for _ in range(10_000)))


def application(environ, start_response):
    name = environ["PATH_INFO"].split("/")[1]
    function = globals()[name]
    if name not in BREAKS_RULES and function.__name__ not in BREAKS_RULES:
        function = CHECKED.setdefault(name, validator(function))
    return function(environ, start_response)


CHECKED = {}


def create_application():
    return application
