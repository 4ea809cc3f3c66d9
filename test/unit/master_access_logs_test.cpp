// The files of the access logs, as the master holds them.
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "config_folder.hpp"
#include "master/access_logs.hpp"

namespace prong::master {
namespace {

using config::test::Folder;

ino_t inode_of(int fd) {
  struct stat status{};
  REQUIRE(::fstat(fd, &status) == 0);
  return status.st_ino;
}

}  // namespace

TEST_CASE("a file is opened once, to append to it, and no program inherits it") {
  const Folder folder;
  const std::string path = folder.path("a.log");
  AccessLogs logs;
  CHECK(logs.find(path) == -1);
  CHECK(logs.ensure(path).value());
  const int fd = logs.find(path);
  CHECK_FALSE(logs.ensure(path).value());
  CHECK(logs.find(path) == fd);
  CHECK((::fcntl(fd, F_GETFL) & O_APPEND) != 0);
  CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
  const auto missing = logs.ensure(folder.path("no/a.log"));
  REQUIRE_FALSE(missing.has_value());
  CHECK(logs.find(folder.path("no/a.log")) == -1);
}

TEST_CASE("reopening makes the files that were moved away anew; one that fails keeps its old one") {
  const Folder folder;
  const std::string good = folder.path("good.log");
  const std::string bad = folder.path("sub/bad.log");
  std::filesystem::create_directory(folder.path("sub"));
  AccessLogs logs;
  REQUIRE(logs.ensure(bad).has_value());
  REQUIRE(logs.ensure(good).has_value());
  const ino_t bad_before = inode_of(logs.find(bad));
  const ino_t good_before = inode_of(logs.find(good));
  std::filesystem::rename(good, good + ".1");
  std::filesystem::rename(folder.path("sub"), folder.path("gone"));
  const auto errors = logs.reopen();
  REQUIRE(errors.size() == 1);
  CHECK(errors[0].message == "cannot open the access log \"" + bad + "\": No such file or directory");
  CHECK(inode_of(logs.find(bad)) == bad_before);
  CHECK(inode_of(logs.find(good)) != good_before);
  struct stat status{};
  REQUIRE(::stat(good.c_str(), &status) == 0);
  CHECK(status.st_ino == inode_of(logs.find(good)));
}

TEST_CASE("files that nobody needs are closed") {
  const Folder folder;
  AccessLogs logs;
  REQUIRE(logs.ensure(folder.path("a")).has_value());
  REQUIRE(logs.ensure(folder.path("b")).has_value());
  const int gone = logs.find(folder.path("a"));
  logs.retain_only({folder.path("b"), folder.path("c")});
  CHECK(logs.paths() == std::set<std::string>{folder.path("b")});
  CHECK(::fcntl(gone, F_GETFD) == -1);
}

}  // namespace prong::master
