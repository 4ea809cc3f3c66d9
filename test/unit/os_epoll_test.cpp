// epoll: what is watched is told with its key, and a wait never ends before its deadline.
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <limits>

#include "os/clock.hpp"
#include "os/epoll.hpp"
#include "os/unique_fd.hpp"

namespace prong::os {
namespace {

using namespace std::chrono_literals;

struct Pipe {
  UniqueFd reader;
  UniqueFd writer;
};
Pipe make_pipe() {
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) == 0);
  return {UniqueFd{ends[0]}, UniqueFd{ends[1]}};
}

Epoll make_epoll() {
  auto epoll = Epoll::create();
  REQUIRE(epoll.has_value());
  return std::move(*epoll);
}

}  // namespace

TEST_CASE("an event comes with the key of its descriptor, all 64 bits of it") {
  const Pipe pipe = make_pipe();
  Epoll epoll = make_epoll();
  constexpr std::uint64_t kKey = 0xFEDC'BA98'7654'3210U;
  REQUIRE(epoll.add(pipe.reader.get(), EPOLLIN, kKey));
  std::array<epoll_event, 4> buffer{};
  CHECK(epoll.wait(buffer, 0ns)->empty());
  REQUIRE(::write(pipe.writer.get(), "x", 1) == 1);
  const auto events = epoll.wait(buffer, std::nullopt);
  REQUIRE(events.has_value());
  REQUIRE(events->size() == 1);
  CHECK((*events)[0].data.u64 == kKey);
  CHECK((*events)[0].events == EPOLLIN);
}

TEST_CASE("a descriptor's events and key can be changed, and it can be taken out") {
  const Pipe pipe = make_pipe();
  Epoll epoll = make_epoll();
  std::array<epoll_event, 4> buffer{};
  REQUIRE(epoll.add(pipe.writer.get(), EPOLLIN, 1));
  CHECK(epoll.wait(buffer, 0ns)->empty());
  REQUIRE(epoll.modify(pipe.writer.get(), EPOLLOUT, 2));
  const auto events = epoll.wait(buffer, 0ns);
  REQUIRE(events->size() == 1);
  CHECK((*events)[0].data.u64 == 2);
  epoll.remove(pipe.writer.get());
  CHECK(epoll.wait(buffer, 0ns)->empty());
}

TEST_CASE("taking out what is not there is no error; adding it twice or changing it is") {
  const Pipe pipe = make_pipe();
  Epoll epoll = make_epoll();
  epoll.remove(pipe.reader.get());
  epoll.remove(-1);
  CHECK(epoll.modify(pipe.reader.get(), EPOLLIN, 1).error().error_number == ENOENT);
  REQUIRE(epoll.add(pipe.reader.get(), EPOLLIN, 1));
  CHECK(epoll.add(pipe.reader.get(), EPOLLIN, 1).error().error_number == EEXIST);
  CHECK(epoll.add(-1, EPOLLIN, 1).error().error_number == EBADF);
}

TEST_CASE("a timeout is rounded up, so that the deadline has passed when the wait ends") {
  Epoll epoll = make_epoll();
  std::array<epoll_event, 1> buffer{};
  for (const auto timeout : {1ns, 999'999ns, 1'000'001ns, 3'500'000ns}) {
    const TimePoint deadline = now() + timeout;
    CHECK(epoll.wait(buffer, timeout)->empty());
    CHECK(now() >= deadline);
  }
}

TEST_CASE("a deadline that has passed does not wait, and one that is far away does not wrap around") {
  const Pipe pipe = make_pipe();
  Epoll epoll = make_epoll();
  std::array<epoll_event, 1> buffer{};
  CHECK(epoll.wait(buffer, -1ns)->empty());
  CHECK(epoll.wait(buffer, -std::chrono::hours{1})->empty());
  CHECK(epoll.wait(buffer, std::chrono::nanoseconds::min())->empty());
  REQUIRE(epoll.add(pipe.writer.get(), EPOLLOUT, 1));
  CHECK(epoll.wait(buffer, std::chrono::nanoseconds::max())->size() == 1);
  CHECK(epoll.wait(buffer, std::chrono::hours{24 * 365})->size() == 1);
}

TEST_CASE("no more events than there is room for come at once, and none is lost") {
  const std::array<Pipe, 3> pipes{make_pipe(), make_pipe(), make_pipe()};
  Epoll epoll = make_epoll();
  for (std::size_t i = 0; i < pipes.size(); ++i) REQUIRE(epoll.add(pipes.at(i).writer.get(), EPOLLOUT | EPOLLET, i));
  std::array<epoll_event, 2> buffer{};
  CHECK(epoll.wait(buffer, 0ns)->size() == 2);
  CHECK(epoll.wait(buffer, 0ns)->size() == 1);
  CHECK(epoll.wait(buffer, 0ns)->empty());
}

TEST_CASE("an epoll set is closed by an exec") {
  CHECK((::fcntl(make_epoll().fd(), F_GETFD) & FD_CLOEXEC) != 0);
}

}  // namespace prong::os
