"""Modules at the edges of what their headers promise: each is a few lines that are built here."""

import contextlib
import hashlib
import os
import re
import signal
import socket
import subprocess
import time

import pytest

from client import Connection
from harness import SCALE, table, wait_until
from limits import TOP
from modules import install

INCLUDE = TOP / "include"
CACHE = TOP / "build/test-modules"


def build(session, name, source, language="c++"):
    """A module of that source, in the test's folder. It is compiled once for all tests and builds that have it: what is
    built of prongd does not matter to it."""
    compiler = ["gcc", "-std=c11", "-xc"] if language == "c" else ["g++", "-std=c++17", "-xc++"]
    command = [*compiler, "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-shared", "-fPIC", "-fvisibility=hidden",
               "-pthread", f"-I{INCLUDE}", "-"]
    headers = [path.read_text() for path in sorted(INCLUDE.glob("prong/*.h*"))]
    known = CACHE / f"{hashlib.sha256(repr([command, source, headers]).encode()).hexdigest()}.so"
    if not known.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        fresh = session.folder / "fresh.so"
        subprocess.run([*command, "-o", str(fresh)], input=source, text=True, check=True)
        install(fresh, known)
    library = session.folder / f"{name}.so"
    install(known, library)
    return library


def pool(library, concurrency="event", *, protocol="http", options=None, **more):
    app = {"path": library, "protocol": protocol} | ({"options": options} if options else {})
    return table("pool.edge", listen=["127.0.0.1:0"], workers=1, concurrency=concurrency, module=app, **more)


def start(session, source, concurrency="event", *, language="c++", **more):
    daemon = session.start(pool(build(session, "edge", source, language), concurrency, **more))
    return daemon, daemon.address("edge")


def body_of(address, target):
    with Connection(address) as client:
        return client.get(target).body.decode()


def read_until(client, text):
    got = b""
    while text not in got:
        part = client.socket.recv(4096)
        assert part, f"the connection ended after {got!r}"
        got += part
    return got


CUT_AND_THROW = """
#include <prong/module.hpp>
PRONG_STREAM_MODULE(edge) {
  prong::on_data([](prong::Connection& connection, std::string_view bytes) {
    if (bytes == "cut") {
      connection.cut();
      throw std::runtime_error("of the one that was cut");
    }
    connection.send("got ");
    connection.send(bytes);
  });
}
"""


def test_a_failure_after_cut_is_no_failure_of_the_next_connection(session):
    daemon, address = start(session, CUT_AND_THROW, protocol="stream")
    with Connection(address) as other:
        other.socket.sendall(b"one")
        read_until(other, b"got one")
        with Connection(address) as first, contextlib.suppress(ConnectionResetError):
            first.socket.sendall(b"cut")
            assert first.socket.recv(100) == b""
        other.socket.sendall(b"two")
        read_until(other, b"got two")
    daemon.expect(r"a stream failed: of the one that was cut")


PAUSED = """
#include <prong/module.hpp>
PRONG_STREAM_MODULE(edge) {
  prong::on_open([](prong::Connection& connection) {
    connection.attach<bool>(true);
    connection.want_data(false);
    connection.send("paused\\n");
    prong::after(std::chrono::milliseconds{300}, [connection] {
      connection.send("on\\n");
      connection.attached<bool>() = false;
      connection.want_data(true);
    }).detach();
  });
  prong::on_data([](prong::Connection& connection, std::string_view bytes) {
    if (connection.attached<bool>()) connection.send("TOO EARLY\\n");
    connection.send(bytes);
  });
  prong::on_end([](prong::Connection& connection) {
    if (connection.attached<bool>()) connection.send("TOO EARLY\\n");
    connection.send("end\\n");
    connection.close();
  });
}
"""


def test_who_wants_no_data_when_a_client_comes_gets_what_it_said_with_the_connection_later(session):
    daemon, address = start(session, PAUSED, protocol="stream")
    worker, = daemon.workers("edge").values()
    os.kill(worker, signal.SIGSTOP)
    with Connection(address) as client:
        client.socket.sendall(b"hello\n")
        os.kill(worker, signal.SIGCONT)
        assert read_until(client, b"\n") == b"paused\n"
        client.socket.shutdown(socket.SHUT_WR)
        assert read_until(client, b"end\n") == b"on\nhello\nend\n"


def test_a_paused_connection_gets_no_data_when_its_idle_time_is_over(session):
    paused = PAUSED.replace("milliseconds{300}", "seconds{300}")
    daemon, address = start(session, paused, protocol="stream", stream={"idle_timeout": "300ms"})
    with Connection(address) as client:
        assert read_until(client, b"\n") == b"paused\n"
        client.socket.sendall(b"hello\n")
        rest = b""
        with contextlib.suppress(ConnectionResetError):
            while part := client.socket.recv(4096):
                rest += part
        assert rest == b""


FAILS_TO_START = """
#include <prong/module.hpp>
static prong::Timer timer;
static prong::Watch watch;
PRONG_HTTP_MODULE(edge) {
  timer = prong::every(std::chrono::seconds{1}, [] {});
  throw std::runtime_error("not today");
}
"""


def test_a_timer_in_a_variable_outlives_a_start_that_failed(session):
    daemon = session.start(pool(build(session, "edge", FAILS_TO_START)), ready=False)
    daemon.expect(r"not today")
    daemon.expected_status = 3
    assert daemon.wait_exit() == 3
    assert not re.search(r"Sanitizer|killed by", daemon.log.text())


