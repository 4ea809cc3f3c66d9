// The access log of a worker: whole lines, together and in time, into files that fill up, move, or have no reader.
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <csignal>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "access_sample.hpp"
#include "config_folder.hpp"
#include "forked.hpp"
#include "log/access_log.hpp"

namespace prong::log {
namespace {

using namespace std::chrono_literals;
using config::test::Folder;
using Lines = std::vector<std::string>;

const os::TimePoint start = os::now();

std::string content(const std::string& path) {
  std::ifstream file{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{file}, {}};
}

Lines lines_of(const std::string& text) {
  Lines lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

AccessLog make_log(const std::string& path, Duration delay = 100ms, std::string_view format = "{target}") {
  auto file = open_access_log(path);
  REQUIRE(file.has_value());
  return {std::move(*file),
          AccessFormat::parse(format).value(),
          test::sample_worker(),
          {.path = path, .flush_delay = delay}};
}

void write_line(AccessLog& log, const std::string& target, os::TimePoint now = start) {
  AccessRecord record = test::sample_record();
  record.target = target;
  log.finish(log.begin(record), test::sample_result(), now);
}

struct Fifo {
  explicit Fifo(const Folder& folder, std::string_view name = "fifo") : path(folder.path(name)) {
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    open();
  }
  void open() {
    reader = os::UniqueFd{::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)};
    REQUIRE(reader.valid());
  }
  [[nodiscard]] std::string read() const {
    std::string text;
    std::array<char, 65536> buffer{};
    for (ssize_t size = 0; (size = ::read(reader.get(), buffer.data(), buffer.size())) > 0;)
      text.append(buffer.data(), static_cast<std::size_t>(size));
    return text;
  }
  std::string path;
  os::UniqueFd reader;
};

// The process log goes here while this lives. To a FIFO, so that what limits files does not limit it.
class ProcessLog {
 public:
  explicit ProcessLog(const Folder& folder) : fifo_(folder, "process.log") {
    auto output = prepare({.target = Target::kFile, .path = fifo_.path});
    REQUIRE(output.has_value());
    use(std::move(*output));
    set_subject({});
  }
  ProcessLog(const ProcessLog&) = delete;
  ProcessLog& operator=(const ProcessLog&) = delete;
  ProcessLog(ProcessLog&&) = delete;
  ProcessLog& operator=(ProcessLog&&) = delete;
  ~ProcessLog() { use(nullptr); }

  // All so far, without the time.
  [[nodiscard]] Lines lines() {
    text_ += fifo_.read();
    Lines lines = lines_of(text_);
    for (std::string& line : lines) line = line.substr(24);
    return lines;
  }

