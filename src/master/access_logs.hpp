// The files of all access logs, each open once however many pools and generations write to it: they share one open
// file, so a reopening reaches them all. The master only opens; the workers write.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "os/unique_fd.hpp"

namespace prong::master {

class AccessLogs {
 public:
  // Opens the file unless it is open already. True: it was opened now.
  [[nodiscard]] Result<bool> ensure(const std::string& path);
  // Borrowed; -1 when it is not open.
  [[nodiscard]] int find(const std::string& path) const;
  [[nodiscard]] std::set<std::string> paths() const;
  // Closes all others.
  void retain_only(const std::set<std::string>& paths);
  // Opens every file again by its path (after a rotation). Those that fail keep what they have, and are returned.
  [[nodiscard]] std::vector<Error> reopen();

 private:
  std::map<std::string, os::UniqueFd> files_;
};

}  // namespace prong::master
