"""What the documentation of modules promises, where a stranger and a reviewer found that it was not so. Each module is a
few lines that are built here."""

import os
import re
import signal
import socket

import pytest

from client import Connection, Cut
from harness import SCALE, table
from modules import MODELS
from test_module_edges import body_of, build, pool, read_until, start

# ------------------------------------------------------------------------------------------------------------ its own work

TICKS = """
#include <prong/module.hpp>
static int left = 10;
static void again() {
  prong::info("once " + std::to_string(left));
  if (--left > 0) prong::after(std::chrono::milliseconds{30}, again).detach();
}
PRONG_HTTP_MODULE(edge) {
  prong::every(std::chrono::milliseconds{40}, [number = 0]() mutable { prong::info("tick " + std::to_string(++number)); })
      .detach();
  again();
  prong::on_request([](const prong::Request&, prong::Response& response) { response.text(200, "fine"); });
}
"""


@pytest.mark.parametrize("concurrency", MODELS)
def test_timers_go_on_in_a_worker_that_nobody_asks_anything(session, concurrency):
    daemon, _ = start(session, TICKS, concurrency)
    daemon.wait("tick 30$")
    daemon.wait("once 1$")


DRAIN_THROWS = """
#include <prong/module.hpp>
PRONG_HTTP_MODULE(edge) {
  prong::on_drain([] { throw std::runtime_error("not yet"); });
  prong::on_request([](const prong::Request&, prong::Response& response) { response.text(200, "fine"); });
}
"""


@pytest.mark.parametrize("concurrency", MODELS)
def test_a_drain_that_throws_is_told_by_its_name(session, concurrency):
    daemon, _ = start(session, DRAIN_THROWS, concurrency)
    daemon.expect(r"its drain\(\) failed: not yet")
    daemon.reload()
    daemon.wait(r"gen=1 .*its drain\(\) failed: not yet")


CLOSED_TOO_EARLY = """
#include <prong/module.hpp>
#include <sys/eventfd.h>
#include <unistd.h>
static prong::Watch first;
static prong::Watch second;
static void refuses_change() {
  try {
    first.change(PRONG_WRITABLE);
  } catch (const prong::Error&) {
    return;
  }
  prong::error("the watch of a closed descriptor was changed");
}
PRONG_HTTP_MODULE(edge) {
  prong::on_request([](const prong::Request&, prong::Response& response) {
    const int descriptor = ::eventfd(0, EFD_CLOEXEC);
    first = prong::watch(descriptor, PRONG_READABLE, [](std::uint32_t) {});
    ::close(descriptor);
    const int again = ::eventfd(1, EFD_CLOEXEC);
    prong::watch(again, PRONG_READABLE, [](std::uint32_t) {}) = {};
    refuses_change();
    second = prong::watch(again, PRONG_READABLE, [](std::uint32_t) {
      prong::info("readable");
      second = {};
    });
    refuses_change();
    first = {};
    response.text(200, again == descriptor ? "the same" : "another");
  });
}
"""


def test_the_end_of_a_watch_whose_descriptor_is_closed_leaves_the_next_one_of_its_number(session):
    daemon, address = start(session, CLOSED_TOO_EARLY)
    assert body_of(address, "/") == "the same"
    daemon.wait("readable")


# ------------------------------------------------------------------------------------------------------ clients that are slow

HEARTBEATS = """
#include <prong/module.hpp>
#include <thread>
struct Told {
  ~Told() { prong::info("the body ends"); }
};
static void beat(prong::BodyWaker waker) {
  prong::after(std::chrono::milliseconds{50}, [waker] {
    waker.wake();
    beat(waker);
  }).detach();
}
PRONG_HTTP_MODULE(edge) {
  prong::on_request([](const prong::Request&, prong::Response& response) {
    const bool waits = prong::worker().model == prong::Model::kEvent;
    auto waker = response.stream(200, [told = std::make_unique<Told>(), waits, left = 16 << 20](prong::Body& body, std::size_t room) mutable {
      // Much at first, and then a little again and again.
      const std::size_t now = left > 0 ? room : 10;
      body.write(std::string(now, 'x'));
      left -= static_cast<int>(now);
      if (left > 0) return prong::Next::kMore;
      if (!waits) std::this_thread::sleep_for(std::chrono::milliseconds{50});
      return waits ? prong::Next::kWait : prong::Next::kMore;
    });
    if (waits) beat(waker);
  });
}
"""


@pytest.mark.parametrize("concurrency", MODELS)
def test_a_client_that_takes_nothing_is_cut_at_send_timeout_however_often_there_is_more(session, concurrency):
    daemon, address = start(session, HEARTBEATS, concurrency, http={"send_timeout": f"{int(500 * SCALE)}ms"})
    with Connection(address, receive_buffer=4096) as client:
        client.request("/")
        daemon.wait("the body ends")


