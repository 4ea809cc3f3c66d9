#include "os/shared_library.hpp"

#include <dlfcn.h>

#include <string_view>

namespace prong::os {

Result<SharedLibrary> SharedLibrary::open(const std::string& path) {
  void* const handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle != nullptr) return SharedLibrary{handle};
  const char* const why = ::dlerror();
  std::string_view reason = why == nullptr ? "unknown reason" : why;
  // It begins with the path of the library that it is about, which is mostly this one.
  if (const std::string prefix = path + ": "; reason.starts_with(prefix)) reason.remove_prefix(prefix.size());
  return failure(reason);
}

const void* SharedLibrary::find(const char* symbol) const {
  return ::dlsym(handle_, symbol);
}

}  // namespace prong::os
