#include "app/wsgi/input.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <new>
#include <span>
#include <utility>

namespace prong::app::wsgi {
namespace {

struct Input {
  PyObject_HEAD http::RequestBody* body;  // owned; nullptr: empty
  std::uint64_t position;
};

Input* input_of(PyObject* self) {
  return reinterpret_cast<Input*>(self);
}

std::uint64_t rest_of(const Input& input) {
  return input.body == nullptr ? 0 : input.body->size() - input.position;
}

// The next bytes, at most `most`; nullptr with an exception set.
PyObject* take(Input& input, std::uint64_t most) {
  const std::uint64_t size = std::min(most, rest_of(input));
  if (size == 0) return PyBytes_FromStringAndSize(nullptr, 0);
  if (!input.body->in_file()) {
    const std::string_view text = input.body->text().substr(input.position, size);
    input.position += size;
    return PyBytes_FromStringAndSize(text.data(), static_cast<Py_ssize_t>(text.size()));
  }
  Ref bytes{PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(size))};
  if (!bytes) return nullptr;
  char* const room = PyBytes_AsString(bytes.get());
  const std::uint64_t from = std::exchange(input.position, input.position + size);
  PyThreadState* const state = PyEval_SaveThread();
  std::uint64_t done = 0;
  Result<std::size_t> got = 0;
  while (done < size) {
    got = input.body->read(from + done, std::span{room + done, static_cast<std::size_t>(size - done)});
    if (!got || *got == 0) break;
    done += *got;
  }
  PyEval_RestoreThread(state);
  if (done == size) return bytes.release();
  PyErr_SetString(PyExc_OSError,
                  got ? "the stored body of the request is shorter than it was" : got.error().message.c_str());
  return nullptr;
}

// Where the line that begins at the position ends, at most `most` bytes further.
std::uint64_t line_size(const Input& input, std::uint64_t most, std::string& failure) {
  const std::uint64_t limit = std::min(most, rest_of(input));
  if (limit == 0) return 0;
  if (!input.body->in_file()) {
    const std::string_view text = input.body->text().substr(input.position, limit);
    const std::size_t end = text.find('\n');
    return end == std::string_view::npos ? limit : end + 1;
  }
  std::array<char, 8192> buffer{};
  for (std::uint64_t done = 0; done < limit;) {
    const std::size_t want = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), limit - done));
    const auto got = input.body->read(input.position + done, std::span{buffer}.first(want));
    if (!got || *got == 0) {
      failure = got ? "the stored body of the request is shorter than it was" : got.error().message;
      return 0;
    }
    const void* const end = std::memchr(buffer.data(), '\n', *got);
    if (end != nullptr) return done + static_cast<std::uint64_t>(static_cast<const char*>(end) - buffer.data()) + 1;
    done += *got;
  }
  return limit;
}

PyObject* take_line(Input& input, std::uint64_t most) {
  std::string failure;
  const std::uint64_t size = line_size(input, most, failure);
  if (!failure.empty()) {
    PyErr_SetString(PyExc_OSError, failure.c_str());
    return nullptr;
  }
  return take(input, size);
}

// An optional size: none, None and what is below 0 mean all. False: an exception is set.
bool parse_size(PyObject* arguments, std::uint64_t& size) {
  PyObject* given = nullptr;
  if (PyArg_UnpackTuple(arguments, "read", 0, 1, &given) == 0) return false;
  size = UINT64_MAX;
  if (given == nullptr || given == Py_None) return true;
  const Ref index{PyNumber_Index(given)};
  if (!index) return false;
  const long long number = PyLong_AsLongLong(index.get());
  if (number == -1 && PyErr_Occurred() != nullptr) return false;
  if (number >= 0) size = static_cast<std::uint64_t>(number);
  return true;
}

PyObject* read(PyObject* self, PyObject* arguments) {
  std::uint64_t size = 0;
  return parse_size(arguments, size) ? take(*input_of(self), size) : nullptr;
}

PyObject* readline(PyObject* self, PyObject* arguments) {
  std::uint64_t size = 0;
  return parse_size(arguments, size) ? take_line(*input_of(self), size) : nullptr;
}

// The argument is a hint, of how many bytes are enough.
PyObject* readlines(PyObject* self, PyObject* arguments) {
  std::uint64_t hint = 0;
  if (!parse_size(arguments, hint)) return nullptr;
  if (hint == 0) hint = UINT64_MAX;
  Ref lines{PyList_New(0)};
  if (!lines) return nullptr;
  std::uint64_t total = 0;
  while (rest_of(*input_of(self)) > 0 && total < hint) {
    const Ref line{take_line(*input_of(self), UINT64_MAX)};
    if (!line || PyList_Append(lines.get(), line.get()) != 0) return nullptr;
    total += bytes_view(line.get()).size();
  }
  return lines.release();
}

PyObject* next_line(PyObject* self) {
  if (rest_of(*input_of(self)) == 0) return nullptr;  // StopIteration
  return take_line(*input_of(self), UINT64_MAX);
}

PyObject* itself(PyObject* self) {
  Py_INCREF(self);
  return self;
}

void destroy(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  delete input_of(self)->body;  // NOLINT(cppcoreguidelines-owning-memory): Python's objects have no destructors
  reinterpret_cast<freefunc>(PyType_GetSlot(type, Py_tp_free))(self);
  Py_DECREF(reinterpret_cast<PyObject*>(type));
}

}  // namespace

InputType InputType::create() {
  static std::array<PyMethodDef, 4> methods{
      {{"read", read, METH_VARARGS, "read(size=-1) -> bytes"},
       {"readline", readline, METH_VARARGS, "readline(size=-1) -> bytes, with its line end"},
       {"readlines", readlines, METH_VARARGS, "readlines(hint=-1) -> list of bytes"},
       {nullptr, nullptr, 0, nullptr}}};
  static std::array<PyType_Slot, 5> slots{{{Py_tp_dealloc, reinterpret_cast<void*>(destroy)},
                                           {Py_tp_methods, methods.data()},
                                           {Py_tp_iter, reinterpret_cast<void*>(itself)},
                                           {Py_tp_iternext, reinterpret_cast<void*>(next_line)},
                                           {0, nullptr}}};
  static PyType_Spec spec{.name = "prong_worker.Input",
                          .basicsize = sizeof(Input),
                          .itemsize = 0,
                          .flags = Py_TPFLAGS_DEFAULT,
                          .slots = slots.data()};
  Ref type{PyType_FromSpec(&spec)};
  if (!type) throw PythonError{take_exception()};
  return InputType{std::move(type)};
}

Ref InputType::make(http::RequestBody* body) const {
  auto* const type = reinterpret_cast<PyTypeObject*>(type_.get());
  Ref object = checked(PyType_GenericAlloc(type, 0));  // zeroed
  if (body != nullptr && body->size() > 0) input_of(object.get())->body = new http::RequestBody(std::move(*body));
  return object;
}

}  // namespace prong::app::wsgi
