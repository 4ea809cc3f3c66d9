// wsgi.file_wrapper (PEP 3333, "Optional Platform-Specific File Handling"): an iterable over a file-like object, which
// is sent by sendfile(2) where it is a regular file and the application returns the wrapper as it is.
#pragma once

#include <optional>

#include "app/wsgi/python.hpp"
#include "net/output.hpp"

namespace prong::app::wsgi {

class FileWrapperType {
 public:
  // With the interpreter lock. Throws PythonError.
  [[nodiscard]] static FileWrapperType create();
  [[nodiscard]] PyObject* type() const { return type_.get(); }
  [[nodiscard]] bool made(PyObject* object) const {
    return reinterpret_cast<PyObject*>(Py_TYPE(object)) == type_.get();
  }
  // From its position to its end, with a descriptor of its own; nothing: it is to be read. Leaves no exception set.
  [[nodiscard]] static std::optional<net::FileBody> file_of(PyObject* wrapper);

 private:
  explicit FileWrapperType(Ref type) : type_(std::move(type)) {}
  Ref type_;
};

}  // namespace prong::app::wsgi
