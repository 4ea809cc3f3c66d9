"""Who has its turn when: what a module does of its own (timers, descriptors, posted functions) beside its requests, what
comes late, and the end of a worker. Each module is a few lines that are built here."""

import re
import signal

import pytest

from client import Connection, Cut, get
from harness import SCALE, wait_until
from modules import MODELS, WAITING, vanish
from test_module_edges import body_of, build, pool, start

# ---------------------------------------------------------------------------------------------------- answers that are late

ANSWERED_AT_ITS_DEADLINE = """
#include <fcntl.h>
#include <unistd.h>
#include <prong/module.hpp>
#include <array>
#include <thread>
struct Pipe {
  std::array<int, 2> ends;
  prong::Watch watch;
  Pipe() { (void)!::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK); }
};
PRONG_HTTP_MODULE(edge) {
  // After BEFORE it holds the loop up beyond the request's deadline, and has the answer come by an event of the next turn.
  prong::on_request([](const prong::Request& request, prong::Response& response) {
    auto later = std::make_shared<prong::Deferred>(response.defer());
    if (request.path() == "/second") {
      prong::after(std::chrono::milliseconds{100}, [later] { later->text(200, "second"); }).detach();
      return;
    }
    auto pipe = std::make_shared<Pipe>();
    pipe->watch = prong::watch(pipe->ends[0], PRONG_READABLE, [pipe, later](std::uint32_t) {
      later->text(200, "first");
      pipe->watch = {};
    });
    prong::after(std::chrono::milliseconds{BEFORE}, [pipe] {
      std::this_thread::sleep_for(std::chrono::milliseconds{HELD});
      (void)!::write(pipe->ends[1], "x", 1);
    }).detach();
  });
}
"""


def test_an_answer_that_comes_in_the_turn_of_its_deadline_is_that_of_its_own_request(session):
    unit = int(100 * SCALE)
    source = ANSWERED_AT_ITS_DEADLINE.replace("BEFORE", str(7 * unit)).replace("HELD", str(6 * unit))
    daemon, address = start(session, source, request_timeout=f"{10 * unit}ms")
    with Connection(address) as client:
        client.request("/first")
        client.request("/second")
        assert [client.response().body for _ in range(2)] == [b"first", b"second"]
    assert not daemon.log.find("not answered within")


UPLOAD_KEEPS_ITS_ANSWER = """
#include <prong/module.hpp>
struct Kept : prong::Upload {
  std::unique_ptr<prong::Deferred> later;
  bool piece(std::string_view) override { return true; }
  void finish(const prong::Request&, prong::Response& response) override {
    later = std::make_unique<prong::Deferred>(response.defer());
    later->on_gone([] { prong::info("it is gone"); });
    prong::info("waits");
  }
  ~Kept() override { prong::info("upload ends"); }
};
PRONG_HTTP_MODULE(edge) {
  prong::on_upload([](const prong::Request&) { return std::make_unique<Kept>(); });
  prong::on_request([](const prong::Request&, prong::Response& response) { response.text(200, "fine"); });
}
"""


def test_a_client_that_leaves_ends_an_upload_that_holds_its_answer_without_a_complaint(session):
    daemon, address = start(session, UPLOAD_KEEPS_ITS_ANSWER)
    with Connection(address) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
        daemon.wait("waits")
        vanish(client)
    daemon.wait("it is gone")
    daemon.wait("upload ends")
    assert body_of(address, "/") == "fine"


FAILS_AT_THE_HEAD = r"""
#include <prong/module.h>
static const prong_api* prong;
static prong_worker* the_worker;
static int start(const prong_api* api, prong_worker* worker, void** state) {
  (void)state;
  prong = api;
  the_worker = worker;
  return PRONG_OK;
}
static int body(void* state, const prong_request* request, void** upload) {
  (void)state, (void)request;
  *upload = &the_worker;
  prong->fail(the_worker, prong_string("no upload today"));
  return PRONG_BODY_PIECES;
}
static void end_upload(void* state, void* upload) {
  (void)state, (void)upload;
  prong->log(the_worker, PRONG_INFO, prong_string("upload ends"));
}
static void request(void* state, const prong_request* request, prong_exchange* exchange, void* upload) {
  prong_response response = {.size = sizeof response, .status = 200, .body = prong_string("fine")};
  (void)state, (void)request, (void)upload;
  prong->respond(exchange, &response);
}
PRONG_EXPORT const prong_module prong_module_entry = {.size = sizeof(prong_module), .abi = PRONG_ABI, .name = "edge",
    .start = start, .body = body, .end_upload = end_upload, .request = request};
"""


