#include "ipc/inheritance.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <prong/version.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <span>
#include <string_view>
#include <utility>

#include "os/process.hpp"

namespace prong::ipc {
namespace {

// Both sides are of one installation, so the version of prongd is that of the record.
constexpr std::string_view kVersion = "prongd " PRONG_VERSION;
// A configuration file is no larger (config/files.hpp), and a pool is a part of it.
constexpr std::size_t kMostBytes = std::size_t{4} << 20U;

// One number or one text after the other: no field is named, because both sides are the same code.
class Writer {
 public:
  void number(std::uint64_t value) {
    for (unsigned shift = 0; shift < 64; shift += 8) bytes_.push_back(static_cast<char>((value >> shift) & 0xFFU));
  }
  void descriptor(int fd) { number(static_cast<std::uint64_t>(fd) + 1); }
  void text(std::string_view value) {
    number(value.size());
    bytes_.append(value);
  }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  std::uint64_t number() {
    constexpr std::size_t kSize = sizeof(std::uint64_t);
    if (rest_.size() < kSize) {
      broken_ = true;
      return 0;
    }
    std::uint64_t value = 0;
    for (std::size_t i = kSize; i-- > 0;) value = value << 8U | static_cast<unsigned char>(rest_[i]);
    rest_.remove_prefix(kSize);
    return value;
  }
  int descriptor() { return static_cast<int>(number()) - 1; }
  std::string text() {
    const std::uint64_t size = number();
    if (size > rest_.size()) {
      broken_ = true;
      return {};
    }
    std::string value{rest_.substr(0, size)};
    rest_.remove_prefix(size);
    return value;
  }
  [[nodiscard]] bool broken() const { return broken_; }
  [[nodiscard]] bool complete() const { return !broken_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool broken_ = false;
};

}  // namespace

std::string encode(const ExecRecord& record) {
  const Inheritance& inheritance = record.inheritance;
  Writer writer;
  writer.text(kVersion);
  writer.text(inheritance.pool);
  writer.number(inheritance.slot);
  writer.number(inheritance.generation);
  writer.number(static_cast<std::uint64_t>(inheritance.master_pid));
  writer.descriptor(inheritance.channel_fd);
  writer.number(inheritance.listeners.size());
  for (const InheritedListener& listener : inheritance.listeners) {
    writer.descriptor(listener.fd);
    writer.number(listener.number);
    writer.text(listener.address);
  }
  writer.descriptor(inheritance.access_log_fd);
  writer.descriptor(inheritance.scoreboard_fd);
  writer.descriptor(inheritance.stack_fd);
  writer.text(record.config);
  writer.descriptor(record.log_fd);
  writer.number(record.log_target);
  writer.number(record.log_level);
  writer.number(record.log_color);
  writer.text(record.log_path);
  return writer.take();
}

Result<ExecRecord> decode(std::string_view bytes) {
  Reader reader{bytes};
  const std::string version = reader.text();
  if (version != kVersion)
    return failure(fmt::format("the worker's module is of {}, and the master is of {}", kVersion,
                               reader.broken() ? "another program" : version),
                   "install both from the same package");
  ExecRecord record;
  Inheritance& inheritance = record.inheritance;
  inheritance.pool = reader.text();
  inheritance.slot = static_cast<std::uint32_t>(reader.number());
  inheritance.generation = static_cast<std::uint32_t>(reader.number());
  inheritance.master_pid = static_cast<pid_t>(reader.number());
  inheritance.channel_fd = reader.descriptor();
  const std::uint64_t listeners = reader.number();
  for (std::uint64_t i = 0; i < listeners && !reader.broken(); ++i) {
    InheritedListener listener;
    listener.fd = reader.descriptor();
    listener.number = static_cast<std::uint32_t>(reader.number());
    listener.address = reader.text();
    inheritance.listeners.push_back(std::move(listener));
  }
  inheritance.access_log_fd = reader.descriptor();
  inheritance.scoreboard_fd = reader.descriptor();
  inheritance.stack_fd = reader.descriptor();
  record.config = reader.text();
  record.log_fd = reader.descriptor();
  record.log_target = reader.number();
  record.log_level = reader.number();
  record.log_color = reader.number();
  record.log_path = reader.text();
  if (!reader.complete()) return failure("what the master handed to the worker is not whole");
  return record;
}

std::vector<int> descriptors_of(const ExecRecord& record) {
  const Inheritance& inheritance = record.inheritance;
  std::vector<int> all{inheritance.channel_fd, inheritance.access_log_fd, inheritance.scoreboard_fd,
                       inheritance.stack_fd, record.log_fd};
  for (const InheritedListener& listener : inheritance.listeners) all.push_back(listener.fd);
  std::erase_if(all, [](int fd) { return fd < 0; });
  return all;
}

Result<os::UniqueFd> store(const ExecRecord& record) {
  os::UniqueFd file{::memfd_create("prongd-worker", 0)};
  if (!file.valid()) return failure(system_error("cannot make a memory file", errno));
  const std::string bytes = encode(record);
  const ssize_t written = ::write(file.get(), bytes.data(), bytes.size());
  if (written < 0) return failure(system_error("cannot write a memory file", errno));
  if (static_cast<std::size_t>(written) != bytes.size()) return failure("cannot write a memory file whole");
  for (const int fd : descriptors_of(record))
    if (auto kept = os::set_close_on_exec(fd, false); !kept) return failure(std::move(kept.error()));
  return file;
}

Result<ExecRecord> take(os::UniqueFd file) {
  struct stat status{};
  if (::fstat(file.get(), &status) != 0)
    return failure(system_error("cannot look at what the master handed over", errno));
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size > kMostBytes) return failure("what the master handed over is too large");
  std::string bytes(size, '\0');
  const ssize_t got = ::pread(file.get(), bytes.data(), bytes.size(), 0);
  if (got < 0) return failure(system_error("cannot read what the master handed over", errno));
  bytes.resize(static_cast<std::size_t>(got));
  auto record = decode(bytes);
  if (!record) return record;
  for (const int fd : descriptors_of(*record))
    if (auto closed = os::set_close_on_exec(fd, true); !closed) return failure(std::move(closed.error()));
  return record;
}

}  // namespace prong::ipc
