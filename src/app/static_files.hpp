// Files of one directory, served as they are: how a request travels from its path to the file that answers it.
//
// Nothing outside the root can be reached: names are made harmless first (url_path), and the kernel refuses what leads
// out all the same (os::open_beneath). What a file is and says is file_loader's and loaded_file's topic, what of it is
// sent file_answer's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "app/content_coding.hpp"
#include "app/error_pages.hpp"
#include "app/file_cache.hpp"
#include "app/file_loader.hpp"
#include "app/request_fields.hpp"
#include "base/error.hpp"
#include "base/units.hpp"
#include "http/handler.hpp"
#include "os/clock.hpp"
#include "os/file.hpp"

namespace prong::app {

// As in config/config.hpp, where the defaults are. Names of files are relative and without "..".
struct StaticSettings {
  std::string root = {};
  std::vector<std::string> index = {};  // tried in this order for a directory
  std::string default_type = {};
  std::string mime_types = {};  // empty: the built-in types alone
  bool listing = false;
  std::string fallback = {};  // for names that are not there; empty: none
  os::Links links = os::Links::kBeneath;
  std::vector<Coding> precompressed = {};  // the preferred one first
  std::vector<std::pair<std::string, std::string>> cache_control = {};
  std::vector<std::pair<std::string, std::string>> error_pages = {};
  Duration cache_ttl = {};
  std::size_t cache_entries = 0;
  std::size_t cache_descriptors = 0;  // the most that the cache keeps open
  ByteSize cache_file_size = {};
  ByteSize cache_memory = {};
};

class StaticFiles final : public http::Handler {
 public:
  using Settings = StaticSettings;

  // Opens the root. Runs in the worker, after its user has been set, so that it fails where serving would.
  [[nodiscard]] static Result<std::unique_ptr<StaticFiles>> create(Settings settings);

  // Blocks only as long as the disk does.
  [[nodiscard]] http::Answer handle(const http::Request& request) override;
  [[nodiscard]] http::DescriptorNeeds descriptor_needs() const override;
  // Closes what the cache held for too long.
  [[nodiscard]] std::optional<os::TimePoint> do_housekeeping(os::TimePoint now) override;

 private:
  using File = std::shared_ptr<const LoadedFile>;

  StaticFiles(Settings settings, FileLoader loader);

  [[nodiscard]] http::Response serve(const http::Request& request, std::string_view name);
  [[nodiscard]] http::Response serve_directory(const http::Request& request, std::string_view name);
  [[nodiscard]] http::Response serve_file(const http::Request& request, std::string_view name, File file);
  [[nodiscard]] http::Response serve_fallback(const http::Request& request, int error);
  [[nodiscard]] http::Response list(std::string_view name, int directory);
  [[nodiscard]] http::Response refusal(std::uint16_t status);
  [[nodiscard]] http::Response not_acceptable();

  [[nodiscard]] std::expected<File, int> find(std::string_view name);
  [[nodiscard]] File find_sibling(std::string_view name, Coding coding);
  [[nodiscard]] File representation(const http::Request& request, std::string_view name, File file);

  Settings settings_;
  FileLoader loader_;
  ErrorPages error_pages_;
  FileCache cache_;
  File borrowed_;  // by the last answer, until it is handed to the session
  std::string scratch_;
};

}  // namespace prong::app
