// The socket pair between master and worker: packets, a descriptor, the end, and the worst that a worker can send.
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "ipc/channel.hpp"
#include "os/socket.hpp"

namespace prong::ipc {
namespace {

using namespace std::chrono_literals;
using Kind = Channel::Kind;

struct Ends {
  Channel master;
  Channel worker;
};

Ends make_ends() {
  auto pair = Channel::create_pair();
  REQUIRE(pair.has_value());
  return {std::move(pair->first), std::move(pair->second)};
}

void send_raw(const Channel& channel, const std::vector<std::byte>& bytes) {
  const os::IoResult result = os::send_packet(channel.fd(), bytes);
  REQUIRE(result.error == 0);
  REQUIRE(!result.would_block);
}

std::size_t open_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator{"/proc/self/fd"}) ++count;
  return count;
}

// A packet with more descriptors than any message has.
void send_with_descriptors(int socket, const std::vector<std::byte>& bytes, const std::vector<int>& fds) {
  iovec part{.iov_base = const_cast<std::byte*>(bytes.data()), .iov_len = bytes.size()};
  std::vector<char> control(CMSG_SPACE(fds.size() * sizeof(int)));
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
  std::memcpy(CMSG_DATA(header), fds.data(), fds.size() * sizeof(int));
  REQUIRE(::sendmsg(socket, &message, MSG_NOSIGNAL) > 0);
}

}  // namespace

TEST_CASE("messages arrive in order, in both directions, and then there is nothing") {
  const Ends ends = make_ends();
  REQUIRE(ends.worker.send(Ready{}));
  REQUIRE(ends.worker.send(Retiring{.reason = "why"}));
  REQUIRE(ends.master.send(Stop{.grace = 5s, .idle_grace = 1s, .serve_backlog = 3}));
  auto received = ends.master.receive();
  CHECK(received.kind == Kind::kMessage);
  CHECK(received.message == Message{Ready{}});
  CHECK_FALSE(received.fd.valid());
  CHECK(ends.master.receive().message == Message{Retiring{.reason = "why"}});
  CHECK(ends.master.receive().kind == Kind::kNothing);
  CHECK(ends.worker.receive().message == Message{Stop{.grace = 5s, .idle_grace = 1s, .serve_backlog = 3}});
  CHECK(ends.worker.receive().kind == Kind::kNothing);
}

TEST_CASE("the largest message fits") {
  const Ends ends = make_ends();
  const std::string text(kLargestText, 'x');
  REQUIRE(ends.worker.send(StartFailed{.reason = text}));
  CHECK(ends.master.receive().message == Message{StartFailed{.reason = text}});
}