 private:
  Fifo fifo_;
  std::string text_ = {};
};

// Files may have at most so many bytes while this lives: what a full disk does, a write that is cut short and then
// errors, without a disk (EFBIG, setrlimit(2)).
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    (void)std::signal(SIGXFSZ, SIG_IGN);
    (void)::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{.rlim_cur = bytes, .rlim_max = before_.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;
  FileSizeLimit(FileSizeLimit&&) = delete;
  FileSizeLimit& operator=(FileSizeLimit&&) = delete;
  ~FileSizeLimit() {
    (void)::setrlimit(RLIMIT_FSIZE, &before_);
    (void)std::signal(SIGXFSZ, SIG_DFL);
  }

 private:
  rlimit before_{};
};

}  // namespace

TEST_CASE("lines wait for others, as long as flush_delay from the first") {
  const Folder folder;
  const std::string path = folder.path("a.log");
  AccessLog log = make_log(path, 100ms);
  CHECK_FALSE(log.next_deadline().has_value());
  write_line(log, "/1", start);
  write_line(log, "/2", start + 60ms);
  CHECK(log.next_deadline() == start + 100ms);
  CHECK(content(path).empty());
  CHECK(log.waiting() == 6);
  log.flush(start + 100ms);
  CHECK(content(path) == "/1\n/2\n");
  CHECK_FALSE(log.next_deadline().has_value());
  write_line(log, "/3", start + 150ms);
  CHECK(log.next_deadline() == start + 250ms);
  log.close(start + 200ms);
  CHECK(content(path) == "/1\n/2\n/3\n");
}

TEST_CASE("without a delay no line waits") {
  const Folder folder;
  const std::string path = folder.path("a.log");
  AccessLog log = make_log(path, 0ms);
  write_line(log, "/1");
  CHECK(content(path) == "/1\n");
  CHECK_FALSE(log.next_deadline().has_value());
}

TEST_CASE("a full buffer is written before its time, and only in whole lines") {
  const Folder folder;
  const std::string path = folder.path("a.log");
  AccessLog log = make_log(path, 10s);
  std::string expected;
  while (expected.size() < 200'000) {
    const std::string target = "/" + std::string(expected.size() % 977, 'x');
    write_line(log, target);
    expected += target + "\n";
    const std::string written = content(path);
    if (!written.empty() && written.back() != '\n') FAIL("a torn line");
    if (log.waiting() > 32'768) FAIL("more waits than fits");
  }
  log.close(start);
  CHECK(content(path) == expected);
}

TEST_CASE("a line that is longer than the buffer is written whole") {
  const Folder folder;
  const std::string path = folder.path("a.log");
  AccessLog log = make_log(path, 10s);
  const std::string target(100'000, 'y');
  write_line(log, "/1");
  write_line(log, target);
  CHECK(content(path) == "/1\n" + target + "\n");
  CHECK(log.waiting() == 0);
}

TEST_CASE("lines end in the order in which the answers end") {
  const Folder folder;
  const std::string path = folder.path("a.log");
  AccessLog log = make_log(path, 100ms, "{target} {bytes}");
  std::vector<AccessLine> begun;
  for (const char* target : {"/1", "/2", "/3"}) {
    AccessRecord record = test::sample_record();
    record.target = target;
    begun.push_back(log.begin(record));
  }
  log.finish(std::move(begun[2]), {.bytes = 3}, start);
  log.finish(std::move(begun[0]), {.bytes = 1}, start);
  log.finish(std::move(begun[1]), {.bytes = 2}, start);
  log.finish(AccessLine{}, {.bytes = 9}, start);  // nothing was begun
  log.flush(start);
  CHECK(content(path) == "/3 3\n/1 1\n/2 2\n");
}

TEST_CASE("lines of many processes never mix and none is lost, while the file moves") {
  const Folder folder;
  const std::string path = folder.path("a.log");
  constexpr int kWriters = 8;
  constexpr int kLines = 2'000;
  std::vector<pid_t> writers;
  for (int writer = 0; writer < kWriters; ++writer) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      AccessLog log = make_log(path, 10s);
      for (int i = 0; i < kLines; ++i) {
        // The file is renamed all the time; whoever opens it anew finds or makes the next one.
        if (i % 50 == 49) log.adopt(std::move(*open_access_log(path)), start);
        write_line(log, fmt::format("/{}/{}/{}", writer, i, std::string(static_cast<std::size_t>(i % 300), 'z')));
      }
      log.close(start);
      ::_exit(0);
    }
    writers.push_back(pid);
  }
  int moved = 0;
  for (int left = kWriters; left > 0;) {
    (void)::rename(path.c_str(), fmt::format("{}.{}", path, moved++).c_str());
    for (pid_t& pid : writers) {
      if (pid == 0 || ::waitpid(pid, nullptr, WNOHANG) != pid) continue;
      pid = 0;
      --left;
    }
  }
  std::multiset<std::string> found;
  std::multiset<std::string> expected;
  for (int i = -1; i < moved; ++i)
    for (const std::string& line : lines_of(content(i < 0 ? path : fmt::format("{}.{}", path, i)))) found.insert(line);
  for (int writer = 0; writer < kWriters; ++writer)
    for (int i = 0; i < kLines; ++i)
      expected.insert(fmt::format("/{}/{}/{}", writer, i, std::string(static_cast<std::size_t>(i % 300), 'z')));
  CHECK(moved > 1);
  CHECK((found == expected));
}

TEST_CASE("what waits goes to the old file, what comes goes to the new one") {
  const Folder folder;
  const std::string path = folder.path("a.log");
  AccessLog log = make_log(path, 10s);
  write_line(log, "/1");
  REQUIRE(::rename(path.c_str(), folder.path("a.log.1").c_str()) == 0);
  log.adopt(std::move(*open_access_log(path)), start);
  write_line(log, "/2");
  log.close(start);
  CHECK(content(folder.path("a.log.1")) == "/1\n");
  CHECK(content(path) == "/2\n");
}

TEST_CASE("a file is continued, a new one is not for everybody, and the error names what cannot be opened") {
  const Folder folder;
  const std::string path = folder.path("a.log");
  CHECK(open_access_log(path).has_value());
  struct stat status{};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0007U) == 0);
  const auto missing = open_access_log(folder.path("no/a.log"));
  REQUIRE_FALSE(missing.has_value());
  CHECK(missing.error().message ==
        fmt::format("cannot open the access log \"{}\": No such file or directory", folder.path("no/a.log")));
  CHECK(missing.error().hint.empty());
  REQUIRE(::mkfifo(folder.path("fifo").c_str(), 0600) == 0);
  const auto unread = open_access_log(folder.path("fifo"));
  REQUIRE_FALSE(unread.has_value());
  CHECK_THAT(unread.error().hint, Catch::StartsWith("it is a FIFO that nobody reads"));
}

