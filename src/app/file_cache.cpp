#include "app/file_cache.hpp"

#include <algorithm>
#include <utility>

namespace prong::app {

std::optional<FileCache::File> FileCache::find(std::string_view key, os::TimePoint now) {
  const auto found = index_.find(key);
  if (found == index_.end()) return std::nullopt;
  const Entries::iterator entry = found->second;
  if (entry->expires <= now || (entry->file != nullptr && !entry->file->is_unchanged())) {
    remove(entry);
    return std::nullopt;
  }
  Entries& list = list_of(*entry);
  if (entry != list.begin()) list.splice(list.begin(), list, entry);
  entry->used = ++uses_;
  return entry->file;
}

void FileCache::insert(std::string_view key, File file, os::TimePoint now) {
  if (const auto found = index_.find(key); found != index_.end()) remove(found->second);
  if (limits_.time_to_live == os::TimePoint::duration::zero() || limits_.entries == 0) return;
  Entry made{.key = std::string(key),
             .file = std::move(file),
             .expires = now + limits_.time_to_live,
             .used = ++uses_,
             .age = {}};
  Entries& list = list_of(made);
  list.push_front(std::move(made));
  list.front().age = ages_.insert(ages_.end(), list.begin());
  index_.emplace(list.front().key, list.begin());
  bytes_ += bytes_of(list.front());
  while (bytes_ > limits_.bytes) remove(std::prev(in_memory_.end()));
  if (open_.size() > limits_.descriptors) remove(std::prev(open_.end()));
  if (index_.size() > limits_.entries) remove_least_recently_used();
}

void FileCache::remove_least_recently_used() {
  if (open_.empty() || (!in_memory_.empty() && in_memory_.back().used < open_.back().used))
    remove(std::prev(in_memory_.end()));
  else
    remove(std::prev(open_.end()));
}

std::optional<os::TimePoint> FileCache::expire(os::TimePoint now) {
  while (!ages_.empty() && ages_.front()->expires <= now) remove(ages_.front());
  if (ages_.empty()) return std::nullopt;
  // Files that were loaded one after another need not wake the worker for each of them.
  return std::max(ages_.front()->expires, now + limits_.time_to_live / 4);
}

void FileCache::remove(Entries::iterator entry) {
  bytes_ -= bytes_of(*entry);
  index_.erase(entry->key);
  ages_.erase(entry->age);
  list_of(*entry).erase(entry);
}

void FileCache::clear() {
  bytes_ = 0;
  index_.clear();
  ages_.clear();
  open_.clear();
  in_memory_.clear();
}

}  // namespace prong::app
