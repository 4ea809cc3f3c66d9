#include "app/wsgi/python.hpp"

#include <new>

namespace prong::app::wsgi {
namespace {

// The interpreter is one for the process, and so is what tells about its exceptions. Never released: the interpreter
// may be gone when this is destroyed.
PyObject* reporter = nullptr;  // NOLINT(cppcoreguidelines-avoid-non-const-global-variables)

// What CPython knows of this thread. Ends with the thread.
struct ThreadState {
  PyThreadState* state = nullptr;
  PyGILState_STATE before = PyGILState_UNLOCKED;
  bool is_ours = false;

  ThreadState() = default;
  ThreadState(const ThreadState&) = delete;
  ThreadState& operator=(const ThreadState&) = delete;
  ~ThreadState() {
    if (!is_ours) return;
    PyEval_RestoreThread(state);
    PyGILState_Release(before);  // the last one of this thread: it is forgotten
  }
};
thread_local ThreadState thread_state;  // NOLINT(cppcoreguidelines-avoid-non-const-global-variables)

std::string text_of(PyObject* object) {
  const Ref text{object == nullptr ? nullptr : PyObject_Str(object)};
  const Ref bytes{text ? PyUnicode_AsEncodedString(text.get(), "utf-8", "backslashreplace") : nullptr};
  if (bytes) return std::string{bytes_view(bytes.get())};
  PyErr_Clear();
  return {};
}

std::string last_line(PyObject* exception) {
  const Ref name{PyObject_GetAttrString(reinterpret_cast<PyObject*>(Py_TYPE(exception)), "__name__")};
  if (!name) PyErr_Clear();
  const std::string text = name ? text_of(name.get()) : "an exception";
  const std::string message = text_of(exception);
  return message.empty() ? text : text + ": " + message;
}

Ref take_normalized() {
  PyObject* type = nullptr;
  PyObject* value = nullptr;
  PyObject* traceback = nullptr;
  PyErr_Fetch(&type, &value, &traceback);
  PyErr_NormalizeException(&type, &value, &traceback);
  if (traceback != nullptr && value != nullptr) (void)PyException_SetTraceback(value, traceback);
  Py_XDECREF(type);
  Py_XDECREF(traceback);
  return Ref{value};
}

}  // namespace

void set_reporter(Ref function) {
  reporter = function.release();
}

std::string take_exception() {
  const Ref exception = take_normalized();
  return exception ? last_line(exception.get()) : "no exception";
}

Report report_exception() {
  const Ref exception = take_normalized();
  if (!exception) return {.line = "no exception"};
  Report report{.line = last_line(exception.get())};
  if (reporter == nullptr) return report;
  const Ref told{PyObject_CallFunctionObjArgs(reporter, exception.get(), nullptr)};
  if (!told)
    PyErr_Clear();  // a broken sys.stderr: the line is what is left
  else if (PyBytes_Check(told.get()) != 0)
    report.page = std::make_shared<const std::string>(bytes_view(told.get()));
  return report;
}

Locked::Locked() {
  ThreadState& current = thread_state;
  if (current.state != nullptr) {
    PyEval_RestoreThread(current.state);
    return;
  }
  current.before = PyGILState_Ensure();
  current.state = PyThreadState_Get();
  current.is_ours = true;
}

Locked::~Locked() {
  (void)PyEval_SaveThread();
}

void release_main_thread() {
  thread_state.state = PyEval_SaveThread();
}

void restore_main_thread() {
  PyEval_RestoreThread(std::exchange(thread_state.state, nullptr));
}

std::optional<std::string_view> ascii_view(PyObject* text) {
  if (PyUnicode_Check(text) == 0) return std::nullopt;
  Py_ssize_t size = 0;
  const char* const utf8 = PyUnicode_AsUTF8AndSize(text, &size);
  if (utf8 == nullptr) {
    PyErr_Clear();  // a lone surrogate
    return std::nullopt;
  }
  if (size != PyUnicode_GetLength(text)) return std::nullopt;
  return std::string_view{utf8, static_cast<std::size_t>(size)};
}

std::string_view bytes_view(PyObject* bytes) {
  char* data = nullptr;
  Py_ssize_t size = 0;
  if (PyBytes_AsStringAndSize(bytes, &data, &size) != 0) {
    PyErr_Clear();
    return {};
  }
  return {data, static_cast<std::size_t>(size)};
}

Ref checked(PyObject* owned) {
  if (owned == nullptr) {
    PyErr_Clear();
    throw std::bad_alloc{};
  }
  return Ref{owned};
}

Ref interned(std::string_view text) {
  PyObject* object =
      checked(PyUnicode_DecodeLatin1(text.data(), static_cast<Py_ssize_t>(text.size()), nullptr)).release();
  PyUnicode_InternInPlace(&object);
  return Ref{object};
}

}  // namespace prong::app::wsgi