TEST_CASE("a full disk tears no line and loses none that the buffer holds, and both is told once") {
  const Folder folder;
  ProcessLog process_log{folder};
  const std::string path = folder.path("a.log");
  AccessLog log = make_log(path, 100ms);
  write_line(log, "/before");
  log.flush(start);
  {
    const FileSizeLimit limit{20};  // "/before\n" and twelve bytes more: one line, and a part of the next
    write_line(log, "/first");
    write_line(log, "/second");
    log.flush(start + 1s);
    CHECK(content(path) == "/before\n/first\n");
    CHECK(log.next_deadline() == start + 1100ms);
    log.flush(start + 1100ms);
    write_line(log, "/third", start + 1100ms);
    CHECK(content(path) == "/before\n/first\n");
  }
  log.flush(start + 1200ms);
  CHECK(content(path) == "/before\n/first\n/second\n/third\n");
  CHECK_FALSE(log.next_deadline().has_value());
  const Lines told = process_log.lines();
  REQUIRE(told.size() == 2);
  CHECK(told[0] == "error master: cannot write the access log \"" + path +
                       "\": File too large; up to 32KiB of lines wait, more are lost until it works again [PR0803]");
  CHECK(told[1] == "info  master: the access log \"" + path + "\" can be written again; 0 lines were lost");
}

TEST_CASE("a line of a file that meets a pipe goes there in pieces, and the rest before any other") {
  const Folder folder;
  const ProcessLog process_log{folder};
  const Fifo fifo{folder};
  AccessLog log = make_log("/dev/full", 100ms);
  std::string expected;
  for (int i = 0; i < 5; ++i) {
    const std::string target = fmt::format("/{}/", i) + std::string(5000, 'x');
    write_line(log, target);
    expected += target + "\n";
  }
  auto pipe = open_access_log(fifo.path);
  REQUIRE(::fcntl(pipe->get(), F_SETPIPE_SZ, 4096) == 4096);  // one piece
  log.adopt(std::move(*pipe), start);
  std::string text;
  while (log.waiting() > 0) {
    const std::string piece = fifo.read();
    REQUIRE_FALSE(piece.empty());
    text += piece;
    log.flush(start);
  }
  text += fifo.read();
  CHECK((text == expected));
}

