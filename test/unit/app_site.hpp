// A folder of files for a handler to serve, with a secret beside the root, which no name may reach.
#pragma once

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "app/static_files.hpp"

namespace prong::test {

class Site {
 public:
  Site() {
    std::string name = (std::filesystem::temp_directory_path() / "prongd-static-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    folder_ = name;
    std::filesystem::create_directory(root());
    write("../secret.txt", "secret\n");
    write("a.txt", "a text\n");
    write("index.html", "index\n");
  }
  Site(const Site&) = delete;
  Site& operator=(const Site&) = delete;
  Site(Site&&) = delete;
  Site& operator=(Site&&) = delete;
  ~Site() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  [[nodiscard]] std::filesystem::path root() const { return folder_ / "root"; }
  [[nodiscard]] std::filesystem::path folder() const { return folder_; }
  void write(const std::string& name, std::string_view content) const {
    std::filesystem::create_directories((root() / name).parent_path());
    std::ofstream(root() / name, std::ios::binary) << content;
  }
  // Another file takes the name over, as a careful writer does it.
  void replace(const std::string& name, std::string_view content) const {
    write("../new", content);
    std::filesystem::rename(folder_ / "new", root() / name);
  }
  // Seconds from now.
  void set_age(const std::string& name, std::time_t age) const {
    const std::timespec time{.tv_sec = std::time(nullptr) - age, .tv_nsec = 0};
    const std::array<std::timespec, 2> times{time, time};
    if (::utimensat(AT_FDCWD, (root() / name).c_str(), times.data(), 0) != 0) throw std::runtime_error("utimensat");
  }

  // What a test does not say: no cache, so that each request sees the files as they are.
  [[nodiscard]] app::StaticSettings settings() const {
    return {.root = root(),
            .index = {"index.html"},
            .default_type = "application/octet-stream",
            .cache_file_size = {16U << 10U},
            .cache_memory = {16U << 20U}};
  }
  [[nodiscard]] app::StaticSettings cached(std::chrono::seconds time_to_live = std::chrono::hours{1}) const {
    app::StaticSettings settings = this->settings();
    settings.cache_ttl = time_to_live;
    settings.cache_entries = 100;
    settings.cache_descriptors = 100;
    return settings;
  }
  [[nodiscard]] static std::unique_ptr<app::StaticFiles> serve(app::StaticSettings settings) {
    auto made = app::StaticFiles::create(std::move(settings));
    REQUIRE(made.has_value());
    return std::move(*made);
  }
  [[nodiscard]] std::unique_ptr<app::StaticFiles> files() const { return serve(settings()); }

 private:
  std::filesystem::path folder_;
};

}  // namespace prong::test