ROOM = """
#include <prong/module.hpp>
#include <set>
static std::set<prong::Connection> all;
PRONG_STREAM_MODULE(edge) {
  prong::on_open([](prong::Connection& connection) {
    all.insert(connection);
    connection.send("hello\\n");
  });
  prong::on_data([](prong::Connection&, std::string_view) {});
  prong::on_close([](prong::Connection& connection) { all.erase(connection); });
  prong::on_drain([] {
    for (const prong::Connection& connection : std::set<prong::Connection>(all)) {
      connection.send("bye\\n");
      connection.close();
    }
  });
}
"""


def test_who_is_taken_from_the_queue_at_the_end_hears_of_it_too(session):
    library = build(session, "edge", ROOM)
    daemon = session.start(pool(library, protocol="stream", max_connections=1, graceful_timeout="1m"))
    with Connection(daemon.address("edge")) as first, Connection(daemon.address("edge")) as second:
        read_until(first, b"hello\n")
        daemon.send(signal.SIGTERM)
        assert read_until(first, b"bye\n") == b"bye\n"
        assert read_until(second, b"bye\n") == b"hello\nbye\n"
        assert daemon.wait_exit() == 0


PAUSED = """
#include <prong/module.hpp>
PRONG_STREAM_MODULE(edge) {
  prong::on_data([](prong::Connection& connection, std::string_view bytes) {
    prong::info("heard " + std::string(bytes));
    connection.want_data(false);
    prong::after(std::chrono::milliseconds{100}, [connection] { connection.want_data(true); }).detach();
    prong::info("paused");
  });
  prong::on_end([](prong::Connection&) { prong::info("its end"); });  // and does not close
  prong::on_close([](prong::Connection&) { prong::info("closed"); });
}
"""


def test_a_unix_client_that_has_gone_while_it_was_paused_does_not_stay(session):
    library = build(session, "edge", PAUSED)
    path = session.folder / "edge.sock"
    daemon = session.start(table("pool.edge", listen=[f"unix:{path}"], workers=1, concurrency="event",
                                 module={"path": library, "protocol": "stream"}, stream={"idle_timeout": "0"}))
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(b"a word")
        daemon.wait("paused")
    daemon.wait("heard a word")
    daemon.wait("its end")
    daemon.wait("closed")


# -------------------------------------------------------------------------------------------------------------- what is told

THROWS = """
#include <prong/module.hpp>
PRONG_HTTP_MODULE(edge) {
  prong::on_request([](const prong::Request& request, prong::Response&) {
    throw std::runtime_error("unknown name " + std::string(request.query("name").value_or("?")) + std::string(3000, 'x'));
  });
}
"""
STREAM_THROWS = """
#include <prong/module.hpp>
static void fail(std::string_view bytes) { throw std::runtime_error("unknown name " + std::string(bytes)); }
PRONG_STREAM_MODULE(edge) {
  prong::on_data([](prong::Connection&, std::string_view bytes) { fail(bytes); });
  prong::on_connection([](prong::BlockingConnection& connection) {
    char buffer[100];
    fail(connection.read(buffer, sizeof buffer).bytes);
  });
}
"""
FORGED = r"2026-11-30 00:00:00.000 error master: forged"


@pytest.mark.parametrize("concurrency", MODELS)
def test_what_a_client_brings_into_an_exception_forges_no_line(session, concurrency):
    daemon, address = start(session, THROWS, concurrency)
    daemon.expect("a request failed: ")
    with Connection(address) as client:
        assert client.get("/greet?name=%0A" + FORGED.replace(" ", "%20") + "%1b[31m").status == 500
    # One line, with the request, of a bounded length.
    line = daemon.wait(r"a request failed: unknown name \\n" + re.escape(FORGED) + r"\\x1b\[31mx+\.\.\., in GET /greet\?name=").string
    assert len(line) < 2000


@pytest.mark.parametrize("concurrency", MODELS)
def test_what_a_client_brings_into_an_exception_of_a_stream_forges_no_line(session, concurrency):
    library = build(session, "edge", STREAM_THROWS)
    daemon = session.start(pool(library, concurrency, protocol="stream"))
    daemon.expect("a stream failed: ")
    with Connection(daemon.address("edge")) as client:
        client.send(b"\n" + FORGED.encode() + b"\x1b[31m")
        daemon.wait(r"a stream failed: unknown name \\n" + re.escape(FORGED) + r"\\x1b\[31m")
    assert not daemon.log.find("^" + re.escape(FORGED))