TEST_CASE("lines that neither file nor buffer takes are counted") {
  const Folder folder;
  ProcessLog process_log{folder};
  AccessLog log = make_log("/dev/full", 100ms);
  const std::string target(1000, 'x');
  for (int i = 0; i < 40; ++i) write_line(log, target);  // 32 fit
  CHECK(log.waiting() <= 32'768);
  const std::size_t kept = log.waiting() / 1001;
  const std::string path = folder.path("a.log");
  log.adopt(std::move(*open_access_log(path)), start + 1s);
  CHECK(lines_of(content(path)).size() == kept);
  write_line(log, "/after", start + 1s);
  log.flush(start + 1s);
  const Lines told = process_log.lines();
  REQUIRE(told.size() == 2);
  CHECK_THAT(told[0], Catch::Contains("No space left on device"));
  CHECK_THAT(told[1], Catch::EndsWith(fmt::format("can be written again; {} lines were lost", 40 - kept)));
}

TEST_CASE("a file that fails and works in turns is told of now and then, and no loss is forgotten") {
  const Folder folder;
  ProcessLog process_log{folder};
  const std::string path = folder.path("a.log");
  AccessLog log = make_log(path, 100ms);
  const auto fail_and_recover = [&](os::TimePoint now) {
    log.adopt(std::move(*open_access_log("/dev/full")), now);
    for (int i = 0; i < 40; ++i) write_line(log, std::string(1000, 'x'), now);
    log.adopt(std::move(*open_access_log(path)), now);
  };
  fail_and_recover(start);
  for (int i = 1; i < 50; ++i) fail_and_recover(start + i * 100ms);
  CHECK(process_log.lines().size() == 2);
  fail_and_recover(start + 11s);
  const Lines told = process_log.lines();
  REQUIRE(told.size() == 4);
  const std::size_t lost = 51 * std::size_t{40} - lines_of(content(path)).size();
  const std::size_t first = lost / 51;
  CHECK_THAT(told[1], Catch::EndsWith(fmt::format("; {} lines were lost", first)));
  CHECK_THAT(told[3], Catch::EndsWith(fmt::format("; {} lines were lost", lost - first)));
}

TEST_CASE("what cannot be written at the end is counted too") {
  const Folder folder;
  ProcessLog process_log{folder};
  AccessLog log = make_log("/dev/full", 10s);
  for (int i = 0; i < 3; ++i) write_line(log, "/x");
  log.close(start);
  const Lines told = process_log.lines();
  REQUIRE(told.size() == 2);
  CHECK(told[1] == "warn  master: 3 lines of the access log \"/dev/full\" were lost [PR0806]");
}

TEST_CASE("a pipe gets whole lines only, and what it does not take waits") {
  const Folder folder;
  ProcessLog process_log{folder};
  const Fifo fifo{folder};
  AccessLog log = make_log(fifo.path, 10s);
  std::string expected;
  // 64 KiB fit into the pipe (pipe(7)), half as much into the buffer.
  for (int i = 0; i < 80; ++i) {
    const std::string target = fmt::format("/{}/", i) + std::string(900, 'x');
    write_line(log, target);
    expected += target + "\n";
  }
  std::string text = fifo.read();
  CHECK(text.back() == '\n');
  log.flush(start);
  text += fifo.read();
  log.flush(start);
  text += fifo.read();
  CHECK(text == expected);
  for (const std::string& line : process_log.lines()) CHECK_THAT(line, !Catch::StartsWith("error"));
}

TEST_CASE("on its way into a pipe a long line is cut in its values until it fits") {
  const Folder folder;
  const Fifo fifo{folder};
  AccessLog log = make_log(fifo.path, 0ms, "{status} \"{target}\" {pid}");
  write_line(log, "/" + std::string(8000, '\xff'));
  write_line(log, "/" + std::string(3000, 'x'));
  const Lines lines = lines_of(fifo.read());
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].size() + 1 <= PIPE_BUF);
  CHECK_THAT(lines[0], Catch::StartsWith("404 \"/\\xff\\xff") && Catch::EndsWith("\\xff...\" 99"));
  CHECK(lines[1] == "404 \"/" + std::string(3000, 'x') + "\" 99");
}

TEST_CASE("a reader that goes away costs lines, and one that comes back gets the next") {
  const Folder folder;
  ProcessLog process_log{folder};
  (void)std::signal(SIGPIPE, SIG_IGN);
  Fifo fifo{folder};
  AccessLog log = make_log(fifo.path, 0ms);
  fifo.reader.reset();
  write_line(log, "/1", start);
  REQUIRE(process_log.lines().size() == 1);
  CHECK_THAT(process_log.lines()[0], Catch::Contains("Broken pipe"));
  fifo.open();
  log.flush(start + 1s);
  CHECK(fifo.read() == "/1\n");
  (void)std::signal(SIGPIPE, SIG_DFL);
}

}  // namespace prong::log
