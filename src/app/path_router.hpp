// What stands before a pool's application: folders of files that are served under their prefixes (`static_map`), and
// the prefix that the application itself stands below (`path_prefix`).
//
// It runs on the I/O thread, whatever the application runs on: a file costs no application thread, and comes while all
// of them are busy.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/static_files.hpp"
#include "http/handler.hpp"
#include "os/clock.hpp"

namespace prong::app {

class PathRouter final : public http::Handler {
 public:
  // Prefixes are decoded, begin with a slash and have no empty and no dot parts (config/check_paths.cpp); a slash at
  // their end says nothing.
  struct Folder {
    std::string prefix;
    std::unique_ptr<StaticFiles> files;
  };
  struct Settings {
    std::vector<Folder> folders = {};
    std::string path_prefix = {};  // empty: the application has all other paths
  };
  // `application` is borrowed.
  PathRouter(http::Handler& application, Settings settings);

  // Of a folder's requests it drops the body, of others it asks the application.
  [[nodiscard]] http::BodyUse body_use(const http::Request& request) override;
  // Of the application, whose body_use() said kPass.
  [[nodiscard]] std::unique_ptr<http::BodySink> body_sink(const http::Request& request) override;
  // The folder with the longest prefix that the path has as whole parts, else the application, else 404. Of a folder
  // what the path means is compared, without dots and escapes; what nobody can tell the meaning of goes by its bytes.
  [[nodiscard]] http::Answer handle(const http::Request& request) override;
  [[nodiscard]] http::DescriptorNeeds descriptor_needs() const override;
  [[nodiscard]] std::optional<os::TimePoint> do_housekeeping(os::TimePoint now) override;

 private:
  // To whom a request goes, and what he sees of its path.
  struct Route {
    http::Handler* handler = nullptr;
    std::string_view prefix = {};
    std::string_view path = {};
  };
  [[nodiscard]] std::optional<Route> route(std::string_view path);
  [[nodiscard]] std::optional<Route> route_to_folder(std::string_view path);
  [[nodiscard]] const Folder* folder_of(std::string_view path) const;

  http::Handler* application_;
  Settings settings_;
  std::string scratch_;  // a path that was written anew, until its answer is made
};

}  // namespace prong::app
