// From the name of a file below the root to what can be sent of it. The only place that opens files for clients.
#pragma once

#include <cstddef>
#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "app/loaded_file.hpp"
#include "app/mime_types.hpp"
#include "os/file.hpp"
#include "os/unique_fd.hpp"

namespace prong::app {

struct FileLoaderSettings {
  os::Links links = os::Links::kBeneath;
  MimeTypes mime_types = {};
  std::string default_type = {};
  std::vector<std::pair<std::string, std::string>> cache_control = {};  // pattern -> value; the first that matches
  bool negotiates = false;                                              // whether files may have compressed siblings
  std::size_t most_in_memory = 0;                                       // bytes of a file that is read at once
};

class FileLoader {
 public:
  using Settings = FileLoaderSettings;

  FileLoader(os::UniqueFd root, Settings settings) : root_(std::move(root)), settings_(std::move(settings)) {}

  // The file of that relative name (a name of url_path), or its compressed sibling, which says that it is the file.
  // The file is opened once and everything is said about that descriptor, so that one which is replaced meanwhile is
  // served whole, old or new. The error is an errno; EISDIR for a directory, ENXIO for what is neither file nor
  // directory. Blocks only as long as the disk does.
  [[nodiscard]] std::expected<LoadedFile, int> load(std::string_view name, Coding coding = Coding::kIdentity) const;

  // Whether load() finds siblings for such a name: not for what is compressed itself.
  [[nodiscard]] bool negotiates(std::string_view name) const;

  // A directory for reading; "" is the root. ENOTDIR for other things.
  [[nodiscard]] std::expected<os::UniqueFd, int> open_directory(std::string_view name) const;

  // What a name is, links followed as settings say.
  [[nodiscard]] std::expected<os::FileInfo, int> info(const std::string& name) const {
    return os::file_info_beneath(root_.get(), name.c_str(), settings_.links);
  }

 private:
  [[nodiscard]] std::string_view type_of(std::string_view name) const;
  [[nodiscard]] std::string_view cache_control_of(std::string_view name) const;

  os::UniqueFd root_;
  Settings settings_;
};

}  // namespace prong::app