@pytest.mark.parametrize("concurrency", MODELS)
def test_an_upload_whose_beginning_has_failed_ends_with_its_request(session, concurrency):
    daemon, address = start(session, FAILS_AT_THE_HEAD, concurrency, language="c")
    daemon.expect("no upload today")
    with Connection(address) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
        assert client.response().status == 500
    daemon.wait("upload ends")


# -------------------------------------------------------------------------------------------------------- its own callbacks

BURST = """
#include <prong/module.hpp>
#include <thread>
#include <atomic>
static std::atomic<int> left{0};
PRONG_HTTP_MODULE(edge) {
  prong::on_request([](const prong::Request& request, prong::Response& response) {
    if (request.path() == "/left") return response.text(200, std::to_string(left.load()));
    left = 40;
    for (int i = 0; i < 40; ++i)
      HOW([] {
        std::this_thread::sleep_for(std::chrono::milliseconds{HELD});
        --left;
      }) DETACH;
    response.text(200, "begun");
  });
}
"""
HOWS = {"posts": ("prong::post(", ""), "timers": ("prong::after(std::chrono::milliseconds{1}, ", ".detach()")}


@pytest.mark.parametrize("concurrency", ["event", "thread"])
@pytest.mark.parametrize("how", HOWS)
def test_many_short_callbacks_are_not_taken_for_one_that_hangs_and_clients_are_served_between_them(
        session, concurrency, how):
    call, detach = HOWS[how]
    unit = int(60 * SCALE)
    source = BURST.replace("HOW(", call).replace("DETACH", detach).replace("HELD", str(unit))
    # All together 2.4 times as long as a request may take.
    daemon, address = start(session, source, concurrency, request_timeout=f"{1000 * unit // 60}ms")
    before = daemon.workers("edge")
    assert body_of(address, "/begin") == "begun"
    seen = []
    wait_until(lambda: seen.append(int(body_of(address, "/left"))) or seen[-1] == 0, "the end of the burst")
    assert len(set(seen)) > 5
    assert daemon.workers("edge") == before


NO_END = """
#include <prong/module.hpp>
#include <atomic>
#include <thread>
static std::atomic<int> ticks{0};
static std::atomic<int> posts{0};
static void again() {
  std::this_thread::sleep_for(std::chrono::milliseconds{HELD});
  ++posts;
  prong::post(again);
}
static prong::Timer slow;
static prong::Timer tick;
PRONG_HTTP_MODULE(edge) {
  slow = prong::every(std::chrono::milliseconds{1}, [] { std::this_thread::sleep_for(std::chrono::milliseconds{HELD}); });
  tick = prong::every(std::chrono::milliseconds{2}, [] { ++ticks; });
  for (int i = 0; i < 3; ++i) prong::post(again);
  prong::on_request([](const prong::Request&, prong::Response& response) {
    response.text(200, std::to_string(ticks.load()) + " " + std::to_string(posts.load()));
  });
}
"""


@pytest.mark.parametrize("concurrency", MODELS)
def test_functions_that_post_themselves_again_and_a_timer_that_is_always_due_starve_nobody(session, concurrency):
    source = NO_END.replace("HELD", "8")  # more than a turn has
    _, address = start(session, source, concurrency, **({"threads": 2} if concurrency == "thread" else {}))
    seen = []

    def both_went_on():
        ticks, posts = map(int, body_of(address, "/").split())
        seen.append((ticks, posts))
        return ticks >= seen[0][0] + 20 and posts >= seen[0][1] + 20

    wait_until(both_went_on, lambda: f"timers and posted functions to go on: {seen[-1]}")
    assert len(seen) > 5


IN_ORDER = """
#include <prong/module.hpp>
#include <atomic>
#include <thread>
static std::atomic<int> inside{0};
static std::atomic<bool> together{false};
static void call(int number) {
  if (++inside > 1) together = true;
  std::this_thread::sleep_for(std::chrono::milliseconds{number % 10 == 0 ? 30 : 0});
  --inside;
  if (number >= 0) prong::info("posted " + std::to_string(number));
}
static prong::Timer tick;
PRONG_HTTP_MODULE(edge) {
  tick = prong::every(std::chrono::milliseconds{1}, [] { call(-10); });
  prong::on_request([](const prong::Request& request, prong::Response& response) {
    if (request.path() == "/together") return response.text(200, together ? "yes" : "no");
    for (int i = 0; i < 100; ++i) prong::post([i] { call(i); });
    response.text(200, "begun");
  });
}
"""


