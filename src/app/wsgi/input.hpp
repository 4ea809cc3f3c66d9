// wsgi.input: the body of a request as a file that can be read once (PEP 3333, "Input and Error Streams"). It has
// arrived whole before the application is called, in memory or in a file without a name.
#pragma once

#include "app/wsgi/python.hpp"
#include "http/request_body.hpp"

namespace prong::app::wsgi {

class InputType {
 public:
  // With the interpreter lock. Throws PythonError.
  [[nodiscard]] static InputType create();
  // Takes the body over, if there is one. Throws std::bad_alloc.
  [[nodiscard]] Ref make(http::RequestBody* body) const;

 private:
  explicit InputType(Ref type) : type_(std::move(type)) {}
  Ref type_;
};

}  // namespace prong::app::wsgi
