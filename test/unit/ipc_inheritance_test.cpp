// What a worker takes over an exec: the record itself, and what becomes of the descriptors in it.
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <unistd.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "ipc/inheritance.hpp"
#include "os/unique_fd.hpp"

namespace prong::ipc {
namespace {

ExecRecord example() {
  ExecRecord record;
  Inheritance& inheritance = record.inheritance;
  inheritance.pool = "shop";
  inheritance.slot = 3;
  inheritance.generation = 7;
  inheritance.master_pid = 4711;
  inheritance.channel_fd = 5;
  inheritance.listeners = {{.fd = 6, .number = 0, .address = "127.0.0.1:80"},
                           {.fd = 7, .number = 2, .address = std::string("unix:@a\0b", 9)}};
  inheritance.scoreboard_fd = 9;
  inheritance.stack_fd = 10;
  record.config = "[pool.shop]\n";
  record.log_fd = -1;
  record.log_target = 2;
  record.log_level = 1;
  record.log_color = 3;
  record.log_path = "/var/log/a";
  return record;
}

bool closes_on_exec(int fd) {
  return (::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

os::UniqueFd open_null() {
  os::UniqueFd fd{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
  REQUIRE(fd.valid());
  return fd;
}

}  // namespace

TEST_CASE("a record comes back as it was") {
  const ExecRecord record = example();
  const auto got = decode(encode(record));
  REQUIRE(got.has_value());
  const Inheritance& before = record.inheritance;
  const Inheritance& after = got->inheritance;
  CHECK(after.pool == before.pool);
  CHECK(after.slot == before.slot);
  CHECK(after.generation == before.generation);
  CHECK(after.master_pid == before.master_pid);
  CHECK(after.channel_fd == before.channel_fd);
  REQUIRE(after.listeners.size() == 2);
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(after.listeners[i].fd == before.listeners[i].fd);
    CHECK(after.listeners[i].number == before.listeners[i].number);
    CHECK(after.listeners[i].address == before.listeners[i].address);
  }
  CHECK(after.access_log_fd == -1);
  CHECK(after.scoreboard_fd == before.scoreboard_fd);
  CHECK(after.stack_fd == before.stack_fd);
  CHECK(got->config == record.config);
  CHECK(got->log_fd == -1);
  CHECK(got->log_target == 2);
  CHECK(got->log_level == 1);
  CHECK(got->log_color == 3);
  CHECK(got->log_path == "/var/log/a");
  CHECK(descriptors_of(*got) == std::vector<int>{5, 9, 10, 6, 7});
}

TEST_CASE("a record that is cut anywhere, longer, or of another version is refused") {
  const std::string whole = encode(example());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    CHECK_FALSE(decode(std::string_view{whole}.substr(0, size)).has_value());
  }
  CHECK_FALSE(decode(whole + "x").has_value());
  std::string other = whole;
  other[whole.find("prongd ") + 7] = '9';
  const auto refused = decode(other);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().message.find("the master is of prongd 9") != std::string::npos);
  CHECK_FALSE(refused.error().hint.empty());
}

TEST_CASE("the descriptors of a record stay open over an exec, and are close-on-exec again after it") {
  const os::UniqueFd channel = open_null();
  const os::UniqueFd listener = open_null();
  const os::UniqueFd other = open_null();
  ExecRecord record;
  record.inheritance.channel_fd = channel.get();
  record.inheritance.listeners.push_back({.fd = listener.get(), .number = 0, .address = "a"});
  auto file = store(record);
  REQUIRE(file.has_value());
  CHECK_FALSE(closes_on_exec(file->get()));
  CHECK_FALSE(closes_on_exec(channel.get()));
  CHECK_FALSE(closes_on_exec(listener.get()));
  CHECK(closes_on_exec(other.get()));
  const int number = file->get();
  const auto got = take(std::move(*file));
  REQUIRE(got.has_value());
  CHECK(got->inheritance.channel_fd == channel.get());
  CHECK(closes_on_exec(channel.get()));
  CHECK(closes_on_exec(listener.get()));
  CHECK(::fcntl(number, F_GETFD) == -1);  // the record's file is closed
}

}  // namespace prong::ipc
