#include "app/wsgi/file_wrapper.hpp"

#include <sys/stat.h>

#include <array>
#include <cstdint>
#include <memory>
#include <utility>

#include "os/process.hpp"
#include "os/unique_fd.hpp"

namespace prong::app::wsgi {
namespace {

struct Wrapper {
  PyObject_HEAD PyObject* file;  // owned
  Py_ssize_t block_size;
};
Wrapper* wrapper_of(PyObject* self) {
  return reinterpret_cast<Wrapper*>(self);
}

int initialize(PyObject* self, PyObject* arguments, PyObject* /*keywords*/) {
  constexpr Py_ssize_t kBlockSize = 8192;
  PyObject* file = nullptr;
  Py_ssize_t block_size = kBlockSize;
  if (PyArg_ParseTuple(arguments, "O|n:file_wrapper", &file, &block_size) == 0) return -1;
  Py_INCREF(file);
  PyObject* const old = std::exchange(wrapper_of(self)->file, file);
  Py_XDECREF(old);
  wrapper_of(self)->block_size = block_size > 0 ? block_size : kBlockSize;
  return 0;
}

PyObject* next_block(PyObject* self) {
  const Wrapper& wrapper = *wrapper_of(self);
  if (wrapper.file == nullptr) return nullptr;
  Ref block{PyObject_CallMethod(wrapper.file, "read", "n", wrapper.block_size)};
  if (!block) return nullptr;
  const Py_ssize_t size = PyObject_Size(block.get());
  return size > 0 ? block.release() : nullptr;  // StopIteration at the end, TypeError for what has no size
}

PyObject* itself(PyObject* self) {
  Py_INCREF(self);
  return self;
}

PyObject* close(PyObject* self, PyObject* /*none*/) {
  PyObject* const file = wrapper_of(self)->file;
  if (file != nullptr && PyObject_HasAttrString(file, "close") != 0) return PyObject_CallMethod(file, "close", nullptr);
  Py_INCREF(Py_None);
  return Py_None;
}

void destroy(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  Py_XDECREF(wrapper_of(self)->file);
  reinterpret_cast<freefunc>(PyType_GetSlot(type, Py_tp_free))(self);
  Py_DECREF(reinterpret_cast<PyObject*>(type));
}

// What a method without arguments returns, as a number; nothing: it has none, or it failed.
std::optional<long long> number_from(PyObject* object, const char* method) {
  const Ref result{PyObject_CallMethod(object, method, nullptr)};
  if (result) {
    const long long number = PyLong_AsLongLong(result.get());
    if (PyErr_Occurred() == nullptr) return number;
  }
  PyErr_Clear();
  return std::nullopt;
}

}  // namespace

FileWrapperType FileWrapperType::create() {
  static std::array<PyMethodDef, 2> methods{
      {{"close", close, METH_NOARGS, "Closes the file, if it can be closed."}, {nullptr, nullptr, 0, nullptr}}};
  static std::array<PyType_Slot, 6> slots{{{Py_tp_dealloc, reinterpret_cast<void*>(destroy)},
                                           {Py_tp_init, reinterpret_cast<void*>(initialize)},
                                           {Py_tp_methods, methods.data()},
                                           {Py_tp_iter, reinterpret_cast<void*>(itself)},
                                           {Py_tp_iternext, reinterpret_cast<void*>(next_block)},
                                           {0, nullptr}}};
  static PyType_Spec spec{.name = "prong_worker.FileWrapper",
                          .basicsize = sizeof(Wrapper),
                          .itemsize = 0,
                          .flags = Py_TPFLAGS_DEFAULT,
                          .slots = slots.data()};
  Ref type{PyType_FromSpec(&spec)};
  if (!type) throw PythonError{take_exception()};
  return FileWrapperType{std::move(type)};
}

std::optional<net::FileBody> FileWrapperType::file_of(PyObject* wrapper) {
  PyObject* const file = wrapper_of(wrapper)->file;
  if (file == nullptr) return std::nullopt;
  const auto fd = number_from(file, "fileno");
  if (!fd || *fd < 0) return std::nullopt;
  // What it has read ahead is not in the descriptor's position.
  const auto position = number_from(file, "tell");
  struct stat status{};
  if (!position || *position < 0 || ::fstat(static_cast<int>(*fd), &status) != 0 || !S_ISREG(status.st_mode))
    return std::nullopt;
  // A text file's position is no offset, and its bytes are not what the application would have read.
  const bool is_text = PyObject_HasAttrString(file, "encoding") != 0;
  if (is_text) return std::nullopt;
  auto copy = os::duplicate(static_cast<int>(*fd));
  if (!copy) return std::nullopt;
  const auto offset = static_cast<std::uint64_t>(*position);
  const auto size = static_cast<std::uint64_t>(status.st_size);
  return net::FileBody{
      .file = std::make_shared<const os::UniqueFd>(*copy), .offset = offset, .size = size > offset ? size - offset : 0};
}

}  // namespace prong::app::wsgi
