#include "master/access_logs.hpp"

#include <utility>

#include "log/access_log.hpp"

namespace prong::master {

Result<bool> AccessLogs::ensure(const std::string& path) {
  if (files_.contains(path)) return false;
  auto file = log::open_access_log(path);
  if (!file) return failure(std::move(file.error()));
  files_.emplace(path, std::move(*file));
  return true;
}

int AccessLogs::find(const std::string& path) const {
  const auto found = files_.find(path);
  return found == files_.end() ? -1 : found->second.get();
}

std::set<std::string> AccessLogs::paths() const {
  std::set<std::string> paths;
  for (const auto& [path, file] : files_) paths.insert(path);
  return paths;
}

void AccessLogs::retain_only(const std::set<std::string>& paths) {
  std::erase_if(files_, [&](const auto& entry) { return !paths.contains(entry.first); });
}

std::vector<Error> AccessLogs::reopen() {
  std::vector<Error> errors;
  for (auto& [path, file] : files_) {
    auto opened = log::open_access_log(path);
    if (opened)
      file = std::move(*opened);
    else
      errors.push_back(std::move(opened.error()));
  }
  return errors;
}

}  // namespace prong::master