BLOCKS_LATER = """
#include <unistd.h>
#include <prong/module.hpp>
PRONG_HTTP_MODULE(edge) {
  prong::on_request([](const prong::Request& request, prong::Response& response) {
    if (request.path() != "/block") return response.text(200, "fine");
    auto later = std::make_shared<prong::Deferred>(response.defer());
    prong::after(std::chrono::milliseconds{10}, [later] {
      later->stream(200, [](prong::Body&, std::size_t) {
        while (true) ::pause();
        return prong::Next::kEnd;
      });
    }).detach();
  });
}
"""


def test_a_body_of_a_deferred_answer_that_blocks_the_loop_costs_its_worker(session):
    daemon, address = start(session, BLOCKS_LATER, request_timeout="1s")
    first = daemon.workers("edge")
    with Connection(address) as client:
        client.send(b"GET /block HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: daemon.workers("edge") not in ({}, first), "another worker")
    daemon.expect(r"worker\[0\].*GET /block")
    assert body_of(address, "/") == "fine"


MANY_QUERIES = """
#include <prong/module.hpp>
PRONG_HTTP_MODULE(edge) {
  prong::on_request([](const prong::Request& request, prong::Response& response) {
    const auto all = request.queries();
    std::string text;
    for (const auto& [name, value] : all) text += std::string(name) + "=" + std::string(value) + ";";
    response.text(200, text + std::to_string(all.size()));
  });
}
"""


def test_all_pairs_of_a_long_query_come_in_order_and_cost_no_square_of_their_number(session):
    daemon, address = start(session, MANY_QUERIES, http={"max_request_line": "512KiB", "max_header": "1MiB"})
    assert body_of(address, "/?a=1&&b=%41+c&d") == "a=1;b=A c;d=;3"
    number = 100_000
    began = time.monotonic()
    assert body_of(address, "/?" + "&".join(["ab"] * number)) == "ab=;" * number + str(number)
    assert time.monotonic() - began < 2 * SCALE


ENDINGS = r"""
#include <prong/module.h>
static const prong_api* prong;
static prong_worker* the_worker;
static void closed(void* context) {
  (void)context;
  prong->log(the_worker, PRONG_INFO, prong_string("closed"));
}
static void closed_and_failed(void* context) {
  (void)context;
  prong->fail(the_worker, prong_string("of the close"));
}
static int finish(void* context, prong_body* body, size_t room) {
  (void)context, (void)room;
  prong->body_write(body, prong_string("body"));
  return PRONG_BODY_END;
}
static int start(const prong_api* api, prong_worker* worker, void** state) {
  (void)state;
  prong = api;
  the_worker = worker;
  return PRONG_OK;
}
static int is(prong_text text, const char* path) {
  return text.size == strlen(path) && memcmp(text.data, path, text.size) == 0;
}
static int body(void* state, const prong_request* request, void** upload) {
  (void)state, (void)request, (void)upload;
  return PRONG_BODY_PIECES;
}
static void end_upload(void* state, void* upload) {
  (void)state, (void)upload;
  prong->fail(the_worker, prong_string("of the upload"));
}
static void request(void* state, const prong_request* request, prong_exchange* exchange, void* upload) {
  (void)state, (void)upload;
  prong_response response = {.size = sizeof response, .status = 200, .body = prong_string("fine")};
  prong_source source = {.size = sizeof source, .length = -1, .read = finish, .close = closed};
  if (is(request->path, "/no-read")) {
    source.read = NULL;
    if (prong->respond_stream(exchange, &response, &source) != PRONG_INVALID) return;
  } else if (is(request->path, "/close-fails")) {
    source.close = closed_and_failed;
    prong->respond_stream(exchange, &response, &source);
    return;
  } else if (is(request->path, "/twice")) {
    prong->respond(exchange, &response);
    source.close = closed_and_failed;
    if (prong->respond_stream(exchange, &response, &source) == PRONG_TWICE) return;
  }
  prong->respond(exchange, &response);
}
PRONG_EXPORT const prong_module prong_module_entry = {
    .size = sizeof(prong_module), .abi = PRONG_ABI, .name = "endings", .start = start, .body = body,
    .end_upload = end_upload, .request = request};
"""


@pytest.mark.parametrize("concurrency", ["event", "thread", "process"])
def test_a_source_is_closed_also_when_it_is_refused(session, concurrency):
    daemon, address = start(session, ENDINGS, concurrency, language="c")
    assert body_of(address, "/no-read") == "fine"
    daemon.wait(r"worker\[0\] .*: closed$")


@pytest.mark.parametrize("concurrency", ["event", "process"])
@pytest.mark.parametrize("target, told", [("/close-fails", "of the close"), ("/twice", "of the close")])
def test_a_close_that_fails_is_told_and_no_failure_of_a_request(session, concurrency, target, told):
    daemon, address = start(session, ENDINGS, concurrency, language="c")
    with Connection(address) as client:
        assert client.get(target).status == 200
        assert client.get("/").body == b"fine"
    daemon.expect(rf'module "[^"]*": the close\(\) of a body failed: {told}')


@pytest.mark.parametrize("concurrency", ["event", "process"])
def test_an_end_of_an_upload_that_fails_is_told_and_no_failure_of_the_next_request(session, concurrency):
    daemon, address = start(session, ENDINGS, concurrency, language="c")
    with Connection(address) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
        assert client.response().body == b"fine"
        assert client.get("/").body == b"fine"
    daemon.expect(r'module "[^"]*": its end_upload\(\) failed: of the upload')
