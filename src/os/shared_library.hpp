// dlopen(3): a shared library in this process. Never closed again: code of it may be running, or be referred to, until
// the process ends, and a new version of it comes with a new process.
#pragma once

#include <string>

#include "base/error.hpp"

namespace prong::os {

class SharedLibrary {
 public:
  // Loads it with all that it needs, and binds every symbol now, so that what is missing is told here and not in the
  // middle of a request. Its symbols are for nobody else. Runs its constructors: foreign code, which may do anything.
  // The path has to have a slash, so that it is not searched for.
  [[nodiscard]] static Result<SharedLibrary> open(const std::string& path);

  // The address of a symbol; nullptr: it has none of that name.
  [[nodiscard]] const void* find(const char* symbol) const;

 private:
  explicit SharedLibrary(void* handle) : handle_(handle) {}
  void* handle_;
};

}  // namespace prong::os
