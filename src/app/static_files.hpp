// Files of one directory, served as they are.
//
// Nothing outside the root can be reached: names are made harmless first (url_path), and the kernel refuses what leads
// out all the same (os::open_beneath). The file is opened once and everything is said about that descriptor, so that a
// file that is replaced meanwhile is served whole, old or new.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "app/url_path.hpp"
#include "base/error.hpp"
#include "http/handler.hpp"
#include "os/file.hpp"
#include "os/unique_fd.hpp"

namespace prong::app {

struct StaticSettings {
  std::string root;
  std::vector<std::string> index = {"index.html"};  // tried in this order for a directory
  std::string default_type = "application/octet-stream";
};

class StaticFiles final : public http::Handler {
 public:
  using Settings = StaticSettings;

  // Opens the root. Runs in the worker, after its user has been set, so that it fails where serving would.
  [[nodiscard]] static Result<std::unique_ptr<StaticFiles>> create(Settings settings);

  // Blocks only as long as the disk does.
  [[nodiscard]] http::Answer handle(const http::Request& request) override;

 private:
  StaticFiles(Settings settings, os::UniqueFd root) : settings_(std::move(settings)), root_(std::move(root)) {}

  [[nodiscard]] http::Response serve_directory(const http::Request& request, const UrlPath& path) const;
  [[nodiscard]] http::Response serve_name(const http::Request& request, const UrlPath& path) const;
  [[nodiscard]] http::Response serve_file(const http::Request& request, std::string_view name, os::UniqueFd file,
                                          const os::FileInfo& info) const;

  Settings settings_;
  os::UniqueFd root_;
};

}  // namespace prong::app
