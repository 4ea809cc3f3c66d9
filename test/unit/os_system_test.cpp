// Small pieces of the system: CPUs, users, files, shared memory, descriptors and their owner, packets.
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <string>

#include "config_folder.hpp"
#include "forked.hpp"
#include "os/clock.hpp"
#include "os/cpu.hpp"
#include "os/file.hpp"
#include "os/shared_memory.hpp"
#include "os/socket.hpp"
#include "os/unique_fd.hpp"
#include "os/users.hpp"

namespace prong::os {
namespace {

using config::test::Folder;

bool is_open(int fd) {
  return ::fcntl(fd, F_GETFD) >= 0;
}

UniqueFd open_null() {
  return UniqueFd{::open("/dev/null", O_RDWR | O_CLOEXEC)};
}

}  // namespace

TEST_CASE("a cgroup's CPU quota is rounded up to whole CPUs") {
  CHECK(parse_cpu_max("100000 100000\n") == 1U);
  CHECK(parse_cpu_max("150000 100000") == 2U);
  CHECK(parse_cpu_max("200000 100000\n") == 2U);
  CHECK(parse_cpu_max("200001 100000\n") == 3U);
  CHECK(parse_cpu_max("1000 100000\n") == 1U);
  CHECK(parse_cpu_max("800000 50000\n") == 16U);
}

TEST_CASE("no quota, or a text that is none, limits nothing") {
  for (const char* text : {"max 100000\n", "", "\n", "100000", "100000 ", "100000 max", "100000 0", "0 100000",
                           "-1 100000", "100000 -1", "a b", "99999999999999999999 100000"})
    CHECK_FALSE(parse_cpu_max(text).has_value());
}

TEST_CASE("at least one CPU is usable, and no more than are in the affinity mask") {
  CHECK(usable_cpus() >= 1);
  const test::Told told = test::run_forked([](int) {
    cpu_set_t all;
    CPU_ZERO(&all);
    (void)::sched_getaffinity(0, sizeof all, &all);
    std::size_t first = 0;
    while (!CPU_ISSET(first, &all)) ++first;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    (void)::sched_setaffinity(0, sizeof one, &one);
    return std::to_string(usable_cpus());
  });
  CHECK(told.report == "1");
}

TEST_CASE("whom a worker becomes: a user with its groups, with another group, or only a group") {
  const auto user = find_identity("nobody", "");
  REQUIRE(user.has_value());
  CHECK(user->user.uid == 65534);
  CHECK(user->user.name == "nobody");
  CHECK(user->groups == std::vector<gid_t>{user->user.gid});
  const auto both = find_identity("nobody", "4711");
  REQUIRE(both.has_value());
  CHECK(both->user.gid == 4711);
  CHECK(both->groups == std::vector<gid_t>{4711});
  const auto group = find_identity("", "4711");
  REQUIRE(group.has_value());
  CHECK(group->user.uid == ::geteuid());
  CHECK(group->user.gid == 4711);
  CHECK(group->groups.empty());
  CHECK(find_identity("no-such-user", "").error().text() == "there is no user \"no-such-user\"");
  CHECK_FALSE(find_identity("nobody", "no-such-group").has_value());
}

TEST_CASE("users are found by name and by number") {
  const auto root = find_user("root");
  REQUIRE(root.has_value());
  CHECK(root->uid == 0);
  CHECK(root->gid == 0);
  CHECK(root->name == "root");
  CHECK(root->home == "/root");
  CHECK(find_user("0")->name == "root");
}

TEST_CASE("a user that nobody knows is an error that names it") {
  for (const char* name : {"no-such-user", "", "4294967295", "4294967296", "-1", "0x0", "987654321"}) {
    const auto user = find_user(name);
    REQUIRE_FALSE(user.has_value());
    CHECK(user.error().message == "there is no user \"" + std::string{name} + "\"");
  }
}

TEST_CASE("a group is found by its name; a number needs no name") {
  CHECK(find_group("root") == gid_t{0});
  CHECK(find_group("0") == gid_t{0});
  CHECK(find_group("987654321") == gid_t{987654321});
  for (const char* name : {"no-such-group", "", "4294967295", "-1", "1x"}) {
    const auto group = find_group(name);
    REQUIRE_FALSE(group.has_value());
    CHECK(group.error().message == "there is no group \"" + std::string{name} + "\"");
  }
}

TEST_CASE("a file below a directory is opened; a way out of it is not") {
  const Folder folder;
  (void)folder.write("root/sub/a.txt", "hello");
  (void)folder.write("secret", "secret");
  REQUIRE(::symlink("../secret", folder.path("root/out").c_str()) == 0);
  REQUIRE(::symlink("/etc/passwd", folder.path("root/absolute").c_str()) == 0);
  REQUIRE(::symlink("sub/a.txt", folder.path("root/inside").c_str()) == 0);
  const auto root = open_directory(folder.path("root"));
  REQUIRE(root.has_value());
  for (const char* name : {"sub/a.txt", "sub/../sub/a.txt", "inside"}) {
    const auto file = open_beneath(root->get(), name);
    REQUIRE(file.has_value());
    CHECK((::fcntl(file->get(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK(file_info(file->get())->size == 5);
  }
  for (const char* name : {"../secret", "..", "out", "absolute", "/etc/passwd", "sub/../../secret"})
    CHECK(open_beneath(root->get(), name).error() == EXDEV);
  CHECK(open_beneath(root->get(), "gone").error() == ENOENT);
  CHECK(open_beneath(root->get(), "sub/a.txt/x").error() == ENOTDIR);
  CHECK(check_open_beneath().has_value());
}

TEST_CASE("which links are followed below a directory is the caller's choice") {
  const Folder folder;
  (void)folder.write("root/sub/a.txt", "hello");
  (void)folder.write("root-too/a.txt", "beside");
  (void)folder.write("secret", "secret");
  const auto link = [&](const std::string& target, const std::string& name) {
    REQUIRE(::symlink(target.c_str(), folder.path("root/" + name).c_str()) == 0);
  };
  link("sub/a.txt", "relative");
  link("sub", "relative-folder");
  link(folder.path("root/sub/a.txt"), "absolute");
  link(folder.path("root/sub"), "absolute-folder");
  link("../root/sub/a.txt", "roundabout");
  link(folder.path("root"), "self");
  link("../secret", "out");
  link(folder.path("secret"), "absolute-out");
  link(folder.path("root-too"), "beside");
  link(folder.path("root/out"), "absolute-then-out");
  link("/proc/self/root", "magic");
  link("loop", "loop");
  link(folder.path("root/none"), "dangling");
  const auto root = open_directory(folder.path("root"));
  REQUIRE(root.has_value());
  const auto size = [&](const char* name, Links links) {
    const auto info = file_info_beneath(root->get(), name, links);
    const auto file = open_beneath(root->get(), name, links);
    CHECK(file.has_value() == info.has_value());
    if (!info && !file) CHECK(info.error() == file.error());
    return info ? static_cast<int>(info->size) : -info.error();
  };
  for (const char* name : {"relative", "absolute", "roundabout", "relative-folder/a.txt", "absolute-folder/a.txt",
                           "self/sub/a.txt", "self/absolute", "self/self/roundabout"}) {
    INFO(name);
    CHECK(size(name, Links::kNone) == -ELOOP);
    CHECK(size(name, Links::kBeneath) == 5);
    CHECK(size(name, Links::kAnywhere) == 5);
  }
  for (const char* name : {"out", "absolute-out", "beside/a.txt", "absolute-then-out", "self/out"}) {
    INFO(name);
    CHECK(size(name, Links::kNone) == -ELOOP);
    CHECK(size(name, Links::kBeneath) == -EXDEV);
    CHECK(size(name, Links::kAnywhere) == 6);
  }
  for (const Links links : {Links::kNone, Links::kBeneath, Links::kAnywhere}) {
    CHECK(size("sub/a.txt", links) == 5);
    CHECK(size("none", links) == -ENOENT);
    CHECK(size("loop", links) == -ELOOP);
    CHECK(size("magic/etc/passwd", links) < 0);
  }
  CHECK(size("dangling", Links::kBeneath) == -EXDEV);
  CHECK(size("../root/sub/a.txt", Links::kBeneath) == -EXDEV);
  CHECK(size("self/../root/sub/a.txt", Links::kBeneath) == -EXDEV);
  const auto self = open_beneath(root->get(), "self");
  REQUIRE(self.has_value());
  CHECK(file_info(self->get())->inode == file_info(root->get())->inode);
}

TEST_CASE("a directory is read without hidden names, links as links, and not beyond the limit") {
  const Folder folder;
  (void)folder.write("a", "12345");
  (void)folder.write(".hidden", "");
  (void)folder.write("sub/b", "");
  REQUIRE(::symlink("/etc/passwd", folder.path("link").c_str()) == 0);
  REQUIRE(::mkfifo(folder.path("fifo").c_str(), 0600) == 0);
  const auto directory = open_directory(folder.path());
  const auto wanted = [](std::string_view name) { return !name.starts_with('.'); };
  auto content = read_directory(directory->get(), 100, wanted);
  REQUIRE(content.has_value());
  CHECK(content->is_whole);
  std::ranges::sort(content->entries, {}, &DirectoryEntry::name);
  std::string seen;
  for (const DirectoryEntry& entry : content->entries)
    seen += entry.name + ' ' + std::to_string(static_cast<int>(entry.info.kind)) + ' ';
  CHECK(seen == "a 0 fifo 3 link 2 sub 1 ");
  CHECK(content->entries[0].info.size == 5);
  CHECK(read_directory(directory->get(), 4, wanted)->is_whole);
  const auto part = read_directory(directory->get(), 3, wanted);
  CHECK(part->entries.size() == 3);
  CHECK_FALSE(part->is_whole);
  CHECK(read_directory(-1, 3, wanted).error() == EBADF);
}

TEST_CASE("a small file is read whole, and a larger one is an error") {
  const Folder folder;
  const std::string path = folder.write("a", "12345");
  CHECK(read_file(path, 5) == "12345");
  CHECK(read_file(path, 100) == "12345");
  CHECK(read_file(path, 4).error().message == "cannot read \"" + path + "\": it has more than 4 bytes");
  CHECK(read_file(folder.path("none"), 4).error().error_number == ENOENT);
  CHECK_FALSE(read_file(folder.path(), 4).has_value());
}

TEST_CASE("the coarse clock is the clock, a tick behind at most") {
  const TimePoint before = now();
  const TimePoint coarse = coarse_now();
  CHECK(coarse <= now());
  CHECK(before - coarse < std::chrono::milliseconds{100});
}

TEST_CASE("opening a FIFO that nobody writes to does not block") {
  const Folder folder;
  REQUIRE(::mkfifo(folder.path("fifo").c_str(), 0600) == 0);
  const auto root = open_directory(folder.path());
  const auto fifo = open_beneath(root->get(), "fifo");
  REQUIRE(fifo.has_value());
  CHECK(file_info(fifo->get())->kind == FileKind::kOther);
}

TEST_CASE("a descriptor knows what it is and where it is found") {
  const Folder folder;
  const std::string path = folder.write("a.txt", "12345");
  const auto root = open_directory(folder.path());
  REQUIRE(root.has_value());
  CHECK(file_info(root->get())->kind == FileKind::kDirectory);
  const auto file = open_beneath(root->get(), "a.txt");
  const auto info = file_info(file->get());
  REQUIRE(info.has_value());
  CHECK(info->kind == FileKind::kRegular);
  CHECK(info->size == 5);
  struct stat status{};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK(info->inode == status.st_ino);
  CHECK(info->modified.tv_sec == status.st_mtim.tv_sec);
  CHECK(info->modified.tv_nsec == status.st_mtim.tv_nsec);
  CHECK(file_path(file->get()) == path);
  REQUIRE(::unlink(path.c_str()) == 0);
  CHECK(file_path(file->get()) == path + " (deleted)");
  CHECK(file_info(-1).error() == EBADF);
  CHECK(file_info(std::string{"/dev/null"})->kind == FileKind::kOther);
  CHECK(file_info(std::string{"/nonexistent"}).error() == ENOENT);
  CHECK_FALSE(file_path(-1).has_value());
}

TEST_CASE("what is no directory is not opened as one") {
  const Folder folder;
  const auto opened = open_directory(folder.write("file", ""));
  REQUIRE_FALSE(opened.has_value());
  CHECK(opened.error().message == "cannot open directory \"" + folder.path("file") + "\": Not a directory");
}

TEST_CASE("shared memory is zero at first, and what a child writes is there for its parent") {
  auto memory = SharedMemory::create("prongd-test", 100);
  REQUIRE(memory.has_value());
  REQUIRE(memory->bytes().size() == 100);
  for (const std::byte byte : memory->bytes()) CHECK(byte == std::byte{0});
  (void)test::run_forked([&](int) {
    memory->bytes()[99] = std::byte{42};
    return std::string{};
  });
  CHECK(memory->bytes()[99] == std::byte{42});
  CHECK((::fcntl(memory->fd(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("shared memory that is moved keeps its bytes, and what it replaces is given back") {
  auto first = SharedMemory::create("first", 8);
  auto second = SharedMemory::create("second", 8);
  REQUIRE((first && second));
  const int replaced = second->fd();
  first->bytes()[0] = std::byte{1};
  *second = std::move(*first);
  CHECK(second->bytes()[0] == std::byte{1});
  CHECK_FALSE(is_open(replaced));
  const SharedMemory third = std::move(*second);
  CHECK(third.bytes()[0] == std::byte{1});
  CHECK_FALSE(SharedMemory::create("nothing", 0).has_value());
}

TEST_CASE("a descriptor is closed by its one owner, once") {
  int number = -1;
  {
    UniqueFd first = open_null();
    number = first.get();
    UniqueFd second = std::move(first);
    CHECK(second.get() == number);
    CHECK(is_open(number));
    UniqueFd third;
    CHECK_FALSE(third.valid());
    third = std::move(second);
    UniqueFd& alias = third;
    third = std::move(alias);
    CHECK(third.get() == number);
    CHECK(is_open(number));
  }
  CHECK_FALSE(is_open(number));
}

TEST_CASE("what an owner gives up stays open, and what it replaces is closed without touching errno") {
  UniqueFd owner = open_null();
  const int first = owner.get();
  const int second = open_null().release();
  CHECK(is_open(second));
  errno = ENOENT;
  owner.reset(second);
  CHECK(errno == ENOENT);
  CHECK_FALSE(is_open(first));
  UniqueFd bad{100'000};
  errno = ENOENT;
  bad.reset();
  CHECK(errno == ENOENT);
  CHECK_FALSE(bad.valid());
}

TEST_CASE("sockets tell apart: bytes, nothing yet, the end, and an error") {
  auto pair = make_socket_pair(SOCK_STREAM);
  REQUIRE(pair.has_value());
  std::array<char, 8> buffer{};
  CHECK(receive(pair->first.get(), buffer).would_block);
  const iovec part{.iov_base = buffer.data(), .iov_len = 3};
  CHECK(send(pair->second.get(), std::span{&part, 1}, More::kNo).bytes == 3);
  const IoResult got = receive(pair->first.get(), buffer);
  CHECK(got.bytes == 3);
  CHECK_FALSE(got.end);
  shut_down_sending(pair->second.get());
  CHECK(receive(pair->first.get(), buffer).end);
  pair->second.reset();
  CHECK(send(pair->first.get(), std::span{&part, 1}, More::kNo).error == EPIPE);
  CHECK(receive(-1, buffer).error == EBADF);
}

TEST_CASE("a file is sent from an offset, and one that ends early says so") {
  const Folder folder;
  const UniqueFd file{::open(folder.write("a", "0123456789").c_str(), O_RDONLY | O_CLOEXEC)};
  auto pair = make_socket_pair(SOCK_STREAM);
  CHECK(send_file(pair->first.get(), file.get(), 7, 100).bytes == 3);
  std::array<char, 8> buffer{};
  const IoResult got = receive(pair->second.get(), buffer);
  CHECK(std::string(buffer.data(), got.bytes) == "789");
  CHECK(send_file(pair->first.get(), file.get(), 10, 100).end);
  CHECK(::lseek(file.get(), 0, SEEK_CUR) == 0);  // the file's own position is not used
}

TEST_CASE("accepting from an empty queue says EAGAIN, from what is no listener why not") {
  auto pair = make_socket_pair(SOCK_STREAM);
  CHECK(accept_connection(pair->first.get()).error == EINVAL);
  SocketAddress address;
  address.storage.ss_family = AF_UNIX;
  address.size = sizeof(sa_family_t);  // the kernel chooses an abstract name (unix(7), autobind)
  auto listener = make_socket(AF_UNIX, SOCK_STREAM);
  REQUIRE(bind_socket(listener->get(), address));
  REQUIRE(listen_on(listener->get(), 1));
  CHECK(accept_connection(listener->get()).error == EAGAIN);
  auto client = make_socket(AF_UNIX, SOCK_STREAM);
  REQUIRE(connect_socket(client->get(), *local_address(listener->get())));
  const Accepted accepted = accept_connection(listener->get());
  REQUIRE(accepted.fd.valid());
  CHECK(accepted.error == 0);
  CHECK((::fcntl(accepted.fd.get(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK((::fcntl(accepted.fd.get(), F_GETFL) & O_NONBLOCK) != 0);
}

TEST_CASE("an option that a socket does not have is an error with its name") {
  auto pair = make_socket_pair(SOCK_STREAM);
  const auto set = set_option(pair->first.get(), SOL_SOCKET, 9999, "SO_NOTHING", 7);
  REQUIRE_FALSE(set.has_value());
  CHECK(set.error().message == "cannot set SO_NOTHING to 7: Protocol not available");
}

}  // namespace prong::os
