// The receiving end of sd_notify(3): who wrote, bounded, and no descriptor of strangers.
#include <catch2/catch.hpp>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <string>

#include "os/notify_socket.hpp"
#include "os/socket.hpp"

namespace prong::os {
namespace {

std::size_t open_descriptors() {
  const std::filesystem::directory_iterator folder{"/proc/self/fd"};
  return static_cast<std::size_t>(std::distance(begin(folder), end(folder)));
}

// Writes as a program does, with a descriptor if one is given.
void notify(const NotifySocket& socket, std::string_view text, int fd = -1) {
  const auto sender = make_socket(AF_UNIX, SOCK_DGRAM);
  REQUIRE(sender.has_value());
  SocketAddress address;
  auto* name = reinterpret_cast<sockaddr_un*>(&address.storage);
  name->sun_family = AF_UNIX;
  const std::string& text_address = socket.address();
  std::memcpy(static_cast<char*>(name->sun_path) + 1, text_address.data() + 1, text_address.size() - 1);
  address.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + text_address.size());
  REQUIRE(connect_socket(sender->get(), address).has_value());
  REQUIRE(send_packet(sender->get(), std::as_bytes(std::span{text}), fd).error == 0);
}

}  // namespace

TEST_CASE("a notify socket has an abstract name of its own") {
  const NotifySocket one = NotifySocket::create().value();
  const NotifySocket two = NotifySocket::create().value();
  CHECK(one.address().starts_with('@'));
  CHECK(one.address().size() > 1);
  CHECK(one.address() != two.address());
}

TEST_CASE("a datagram tells its text and who sent it, and an empty socket nothing") {
  const NotifySocket socket = NotifySocket::create().value();
  CHECK_FALSE(socket.receive().has_value());
  notify(socket, "READY=1\nSTATUS=up");
  const auto datagram = socket.receive();
  REQUIRE(datagram.has_value());
  CHECK(datagram->text == "READY=1\nSTATUS=up");
  CHECK(datagram->sender == ::getuid());
  CHECK_FALSE(socket.receive().has_value());
}

TEST_CASE("a datagram that is too long has no text") {
  const NotifySocket socket = NotifySocket::create().value();
  notify(socket, std::string(NotifySocket::kLargest + 1, 'x'));
  const auto datagram = socket.receive();
  REQUIRE(datagram.has_value());
  CHECK(datagram->text.empty());
}

TEST_CASE("a descriptor that comes along is not taken") {
  const NotifySocket socket = NotifySocket::create().value();
  const std::size_t before = open_descriptors();
  for (int i = 0; i < 3; ++i) {
    notify(socket, "FDSTORE=1", STDERR_FILENO);
    const auto datagram = socket.receive();
    REQUIRE(datagram.has_value());
    CHECK(datagram->text == "FDSTORE=1");
    CHECK(datagram->sender == ::getuid());
  }
  CHECK(open_descriptors() == before);
}

}  // namespace prong::os
