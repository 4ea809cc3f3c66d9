#include "app/wsgi/start_response.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <exception>
#include <string_view>
#include <utility>

#include "base/characters.hpp"

namespace prong::app::wsgi {
namespace {

struct StartResponse {
  PyObject_HEAD Started* started;  // borrowed; nullptr: the request is over
};
Started* started_of(PyObject* self) {
  return reinterpret_cast<StartResponse*>(self)->started;
}

bool refuse(PyObject* type, const char* text, PyObject* what) {
  PyErr_Format(type, text, what);
  return false;
}

bool parse_status(PyObject* status, std::uint16_t& code) {
  const auto text = ascii_view(status);
  if (PyUnicode_Check(status) == 0) return refuse(PyExc_TypeError, "the status must be a str, not %R", status);
  constexpr std::size_t kDigits = 3;
  const std::string_view digits = text ? text->substr(0, kDigits) : std::string_view{};
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), code);
  const bool ends_there = text && (text->size() == kDigits || (text->size() > kDigits && (*text)[kDigits] == ' '));
  // 1xx are no final answers (RFC 9110 section 15.2), and this is one.
  if (parsed.ptr != digits.data() + kDigits || !ends_there || code < 200 || code > 599 || has_control(*text))
    return refuse(PyExc_ValueError, "the status must be like '200 OK', not %R", status);
  return true;
}

// What concerns the connection and not the answer is the server's (PEP 3333, "Other HTTP Features"), and so is
// Date.
bool is_of_server(std::string_view name) {
  constexpr std::array<std::string_view, 9> kNames{"Connection", "Keep-Alive", "Proxy-Authenticate", "TE",
                                                   "Trailer",    "Trailers",   "Transfer-Encoding",  "Upgrade",
                                                   "Date"};
  // Most names of an answer begin otherwise.
  constexpr std::string_view kFirst = "CcKkPpTtUuDd";
  if (!kFirst.contains(name.front())) return false;
  return std::ranges::any_of(kNames, [&](std::string_view other) { return http::equals_ignoring_case(name, other); });
}

bool add_field(std::string_view name, std::string_view value, PyObject* shown, Started& started) {
  if (!is_token(name)) return refuse(PyExc_ValueError, "this is no name of a header field: %R", shown);
  if (has_control(value))
    return refuse(PyExc_ValueError, "the value of a header field has a control character: %R", shown);
  if (http::equals_ignoring_case(name, "Content-Length")) {
    std::uint64_t size = 0;
    const auto parsed = std::from_chars(value.data(), value.data() + value.size(), size);
    if (parsed.ec != std::errc{} || parsed.ptr != value.data() + value.size())
      return refuse(PyExc_ValueError, "Content-Length must be a number: %R", shown);
    if (started.content_length && *started.content_length != size)
      return refuse(PyExc_ValueError, "Content-Length is given twice: %R", shown);
    started.content_length = size;
    return true;
  }
  if (is_of_server(name)) return true;
  started.has_server = started.has_server || http::equals_ignoring_case(name, "Server");
  started.headers.add(name, value);
  return true;
}

// One (name, value); a str with other characters than ASCII is sent as Latin-1, and one that has none is an error.
bool add_pair(PyObject* pair, Started& started) {
  if (PyTuple_Check(pair) == 0 || PyTuple_Size(pair) != 2)
    return refuse(PyExc_TypeError, "a header field must be a tuple of name and value, not %R", pair);
  PyObject* const name = PyTuple_GetItem(pair, 0);
  PyObject* const value = PyTuple_GetItem(pair, 1);
  if (PyUnicode_Check(name) == 0 || PyUnicode_Check(value) == 0)
    return refuse(PyExc_TypeError, "name and value of a header field must be str: %R", pair);
  const auto name_text = ascii_view(name);
  if (!name_text) return refuse(PyExc_ValueError, "this is no name of a header field: %R", name);
  if (const auto text = ascii_view(value)) return add_field(*name_text, *text, pair, started);
  const Ref bytes{PyUnicode_AsLatin1String(value)};
  return bytes && add_field(*name_text, bytes_view(bytes.get()), pair, started);
}

bool add_all(PyObject* headers, Started& started) {
  if (PyList_Check(headers) != 0) {
    for (Py_ssize_t i = 0; i < PyList_Size(headers); ++i)
      if (!add_pair(PyList_GetItem(headers, i), started)) return false;
    return true;
  }
  const Ref iterator{PyObject_GetIter(headers)};
  if (!iterator) return false;
  while (const Ref pair{PyIter_Next(iterator.get())})
    if (!add_pair(pair.get(), started)) return false;
  return PyErr_Occurred() == nullptr;
}

bool raise_again(PyObject* exc_info) {
  if (PyTuple_Check(exc_info) == 0 || PyTuple_Size(exc_info) != 3)
    return refuse(PyExc_TypeError, "exc_info must be a tuple of three, not %R", exc_info);
  const auto part = [&](Py_ssize_t i) {
    PyObject* const item = PyTuple_GetItem(exc_info, i);
    if (item == Py_None) return static_cast<PyObject*>(nullptr);
    Py_INCREF(item);
    return item;
  };
  PyErr_Restore(part(0), part(1), part(2));
  return false;
}

