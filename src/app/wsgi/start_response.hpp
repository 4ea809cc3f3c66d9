// start_response(status, headers, exc_info=None) and the write() that it returns (PEP 3333, "The start_response()
// Callable"). What an application got wrong is raised where it calls, so that its traceback shows the place.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "app/wsgi/python.hpp"
#include "http/handler.hpp"

namespace prong::app::wsgi {

// What the application has said about one answer.
struct Started {
  bool called = false;
  bool sent = false;  // the head is on its way: exc_info is raised again
  std::uint16_t status = 0;
  http::ResponseHeaders headers = {};
  bool has_server = false;  // a field of that name is among them
  std::optional<std::uint64_t> content_length = {};
  std::string written = {};            // by write(), not taken yet
  http::EarlyAnswer* early = nullptr;  // to which write() gives its bytes; nullptr: they wait for those that follow
};

// Of what was said so far; from then on it is sent.
[[nodiscard]] http::Response head_of(Started& started);
// Where there is an early answer: the head, if it is not out yet, and the bytes. With the lock, which is given up while
// it waits for the client. False: nobody wants any more.
[[nodiscard]] bool send_early(Started& started, std::string_view bytes);

class StartResponseType {
 public:
  // With the interpreter lock. Throws PythonError.
  [[nodiscard]] static StartResponseType create();
  // `started` is borrowed until release(): an application may keep the callable for longer.
  [[nodiscard]] Ref make(Started& started) const;
  // What it is called with from now on is an error.
  static void release(PyObject* callable);

 private:
  explicit StartResponseType(Ref type) : type_(std::move(type)) {}
  Ref type_;
};

}  // namespace prong::app::wsgi