@pytest.mark.parametrize("concurrency", MODELS)
def test_posted_functions_keep_their_order_and_none_of_them_nor_a_timer_runs_beside_another(session, concurrency):
    daemon, address = start(session, IN_ORDER, concurrency, **({"threads": 4} if concurrency == "thread" else {}))
    assert body_of(address, "/begin") == "begun"
    daemon.wait("posted 99")
    assert [int(match[1]) for match in daemon.log.find(r"posted (\d+)")] == list(range(100))
    assert body_of(address, "/together") == "no"


SILENT_SOURCE = """
#include <prong/module.hpp>
PRONG_HTTP_MODULE(edge) {
  prong::on_request([](const prong::Request& request, prong::Response& response) {
    if (request.path() != "/nothing") return response.text(200, "fine");
    response.stream(200, [](prong::Body&, std::size_t) { return prong::Next::kMore; });
  });
}
"""


@pytest.mark.parametrize("concurrency", MODELS)
def test_a_body_that_says_more_and_writes_nothing_is_cut_and_told(session, concurrency):
    daemon, address = start(session, SILENT_SOURCE, concurrency)
    before = daemon.workers("edge")
    with Connection(address) as client, pytest.raises((Cut, ConnectionResetError)):
        client.get("/nothing")
    daemon.expect("said that there is more, and wrote nothing")
    daemon.wait("said that there is more, and wrote nothing")
    assert body_of(address, "/") == "fine"
    assert daemon.workers("edge") == before


TOO_MANY_METRICS = """
#include <prong/module.hpp>
PRONG_HTTP_MODULE(edge) {
  prong::on_request([](const prong::Request&, prong::Response& response) {
    for (int i = 0; i < 1000; ++i) prong::counter("edge_total", "one for each", "n=\\"" + std::to_string(i) + "\\"").add();
    response.text(200, "fine");
  });
}
"""


def test_metrics_that_cannot_be_are_told_of_a_few_times_a_second_and_counted(session):
    daemon, address = start(session, TOO_MANY_METRICS)
    daemon.expect('the metric "edge_total" cannot be')
    assert body_of(address, "/") == "fine"
    told = daemon.log.find('the metric "edge_total" cannot be')
    assert 1 <= len(told) <= 20 * 2  # a second may end meanwhile


# ------------------------------------------------------------------------------------------------------------------- files

FILES = """
#include <fcntl.h>
#include <unistd.h>
#include <prong/module.hpp>
PRONG_HTTP_MODULE(edge) {
  prong::on_request([](const prong::Request& request, prong::Response& response) {
    int ends[2] = {-1, -1};
    const std::string_view path = request.path();
    if (path == "/pipe") {
      (void)!::pipe2(ends, O_CLOEXEC);
      ::close(ends[1]);
      return response.file(200, ends[0], 0, 10);
    }
    if (path == "/none") return response.file(200, -1, 0, 10);
    const int file = ::open(FILE, O_RDONLY | O_CLOEXEC);
    if (path == "/beyond") return response.file(200, file, 5, 6);
    if (path == "/far") return response.file(200, file, ~std::uint64_t{0}, 1);
    response.file(200, file, 0, 10);
  });
}
"""


@pytest.mark.parametrize("concurrency", MODELS)
@pytest.mark.parametrize("target, why", [("/pipe", "no regular file"), ("/none", "no regular file"),
                                         ("/beyond", "6 bytes from 5 on cannot be sent: the file has 10"),
                                         ("/far", "cannot be sent: the file has 10")])
def test_a_file_that_cannot_be_sent_is_500_and_told(session, concurrency, target, why):
    path = session.folder / "ten"
    path.write_text("0123456789")
    daemon, address = start(session, FILES.replace("FILE", f'"{path}"'), concurrency)
    daemon.expect(r'module "[^"]*": .* cannot be sent: |a request failed: ')
    assert get(address, target).status == 500
    daemon.wait(why)
    assert body_of(address, "/") == "0123456789"


# -------------------------------------------------------------------------------------------------------- paused, and gone

WANTS_NOTHING_YET = """
#include <prong/module.hpp>
PRONG_STREAM_MODULE(edge) {
  prong::on_open([](prong::Connection& connection) {
    connection.want_data(false);
    prong::info("opened");
    prong::after(std::chrono::milliseconds{LATER}, [connection] { connection.want_data(true); }).detach();
  });
  prong::on_data([](prong::Connection&, std::string_view bytes) { prong::info("data " + std::string(bytes)); });
  prong::on_end([](prong::Connection& connection) {
    prong::info("end");
    connection.close();
  });
  prong::on_close([](prong::Connection&) { prong::info("closed"); });
}
"""