bool start(PyObject* status, PyObject* headers, PyObject* exc_info, Started& started) {
  const bool has_error = exc_info != nullptr && exc_info != Py_None;
  if (has_error && started.sent) return raise_again(exc_info);
  if (started.called && !has_error) {
    PyErr_SetString(PyExc_AssertionError, "start_response() was called twice, the second time without exc_info");
    return false;
  }
  Started fresh;
  if (!parse_status(status, fresh.status) || !add_all(headers, fresh)) return false;
  started.called = true;
  started.status = fresh.status;
  started.headers = std::move(fresh.headers);
  started.has_server = fresh.has_server;
  started.content_length = fresh.content_length;
  return true;
}

bool write_bytes(Started& started, std::string_view bytes) {
  if (started.early == nullptr || bytes.empty()) {
    started.written += bytes;
    return true;
  }
  try {
    (void)send_early(started, bytes);  // an application whose client is gone ends as it likes
    return true;
  } catch (const std::exception& exception) {
    PyErr_SetString(PyExc_RuntimeError, exception.what());
    return false;
  }
}

PyObject* write_method(PyObject* self, PyObject* data) {
  Started* const started = started_of(self);
  if (started == nullptr) {
    PyErr_SetString(PyExc_RuntimeError, "write() of a request that is over");
    return nullptr;
  }
  if (PyBytes_Check(data) == 0) {
    PyErr_Format(PyExc_TypeError, "write() takes bytes, not %R", data);
    return nullptr;
  }
  if (!write_bytes(*started, bytes_view(data))) return nullptr;
  Py_INCREF(Py_None);
  return Py_None;
}

// The interpreter writes to it.
// NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables)
PyMethodDef write_definition{"write", write_method, METH_O,
                             "write(data): sends bytes before what the application returns"};

PyObject* call(PyObject* self, PyObject* arguments, PyObject* keywords) {
  static std::array<char, 7> status_name{"status"};
  static std::array<char, 8> headers_name{"headers"};
  static std::array<char, 9> error_name{"exc_info"};
  static std::array<char*, 4> names{status_name.data(), headers_name.data(), error_name.data(), nullptr};
  PyObject* status = nullptr;
  PyObject* headers = nullptr;
  PyObject* exc_info = nullptr;
  if (keywords == nullptr) {
    if (PyArg_UnpackTuple(arguments, "start_response", 2, 3, &status, &headers, &exc_info) == 0) return nullptr;
  } else if (PyArg_ParseTupleAndKeywords(arguments, keywords, "OO|O:start_response", names.data(), &status, &headers,
                                         &exc_info) == 0) {
    return nullptr;
  }
  Started* const started = started_of(self);
  if (started == nullptr) {
    PyErr_SetString(PyExc_RuntimeError, "start_response() of a request that is over");
    return nullptr;
  }
  if (!start(status, headers, exc_info, *started)) return nullptr;
  return PyCFunction_New(&write_definition, self);  // what looking `write` up would give, for less
}

void destroy(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  reinterpret_cast<freefunc>(PyType_GetSlot(type, Py_tp_free))(self);
  Py_DECREF(reinterpret_cast<PyObject*>(type));
}

}  // namespace

http::Response head_of(Started& started) {
  http::Response response{
      .status = started.status, .has_server_field = started.has_server, .headers = std::move(started.headers)};
  started.sent = true;
  return response;
}

bool send_early(Started& started, std::string_view bytes) {
  const std::optional<std::uint64_t> size = started.content_length;
  if (!started.sent) started.early->begin(head_of(started), size);
  const Unlocked unlocked;
  return started.early->write(bytes);
}

StartResponseType StartResponseType::create() {
  static std::array<PyType_Slot, 3> slots{
      {{Py_tp_dealloc, reinterpret_cast<void*>(destroy)}, {Py_tp_call, reinterpret_cast<void*>(call)}, {0, nullptr}}};
  static PyType_Spec spec{.name = "prong_worker.StartResponse",
                          .basicsize = sizeof(StartResponse),
                          .itemsize = 0,
                          .flags = Py_TPFLAGS_DEFAULT,
                          .slots = slots.data()};
  Ref type{PyType_FromSpec(&spec)};
  if (!type) throw PythonError{take_exception()};
  return StartResponseType{std::move(type)};
}

Ref StartResponseType::make(Started& started) const {
  Ref object = checked(PyType_GenericAlloc(reinterpret_cast<PyTypeObject*>(type_.get()), 0));
  reinterpret_cast<StartResponse*>(object.get())->started = &started;
  return object;
}

void StartResponseType::release(PyObject* callable) {
  reinterpret_cast<StartResponse*>(callable)->started = nullptr;
}

}  // namespace prong::app::wsgi
