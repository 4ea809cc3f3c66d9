#include "main/launcher_file.hpp"

#include <fcntl.h>

#include <filesystem>
#include <system_error>

#include "log/log.hpp"

namespace prong {

os::UniqueFd open_launcher() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  for (const auto& folder : {self.parent_path(), std::filesystem::path{PRONGD_LIBEXEC}}) {
    os::UniqueFd file{::open((folder / "prongd-launch").c_str(), O_RDONLY | O_CLOEXEC)};
    if (file.valid()) return file;
  }
  log::debug("no prongd-launch beside {} or in {}: the master forks spare workers itself", self.string(),
             PRONGD_LIBEXEC);
  return os::UniqueFd{};
}

}  // namespace prong