TEST_CASE("both ends are closed by an exec and never block") {
  const Ends ends = make_ends();
  for (const int fd : {ends.master.fd(), ends.worker.fd()}) {
    CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    CHECK((::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
  }
}

TEST_CASE("a descriptor travels as a copy, closed by an exec, and the sender keeps its own") {
  const Ends ends = make_ends();
  std::array<int, 2> pipe{};
  REQUIRE(::pipe2(pipe.data(), O_CLOEXEC) == 0);
  const os::UniqueFd reader{pipe[0]};
  os::UniqueFd writer{pipe[1]};
  REQUIRE(ends.master.send(LogReopened{}, writer.get()));
  CHECK(::fcntl(writer.get(), F_GETFD) >= 0);
  const auto received = ends.worker.receive();
  CHECK(received.message == Message{LogReopened{}});
  REQUIRE(received.fd.valid());
  CHECK(received.fd.get() != writer.get());
  CHECK((::fcntl(received.fd.get(), F_GETFD) & FD_CLOEXEC) != 0);
  writer.reset();
  REQUIRE(::write(received.fd.get(), "x", 1) == 1);
  char byte = 0;
  CHECK(::read(reader.get(), &byte, 1) == 1);
}

TEST_CASE("descriptors that nobody asked for are closed") {
  const Ends ends = make_ends();
  const os::UniqueFd file{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
  const std::size_t before = open_descriptors();
  send_with_descriptors(ends.worker.fd(), encode(Ready{}), {file.get()});
  CHECK(ends.master.receive().kind == Kind::kMessage);
  CHECK(open_descriptors() == before);
  send_with_descriptors(ends.worker.fd(), {std::byte{0xFF}}, {file.get()});
  CHECK(ends.master.receive().kind == Kind::kGarbage);
  CHECK(open_descriptors() == before);
}

TEST_CASE("a worker that sends several descriptors at once does not fill the master's table") {
  const Ends ends = make_ends();
  const os::UniqueFd file{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
  const std::size_t before = open_descriptors();
  for (const std::size_t count : {2U, 3U, 10U}) {
    send_with_descriptors(ends.worker.fd(), encode(Ready{}), std::vector<int>(count, file.get()));
    (void)ends.master.receive();
    INFO(count << " descriptors");
    CHECK(open_descriptors() == before);
  }
}

TEST_CASE("the end is told after the last message, when the other side closes or dies") {
  Ends ends = make_ends();
  REQUIRE(ends.worker.send(StartFailed{.reason = "last words"}));
  ends.worker.close();
  CHECK_FALSE(ends.worker.valid());
  CHECK(ends.master.receive().message == Message{StartFailed{.reason = "last words"}});
  CHECK(ends.master.receive().kind == Kind::kEnd);
  CHECK(ends.master.receive().kind == Kind::kEnd);
}

TEST_CASE("the end is told also when the other side left messages unread") {
  Ends ends = make_ends();
  REQUIRE(ends.master.send(Serve{}));
  ends.worker.close();
  const Kind kind = ends.master.receive().kind;
  CHECK(kind == Kind::kEnd);
}

TEST_CASE("sending to a side that is gone is an error, not a signal") {
  Ends ends = make_ends();
  ends.worker.close();
  const auto sent = ends.master.send(Serve{});
  REQUIRE_FALSE(sent.has_value());
  CHECK(sent.error().error_number == EPIPE);
  CHECK_THAT(sent.error().message, Catch::StartsWith("cannot write to the channel: "));
}

TEST_CASE("bytes that are no message are garbage, and the next message is understood") {
  const Ends ends = make_ends();
  send_raw(ends.worker, {std::byte{0x42}, std::byte{0x42}, std::byte{0x42}});
  send_raw(ends.worker, {std::byte{1}});
  REQUIRE(ends.worker.send(Ready{}));
  CHECK(ends.master.receive().kind == Kind::kGarbage);
  CHECK(ends.master.receive().kind == Kind::kGarbage);
  CHECK(ends.master.receive().message == Message{Ready{}});
}

TEST_CASE("a packet larger than any message is garbage, not a cut message") {
  const Ends ends = make_ends();
  std::vector<std::byte> bytes = encode(StartFailed{.reason = std::string(kLargestText, 'x')});
  bytes.resize(kLargestPacket + 1, std::byte{'x'});
  send_raw(ends.worker, bytes);
  CHECK(ends.master.receive().kind == Kind::kGarbage);
  bytes.resize(100'000, std::byte{'x'});
  send_raw(ends.worker, bytes);
  REQUIRE(ends.worker.send(Ready{}));
  CHECK(ends.master.receive().kind == Kind::kGarbage);
  CHECK(ends.master.receive().message == Message{Ready{}});
}

TEST_CASE("a packet without bytes is no message") {
  const Ends ends = make_ends();
  send_raw(ends.worker, {});
  CHECK(ends.master.receive().kind != Kind::kMessage);
}

TEST_CASE("a channel that nobody reads becomes an error instead of blocking, and works again when it is read") {
  const Ends ends = make_ends();
  Result<void> sent;
  int count = 0;
  for (; sent && count < 1'000'000; ++count) sent = ends.master.send(Serve{});
  REQUIRE_FALSE(sent.has_value());
  CHECK(sent.error().error_number == EAGAIN);
  CHECK(count > 1);
  while (ends.worker.receive().kind == Kind::kMessage) {
  }
  CHECK(ends.master.send(Serve{}).has_value());
}

TEST_CASE("take() gives the descriptor away") {
  Ends ends = make_ends();
  const int number = ends.master.fd();
  const os::UniqueFd taken = ends.master.take();
  CHECK(taken.get() == number);
  CHECK_FALSE(ends.master.valid());
  CHECK(Channel{}.fd() == -1);
}

}  // namespace prong::ipc
