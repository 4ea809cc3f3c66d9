// CPython as C++ sees it here: owned references, the interpreter lock, text. The stable ABI alone (Py_LIMITED_API), so
// that one module fits every CPython from 3.9.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

// Exported since 3.3, and a part of the stable ABI since 3.10 only (docs of the C API, "Unicode Objects").
// NOLINTNEXTLINE(readability-identifier-naming): CPython's
extern "C" const char* PyUnicode_AsUTF8AndSize(PyObject* text, Py_ssize_t* size);

namespace prong::app::wsgi {

// An owned reference; nullptr: none. Only while the interpreter lock is held, its destructor too.
class Ref {
 public:
  Ref() = default;
  explicit Ref(PyObject* owned) : object_(owned) {}
  [[nodiscard]] static Ref borrowed(PyObject* object) {
    Py_XINCREF(object);
    return Ref{object};
  }
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref& operator=(Ref&& other) noexcept {
    if (this == &other) return *this;
    PyObject* const old = std::exchange(object_, std::exchange(other.object_, nullptr));
    Py_XDECREF(old);
    return *this;
  }
  Ref(const Ref&) = delete;
  Ref& operator=(const Ref&) = delete;
  ~Ref() { Py_XDECREF(object_); }

  [[nodiscard]] PyObject* get() const { return object_; }
  [[nodiscard]] PyObject* release() { return std::exchange(object_, nullptr); }
  [[nodiscard]] explicit operator bool() const { return object_ != nullptr; }

 private:
  PyObject* object_ = nullptr;
};

// What is known of an exception: its last line, "ValueError: no such thing", and if the reporter makes them, the page
// (HTML) that shows it.
struct Report {
  std::string line;
  std::shared_ptr<const std::string> page = {};
};
// What Python raised, already told to the operator as a traceback; what() is its last line.
class PythonError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  explicit PythonError(Report report) : std::runtime_error(report.line), page_(std::move(report.page)) {}

  // nullptr: there is none.
  [[nodiscard]] const std::string* page() const { return page_.get(); }

 private:
  std::shared_ptr<const std::string> page_;
};
// Takes the exception that is set and has its traceback printed to standard error. Never leaves one set.
[[nodiscard]] Report report_exception();
// Prints nothing and gives "ValueError: no such thing".
[[nodiscard]] std::string take_exception();

// Called by the module before it serves: the function that prints an exception, report(exception), and gives None or a
// page as bytes.
void set_reporter(Ref function);

// The interpreter lock. Only on the main thread after release_main_thread(), and on application threads.
class Locked {
 public:
  Locked();
  Locked(const Locked&) = delete;
  Locked& operator=(const Locked&) = delete;
  ~Locked();
};
// Gives the lock up, and takes it again at its end: for what may wait, inside a call from Python.
class Unlocked {
 public:
  Unlocked() : state_(PyEval_SaveThread()) {}
  Unlocked(const Unlocked&) = delete;
  Unlocked& operator=(const Unlocked&) = delete;
  ~Unlocked() { PyEval_RestoreThread(state_); }

 private:
  PyThreadState* state_;
};
// On the main thread, which holds the lock: gives it up until restore_main_thread().
void release_main_thread();
void restore_main_thread();

// The text of a str that has only ASCII, without a copy; nothing: it has more, or is none. Lives as long as the str.
[[nodiscard]] std::optional<std::string_view> ascii_view(PyObject* text);

// A str of these bytes, each one character (PEP 3333: "native strings" of Latin-1). nullptr: no memory.
[[nodiscard]] inline Ref latin1(std::string_view bytes) {
  return Ref{PyUnicode_DecodeLatin1(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), nullptr)};
}
// The bytes of a bytes object, which it owns.
[[nodiscard]] std::string_view bytes_view(PyObject* bytes);
// An interned str. Throws std::bad_alloc.
[[nodiscard]] Ref interned(std::string_view text);
// Throws std::bad_alloc when there is no object: for what cannot fail but for memory.
[[nodiscard]] Ref checked(PyObject* owned);

}  // namespace prong::app::wsgi
