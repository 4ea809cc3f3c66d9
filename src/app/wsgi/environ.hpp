// The environ of a request (PEP 3333, "environ Variables"; RFC 3875 section 4.1): a copy of a template, and what this
// request says. Keys are made once, and so are values that the last request had too, since clients repeat themselves.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "app/wsgi/input.hpp"
#include "app/wsgi/python.hpp"
#include "http/handler.hpp"
#include "net/ip_address.hpp"

namespace prong::app::wsgi {

struct EnvironSettings {
  bool multithread = false;   // other threads of this process may call the application at the same time
  bool multiprocess = false;  // other processes may
};

// One for each application thread.
class EnvironBuilder {
 public:
  // With the interpreter lock. `file_wrapper` is wsgi.file_wrapper; `inputs` is borrowed. Throws.
  EnvironBuilder(const EnvironSettings& settings, PyObject* file_wrapper, const InputType& inputs);
  // With the interpreter lock. Takes the request's body over. Throws PythonError, std::bad_alloc.
  [[nodiscard]] Ref build(const http::Request& request);

 private:
  // A str for a value that often comes again.
  struct Repeated {
    std::string bytes;
    Ref text;
    [[nodiscard]] PyObject* of(std::string_view value);
  };
  // What a header becomes: its key, and its last value.
  struct Field {
    Ref key;
    bool is_cookie = false;
    Repeated value;
  };
  struct Hash {
    using is_transparent = void;  // NOLINT(readability-identifier-naming): the standard library's
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };

  // All that add_headers() and add_client() look at, and what they made of it.
  struct Caller {
    std::string fields;
    std::string host;
    net::IpAddress peer;
    std::uint16_t peer_port = 0;  // without proxies it is not looked at
    const http::ProxyTrust* proxies = nullptr;
    net::Endpoint listener;
    bool has_body = false;
    Ref environ;  // nullptr: it came once

    [[nodiscard]] bool is_of(const http::Request& request) const;
    void become(const http::Request& request);
  };

  [[nodiscard]] Ref environ_of_caller(const http::Request& request);
  [[nodiscard]] Ref make_of_caller(const http::Request& request);
  [[nodiscard]] Field& field_of(std::string_view name);
  void add_headers(PyObject* environ, const http::Request& request);
  void add_client(PyObject* environ, const http::Request& request);
  void add_port(PyObject* environ, std::uint16_t port);
  void add_path(PyObject* environ, const http::Request& request);

  const InputType* inputs_;
  Ref template_;
  Ref request_method_ = interned("REQUEST_METHOD");
  Ref request_uri_ = interned("REQUEST_URI");
  Ref raw_uri_ = interned("RAW_URI");
  Ref script_name_ = interned("SCRIPT_NAME");
  Ref path_info_ = interned("PATH_INFO");
  Ref query_string_ = interned("QUERY_STRING");
  Ref server_protocol_ = interned("SERVER_PROTOCOL");
  Ref content_length_ = interned("CONTENT_LENGTH");
  Ref input_ = interned("wsgi.input");
  Ref remote_addr_ = interned("REMOTE_ADDR");
  Ref remote_port_ = interned("REMOTE_PORT");
  Ref server_name_ = interned("SERVER_NAME");
  Ref server_port_ = interned("SERVER_PORT");
  Ref http_host_ = interned("HTTP_HOST");
  Ref url_scheme_ = interned("wsgi.url_scheme");
  Ref https_ = interned("https");
  // Of clients that came before; each address has one place.
  struct Client {
    net::IpAddress address;
    Ref text;
  };
  static constexpr std::size_t kClients = 64;
  std::array<Client, kClients> clients_;
  struct Port {
    std::uint16_t number = 0;
    Ref text;
  };
  static constexpr std::size_t kPorts = 256;
  std::array<Port, kPorts> ports_;
  static constexpr std::size_t kCallers = 16;
  std::array<Caller, kCallers> callers_;
  Repeated server_name_value_;
  Repeated server_port_value_;
  Repeated host_;
  Repeated method_;
  Repeated prefix_;
  Repeated target_;
  Repeated path_;
  Repeated query_;
  Ref http_1_0_ = interned("HTTP/1.0");
  std::unordered_map<std::string, Field, Hash, std::equal_to<>> fields_;
  Field unusual_;  // for names that are not kept
  std::string scratch_;
  std::vector<PyObject*> seen_;  // keys of this request's headers; borrowed
};

}  // namespace prong::app::wsgi