def test_what_a_client_of_a_unix_socket_said_before_it_left_is_handed_over_when_it_is_wanted(session):
    path = session.folder / "edge.sock"
    library = build(session, "edge", WANTS_NOTHING_YET.replace("LATER", "300"))
    daemon = session.start(pool(library, protocol="stream").replace('"127.0.0.1:0"', f'"unix:{path}"'))
    with Connection(str(path)) as client:
        client.send(b"hello")
    daemon.wait("closed")
    assert [match[1] for match in daemon.log.find(r": (opened|data hello|end|closed)$")] == \
        ["opened", "data hello", "end", "closed"]


# ----------------------------------------------------------------------------------------------------- the end of a worker

TALKS_UNTIL_IT_IS_GONE = """
#include <prong/module.hpp>
PRONG_STREAM_MODULE(edge) {
  prong::on_connection([](prong::BlockingConnection& connection) {
    char buffer[100];
    prong::info("a client has come");
    while (connection.read(buffer, sizeof buffer)) {
    }
    prong::info("the client is gone");
  });
  prong::on_stop([] { prong::info("stopped"); });
}
"""


@pytest.mark.parametrize("concurrency", WAITING)
def test_a_conversation_that_is_cut_at_the_end_of_the_grace_returns_and_the_module_is_stopped(session, concurrency):
    daemon, address = start(session, TALKS_UNTIL_IT_IS_GONE, concurrency, protocol="stream", graceful_timeout="300ms")
    daemon.expect("the grace is over")
    with Connection(address) as client:
        client.send(b"hello")
        daemon.wait("a client has come")
        daemon.send(signal.SIGTERM)
        daemon.wait("the client is gone")
        daemon.wait("stopped")
        assert daemon.wait_exit() == 0
    assert not daemon.log.find(r"exited with status 0 .*; in an event")


POSTS_FOR_EVER = r"""
#include <prong/module.h>
#include <pthread.h>
#include <stddef.h>
static const prong_api* prong;
static prong_worker* the_worker;
static uint64_t* counted;
static void count(void* context) {
  (void)context;
  __atomic_fetch_add(counted, 1, __ATOMIC_RELAXED);
}
static void* post(void* context) {
  int refused = 0;
  (void)context;
  while (refused < 1000000) {
    if (prong->post(the_worker, count, NULL) == PRONG_GONE) ++refused;
    if (prong->draining(the_worker)) __atomic_fetch_add(counted, 1, __ATOMIC_RELAXED);
  }
  return NULL;
}
static int start(const prong_api* api, prong_worker* worker, void** state) {
  pthread_t thread;
  prong_metric metric = {.size = sizeof metric, .name = prong_string("edge_total"), .help = prong_string("posts")};
  (void)state;
  prong = api;
  the_worker = worker;
  counted = api->counter(worker, &metric);
  if (counted == NULL || pthread_create(&thread, NULL, post, NULL) != 0) return PRONG_FAILED;
  pthread_detach(thread);
  return FAILS;
}
static void request(void* state, const prong_request* request, prong_exchange* exchange, void* upload) {
  prong_response response = {.size = sizeof response, .status = 200, .body = prong_string("fine")};
  (void)state, (void)request, (void)upload;
  prong->respond(exchange, &response);
}
PRONG_EXPORT const prong_module prong_module_entry = {
    .size = sizeof(prong_module), .abi = PRONG_ABI, .name = "edge", .start = start, .request = request};
"""


@pytest.mark.parametrize("concurrency", MODELS)
def test_threads_of_a_module_that_outlive_its_stop_do_no_harm(session, concurrency):
    daemon, address = start(session, POSTS_FOR_EVER.replace("FAILS", "PRONG_OK"), concurrency, language="c")
    for generation in range(2, 12):
        assert daemon.reload() == generation
        assert body_of(address, "/") == "fine"
        daemon.wait(rf"gen={generation - 1} pid=\d+: exited with status 0")
    assert not daemon.log.find("killed by")


def test_threads_of_a_module_whose_start_has_failed_do_no_harm(session):
    library = build(session, "edge", POSTS_FOR_EVER.replace("FAILS", "PRONG_FAILED"), "c")
    daemon = session.start(pool(library), ready=False)
    daemon.expect(r"its start\(\) gave -8 and no reason")
    daemon.expected_status = 3
    assert daemon.wait_exit() == 3
    assert not re.search(r"Sanitizer|killed by", daemon.log.text())
