// Configurations that no file says: what the options of the command line stand for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "config/reader.hpp"

namespace prong::config {

// Of --static, --wsgi and --module.
inline constexpr std::string_view kDefaultAddress = "127.0.0.1:8080";

// `prongd --static DIRECTORY [--listen ADDRESS]`: one pool "static". A relative directory is taken from the working
// directory. Check the result with config/check.hpp like any other; positions name the option.
[[nodiscard]] Config for_static(const std::string& directory,
                                const std::string& address = std::string{kDefaultAddress});

// Of a pool that does not say it.
[[nodiscard]] std::uint32_t default_threads();

// `prongd --wsgi APP` and the options beside it.
struct WsgiOptions {
  std::string app = {};  // "module:name"
  std::string address = std::string{kDefaultAddress};
  std::optional<std::uint32_t> workers = {};  // nothing: "auto"
  std::uint32_t threads = default_threads();
  bool reload = false;
  bool debug_errors = false;
};
// One pool "app", whose application lies in the working directory.
[[nodiscard]] Config for_wsgi(const WsgiOptions& options);

// `prongd --module PATH` and the options beside it.
struct ModuleArguments {
  std::string path = {};
  std::string address = std::string{kDefaultAddress};
  ModuleProtocol protocol = ModuleProtocol::kHttp;
  std::vector<std::string> options = {};  // "NAME=VALUE", see read_option_arguments()
  Concurrency concurrency = Concurrency::kEvent;
  std::optional<std::uint32_t> workers = {};  // nothing: "auto"
  std::optional<std::uint32_t> threads = {};  // nothing: default_threads()
};
// One pool, named after the file: "hello" for "hello.so" and "libhello.so". What is wrong with the options is among the
// diagnostics.
[[nodiscard]] Loaded for_module(const ModuleArguments& arguments);

}  // namespace prong::config