WRITE_ONLY = """
#include <fcntl.h>
#include <prong/module.hpp>
PRONG_HTTP_MODULE(edge) {
  const std::string path = prong::options::text("path");
  prong::on_request([path](const prong::Request& request, prong::Response& response) {
    if (request.path() == "/write-only") return response.file(200, ::open(path.c_str(), O_WRONLY | O_CLOEXEC), 0, 5);
    if (!response.file(200, std::string(request.query("path").value()))) response.text(404, "none");
  });
}
"""


@pytest.mark.parametrize("concurrency", MODELS)
def test_a_file_that_cannot_be_read_is_told(session, concurrency):
    path = session.folder / "file"
    path.write_text("12345")
    daemon, address = start(session, WRITE_ONLY, concurrency, options={"path": path})
    daemon.expect(r"it is not open for reading \[|a request failed: the file cannot be sent")
    with Connection(address) as client:
        assert client.get("/write-only").status == 500
    daemon.wait(r"the descriptor \d+ cannot be sent: it is not open for reading")
    # A regular file of 4096 bytes which the kernel refuses to read.
    unreadable = "/sys/class/net/lo/speed"
    try:
        with open(unreadable, "rb") as file:
            file.read()
        pytest.skip(f"{unreadable} can be read here")
    except FileNotFoundError:
        pytest.skip(f"there is no {unreadable} here")
    except OSError as error:
        why = os.strerror(error.errno)
    daemon.expect(rf"warn .*/lo/speed could not be sent to its end: .*{why}, so its client was cut")
    with Connection(address) as client, pytest.raises(Cut):
        client.get(f"/?path={unreadable}")
    daemon.wait("could not be sent to its end")


# --------------------------------------------------------------------------------------------------------------- the braces

OPTIONS = """
#include <prong/module.hpp>
PRONG_HTTP_MODULE(edge) {
  const std::string folder = prong::options::required_text("folder");
  prong::options::require("port");
  (void)prong::options::integer("port", 0, 1, 65'535);
  for (std::size_t i = 0; i < prong::options::count("backends").value_or(0); ++i)
    (void)prong::options::required_text("backends[" + std::to_string(i) + "].host");
  (void)prong::options::duration("pause", std::chrono::seconds{1}, std::chrono::milliseconds{1500}, std::chrono::hours{1});
  (void)prong::options::size("room", 1, 1 << 10, 3 << 20);
  (void)prong::options::real("share", 0.5, 0, 1);
  prong::on_request([](const prong::Request& request, prong::Response& response) {
    if (request.path() == "/braces") prong::on_request([](const prong::Request&, prong::Response&) {});
    if (request.path() == "/options") (void)prong::options::text("folder");
    if (request.path() == "/later")
      return prong::after(std::chrono::milliseconds{1}, [later = response.header("A", "b").defer()]() mutable {
               later.header("C", "d").text(200, "later");
             }).detach();
    response.text(200, "fine");
  });
}
"""


def problems_of(session, **options):
    daemon = session.start(pool(build(session, "edge", OPTIONS), options=options), ready=False)
    daemon.expect("edge.so.* cannot start: ")
    daemon.expected_status = 3
    assert daemon.wait_exit() == 3
    line = daemon.log.find(r"edge\.so\" cannot start: (.*)$")[0][1]
    return [re.sub(r"^\S+?:\d+:\d+: ", "", problem) for problem in line.split("; ")]


def test_all_that_is_wrong_with_the_options_is_told_at_once(session):
    told = "; ".join(problems_of(session, foldr="/tmp", backends="none", pause="1s", room="4MiB", share=2))
    for problem in ('the option "folder" is missing', 'the option "port" is missing',
                    'the module knows no option "foldr"; did you mean "folder"?', 'the option "backends" has to be a list',
                    'the option "pause" has to be at least 1500ms', 'the option "room" has to be at most 3MiB',
                    'the option "share" has to be from 0.000000 to 1.000000'):
        assert f"error: {problem}" in told, told


@pytest.mark.parametrize("value", ["no list", 5, True, {}])
def test_a_value_in_place_of_a_list_is_refused(session, value):
    told = problems_of(session, folder="/tmp", port=80, backends=value)
    assert any('the option "backends" has to be a list' in problem for problem in told), told


def test_what_belongs_between_the_braces_is_refused_behind_them(session):
    options = {"folder": "/tmp", "port": 80, "backends": [{"host": "a"}], "pause": "1h", "room": "1KiB", "share": 1}
    daemon, address = start(session, OPTIONS, options=options)
    daemon.expect("a request failed: that is said between the braces of the module, before the worker serves")
    with Connection(address) as client:
        assert client.get("/braces").status == 500
        assert client.get("/options").status == 500
        assert client.get("/").body == b"fine"
        answer = client.get("/later")
        assert (answer.body, answer.headers["a"], answer.headers["c"]) == (b"later", "b", "d")
