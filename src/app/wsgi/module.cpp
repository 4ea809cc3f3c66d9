#include "app/wsgi/module.hpp"

#include <prong/version.h>

#include <array>
#include <exception>
#include <optional>

#include "app/wsgi/python.hpp"
#include "app/wsgi/wsgi_handler.hpp"

namespace prong::app::wsgi {
namespace {

// One for the process, as the interpreter is; never destroyed, because the interpreter ends first.
Host* host = nullptr;                  // NOLINT(cppcoreguidelines-avoid-non-const-global-variables)
std::optional<Assignment> assignment;  // NOLINT(cppcoreguidelines-avoid-non-const-global-variables)

PyObject* raise(const std::string& text) {
  PyErr_SetString(PyExc_RuntimeError, text.c_str());
  return nullptr;
}

PyObject* begin(PyObject* /*module*/, PyObject* arguments) {
  int record = -1;
  if (PyArg_ParseTuple(arguments, "i:begin", &record) == 0) return nullptr;
  auto begun = begin_worker(record);
  if (!begun) return raise(begun.error().text());
  assignment = *std::move(begun);
  const Ref path{PyList_New(0)};
  if (!path) return nullptr;
  for (const std::string& folder : assignment->path) {
    const Ref text{PyUnicode_DecodeFSDefaultAndSize(folder.data(), static_cast<Py_ssize_t>(folder.size()))};
    if (!text || PyList_Append(path.get(), text.get()) != 0) return nullptr;
  }
  const auto flag = [](bool value) { return PyBool_FromLong(value ? 1 : 0); };  // "N" takes it over
  return Py_BuildValue("{s:s,s:O,s:N,s:N,s:N,s:N,s:i}", "application", assignment->application.c_str(), "path",
                       path.get(), "gc_freeze", flag(assignment->gc_freeze), "reload", flag(assignment->reload),
                       "watches", flag(assignment->watches), "debug_errors", flag(assignment->debug_errors), "stack",
                       assignment->stack_fd);
}

PyObject* serve(PyObject* /*module*/, PyObject* arguments) {
  PyObject* application = nullptr;
  PyObject* report = nullptr;
  if (PyArg_ParseTuple(arguments, "OO:serve", &application, &report) == 0) return nullptr;
  if (!assignment || host != nullptr) return raise("serve() is called once, after begin()");
  set_reporter(Ref::borrowed(report));
  try {
    host = new Host{.application = Ref::borrowed(application),  // NOLINT(cppcoreguidelines-owning-memory)
                    .environ = {.multithread = assignment->multithread, .multiprocess = assignment->multiprocess},
                    .inputs = InputType::create(),
                    .start_responses = StartResponseType::create(),
                    .file_wrappers = FileWrapperType::create()};
  } catch (const std::exception& exception) {
    return raise(exception.what());
  }
  release_main_thread();
  const int status = serve_worker();
  restore_main_thread();
  return PyLong_FromLong(status);
}

PyObject* refuse(PyObject* /*module*/, PyObject* reason) {
  const Ref bytes{PyUnicode_AsEncodedString(reason, "utf-8", "backslashreplace")};
  if (!bytes) return nullptr;
  refuse_to_start(std::string{bytes_view(bytes.get())});
  Py_INCREF(Py_None);
  return Py_None;
}

PyObject* ask(PyObject* /*module*/, PyObject* reason) {
  const Ref bytes{PyUnicode_AsEncodedString(reason, "utf-8", "backslashreplace")};
  if (!bytes) return nullptr;
  if (auto asked = ask_for_reload(std::string{bytes_view(bytes.get())}); !asked) return raise(asked.error().text());
  Py_INCREF(Py_None);
  return Py_None;
}

// The interpreter writes to both.
// NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables)
std::array<PyMethodDef, 5> methods{{
    {"begin", begin, METH_VARARGS, "begin(fd) -> dict: becomes the worker whose record is behind the descriptor."},
    {"serve", serve, METH_VARARGS, "serve(application, report) -> int: serves until drained; the exit status."},
    {"refuse", refuse, METH_O, "refuse(reason): tells the master that the worker cannot start."},
    {"ask_for_reload", ask, METH_O, "ask_for_reload(reason): tells the master that the code has changed."},
    {nullptr, nullptr, 0, nullptr},
}};
// NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables)
PyModuleDef definition = {.m_base = PyModuleDef_HEAD_INIT,
                          .m_name = "prong_worker",
                          .m_doc = "The worker of prongd " PRONG_VERSION " inside this interpreter.",
                          .m_size = -1,
                          .m_methods = methods.data(),
                          .m_slots = nullptr,
                          .m_traverse = nullptr,
                          .m_clear = nullptr,
                          .m_free = nullptr};

}  // namespace

std::unique_ptr<http::Handler> make_handler() {
  return std::make_unique<WsgiHandler>(*host);
}

}  // namespace prong::app::wsgi

// As the interpreter looks for it.
// NOLINTBEGIN(readability-identifier-naming)
PyMODINIT_FUNC PyInit_prong_worker();
PyMODINIT_FUNC PyInit_prong_worker() {
  return PyModule_Create(&prong::app::wsgi::definition);
}
// NOLINTEND(readability-identifier-naming)
