// Files that were loaded a moment ago. It knows no file system: what is in it may be asked for again without a look at
// the disk until it is too old, and what it drops is closed as soon as no answer needs it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "app/loaded_file.hpp"
#include "os/clock.hpp"

namespace prong::app {

struct FileCacheLimits {
  std::size_t entries = 0;
  std::size_t descriptors = 0;                // of those that are not in memory
  std::uint64_t bytes = 0;                    // of those that are
  os::TimePoint::duration time_to_live = {};  // from when it was loaded, however often it was asked for; 0: no cache
};

class FileCache {
 public:
  using Limits = FileCacheLimits;
  // nullptr: that there is no such file.
  using File = std::shared_ptr<const LoadedFile>;

  explicit FileCache(const Limits& limits) : limits_(limits) {}
  // Its parts point at each other.
  FileCache(const FileCache&) = delete;
  FileCache& operator=(const FileCache&) = delete;
  FileCache(FileCache&&) = delete;
  FileCache& operator=(FileCache&&) = delete;
  ~FileCache() = default;

  // What was inserted for the key; nothing when it is not there, too old, or when the open file has been written to
  // (one fstat(2)): it is to be loaded.
  [[nodiscard]] std::optional<File> find(std::string_view key, os::TimePoint now);

  // The least recently used go when it is full. Replaces what there was.
  void insert(std::string_view key, File file, os::TimePoint now);

  // Drops what is too old by `now`. Says when to call it again, nothing: it is empty.
  [[nodiscard]] std::optional<os::TimePoint> expire(os::TimePoint now);

  void clear();
  [[nodiscard]] std::size_t size() const { return index_.size(); }
  [[nodiscard]] std::size_t descriptors() const { return open_.size(); }

 private:
  struct Entry;
  using Entries = std::list<Entry>;
  using Ages = std::list<Entries::iterator>;
  struct Entry {
    std::string key;
    File file;
    os::TimePoint expires;
    std::uint64_t used;  // counts up: who has less was used less recently
    Ages::iterator age;
  };

  void remove(Entries::iterator entry);
  void remove_least_recently_used();
  [[nodiscard]] static std::uint64_t bytes_of(const Entry& entry) {
    return entry.file == nullptr ? 0 : entry.file->content().size();
  }
  [[nodiscard]] Entries& list_of(const Entry& entry) {
    return entry.file != nullptr && entry.file->file() != nullptr ? open_ : in_memory_;
  }

  Limits limits_;
  // The most recently used first. Two lists, since each may be full while the other is not.
  Entries open_;
  Entries in_memory_;
  Ages ages_;  // of both, the oldest first
  std::unordered_map<std::string_view, Entries::iterator> index_;
  std::uint64_t uses_ = 0;
  std::uint64_t bytes_ = 0;  // of all entries together
};

}  // namespace prong::app
