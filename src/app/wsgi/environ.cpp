#include "app/wsgi/environ.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <utility>

#include "app/percent.hpp"
#include "http/origin.hpp"

namespace prong::app::wsgi {
namespace {

// What clients can make us keep: names and values beyond these are made anew each time.
constexpr std::size_t kMostNames = 256;
constexpr std::size_t kLongestName = 64;
constexpr std::size_t kLongestValue = 512;
constexpr std::size_t kLongestFields = 2048;

constexpr std::size_t kHashFactor = 31;

std::size_t hash_of(const net::IpAddress& address) {
  std::size_t hash = 0;
  for (const std::uint8_t byte : address.bytes) hash = hash * kHashFactor + byte;
  return hash;
}

class DecimalText {
 public:
  // Lives as long as this, until the next one.
  [[nodiscard]] std::string_view of(std::uint64_t number) {
    return {digits_.data(), std::to_chars(digits_.data(), digits_.data() + digits_.size(), number).ptr};
  }

 private:
  std::array<char, 20> digits_{};  // of 2^64
};

std::string_view decoded(std::string_view path, std::string& scratch) {
  if (!path.contains('%')) return path;
  scratch.clear();
  append_decoded(scratch, path, Plus::kIsPlus);
  return scratch;
}

std::string key_of(std::string_view name) {
  if (http::equals_ignoring_case(name, "Content-Type")) return "CONTENT_TYPE";
  if (http::equals_ignoring_case(name, "Content-Length")) return "CONTENT_LENGTH";
  std::string key = "HTTP_";
  for (const char c : name) {
    const bool is_small = c >= 'a' && c <= 'z';
    const char upper = is_small ? static_cast<char>(c - 'a' + 'A') : c;
    key += upper == '-' ? '_' : upper;
  }
  return key;
}

void set(PyObject* environ, const Ref& key, PyObject* value) {
  if (PyDict_SetItem(environ, key.get(), value) != 0) throw PythonError{take_exception()};
}

Ref boolean(bool value) {
  return checked(PyBool_FromLong(value ? 1 : 0));
}

void put(PyObject* dict, const char* key, const Ref& value) {
  if (PyDict_SetItem(dict, interned(key).get(), value.get()) != 0) throw PythonError{take_exception()};
}

Ref make_template(const EnvironSettings& settings, PyObject* file_wrapper, const InputType& inputs) {
  Ref dict = checked(PyDict_New());
  put(dict.get(), "SERVER_SOFTWARE", interned("prongd"));
  put(dict.get(), "GATEWAY_INTERFACE", interned("CGI/1.1"));
  put(dict.get(), "SCRIPT_NAME", interned(""));
  put(dict.get(), "wsgi.version", checked(Py_BuildValue("(ii)", 1, 0)));
  put(dict.get(), "wsgi.url_scheme", interned("http"));
  put(dict.get(), "wsgi.multithread", boolean(settings.multithread));
  put(dict.get(), "wsgi.multiprocess", boolean(settings.multiprocess));
  put(dict.get(), "wsgi.run_once", boolean(false));
  // The body has an end that the application may read up to.
  put(dict.get(), "wsgi.input_terminated", boolean(true));
  put(dict.get(), "wsgi.file_wrapper", Ref::borrowed(file_wrapper));
  PyObject* const errors = PySys_GetObject("stderr");
  put(dict.get(), "wsgi.errors", Ref::borrowed(errors != nullptr ? errors : Py_None));
  // What most requests say, or replace: a copy has room for it from the start.
  put(dict.get(), "REQUEST_METHOD", interned("GET"));
  put(dict.get(), "SERVER_PROTOCOL", interned("HTTP/1.1"));
  put(dict.get(), "QUERY_STRING", interned(""));
  for (const char* const key : {"PATH_INFO", "REQUEST_URI", "RAW_URI", "REMOTE_ADDR", "SERVER_NAME", "SERVER_PORT"})
    put(dict.get(), key, interned(""));
  put(dict.get(), "wsgi.input", inputs.make(nullptr));
  return dict;
}

// The header fields as they came, from the first name to the last value.
std::string_view fields_of(const http::Request& request) {
  const auto positions = request.headers.positions();
  if (positions.empty()) return {};
  const std::size_t begin = positions.front().name_offset;
  const std::size_t end = std::size_t{positions.back().value_offset} + positions.back().value_size;
  return request.headers.head().substr(begin, end - begin);
}

Ref copy_of(const Ref& dict) {
  return checked(PyDict_Copy(dict.get()));
}

}  // namespace

EnvironBuilder::EnvironBuilder(const EnvironSettings& settings, PyObject* file_wrapper, const InputType& inputs)
    : inputs_(&inputs), template_(make_template(settings, file_wrapper, inputs)) {}

PyObject* EnvironBuilder::Repeated::of(std::string_view value) {
  if (text && bytes == value) return text.get();
  text = latin1(value);
  if (!text) throw PythonError{take_exception()};
  if (value.size() <= kLongestValue)
    bytes = value;
  else
    bytes.assign(1, '\0');  // no value is the same: none has a NUL
  return text.get();
}

EnvironBuilder::Field& EnvironBuilder::field_of(std::string_view name) {
  if (const auto found = fields_.find(name); found != fields_.end()) return found->second;
  const bool is_kept = fields_.size() < kMostNames && name.size() <= kLongestName;
  Field& field = is_kept ? fields_.try_emplace(std::string{name}).first->second : unusual_;
  field.key = interned(key_of(name));
  field.is_cookie = http::equals_ignoring_case(name, "Cookie");
  return field;
}

// Fields of one name are one list (RFC 9110 section 5.3), cookies too (RFC 6265 section 5.4, whose separator differs).
void EnvironBuilder::add_headers(PyObject* environ, const http::Request& request) {
  seen_.clear();
  for (std::size_t i = 0; i < request.headers.size(); ++i) {
    const http::Header header = request.headers[i];
    // The body has no coding any more.
    if (request.body != nullptr && http::equals_ignoring_case(header.name, "Transfer-Encoding")) continue;
    Field& field = field_of(header.name);
    if (std::ranges::find(seen_, field.key.get()) != seen_.end()) {
      PyObject* const before = PyDict_GetItem(environ, field.key.get());
      const Ref joined{PyUnicode_FromFormat(field.is_cookie ? "%U; %U" : "%U,%U", before, latin1(header.value).get())};
      if (!joined) throw PythonError{take_exception()};
      set(environ, field.key, joined.get());
      continue;
    }
    seen_.push_back(field.key.get());
    set(environ, field.key, field.value.of(header.value));
  }
}

// Who asks, and where; behind trusted proxies what they say (http/origin.hpp).
void EnvironBuilder::add_client(PyObject* environ, const http::Request& request) {
  const http::Origin origin = http::origin_of(request);
  const net::IpAddress& address = origin.client.address;
  Client& client = clients_[hash_of(address) % kClients];
  if (!client.text || client.address != address) {
    client.text = checked(latin1(net::to_text(address)).release());
    client.address = address;
  }
  set(environ, remote_addr_, client.text.get());
  const bool is_proxied = request.proxies != nullptr;
  if (is_proxied) add_port(environ, origin.client.port);
  const http::HostParts host = http::split_host(origin.host);
  // It is never empty (PEP 3333, "environ Variables").
  set(environ, server_name_,
      server_name_value_.of(!host.name.empty() ? host.name : std::string_view{net::to_text(request.listener.address)}));
  std::uint16_t port = is_proxied ? 0 : request.listener.port;
  if (port == 0) port = http::default_port(origin.scheme);
  DecimalText digits;
  set(environ, server_port_, server_port_value_.of(is_proxied && !host.port.empty() ? host.port : digits.of(port)));
  if (origin.scheme == http::Scheme::kHttps) set(environ, url_scheme_, https_.get());
  // What the target names, or a proxy says, replaces the field (RFC 9112 section 3.2.2).
  if (!origin.host.empty()) set(environ, http_host_, host_.of(origin.host));
}

// Of a connection's many requests only the first makes the text.
void EnvironBuilder::add_port(PyObject* environ, std::uint16_t port) {
  if (port == 0) return;
  Port& known = ports_[port % kPorts];
  if (known.number != port) {
    DecimalText digits;
    known.text = checked(latin1(digits.of(port)).release());
    known.number = port;
  }
  set(environ, remote_port_, known.text.get());
}

void EnvironBuilder::add_path(PyObject* environ, const http::Request& request) {
  PyObject* const target = target_.of(request.target);
  set(environ, request_uri_, target);
  set(environ, raw_uri_, target);
  if (!request.prefix.empty()) set(environ, script_name_, prefix_.of(decoded(request.prefix, scratch_)));
  const std::string_view path = decoded(request.path, scratch_);
  set(environ, path_info_, path == request.target ? target : path_.of(path));
  if (!request.query.empty()) set(environ, query_string_, query_.of(request.query));
}

bool EnvironBuilder::Caller::is_of(const http::Request& request) const {
  return fields == fields_of(request) && host == request.host && peer == request.peer.address &&
         peer_port == (request.proxies != nullptr ? request.peer.port : 0) && proxies == request.proxies &&
         listener.port == request.listener.port && listener.address == request.listener.address &&
         has_body == (request.body != nullptr);
}

void EnvironBuilder::Caller::become(const http::Request& request) {
  environ = {};
  fields = fields_of(request);
  host = request.host;
  peer = request.peer.address;
  peer_port = request.proxies != nullptr ? request.peer.port : std::uint16_t{0};
  proxies = request.proxies;
  listener = request.listener;
  has_body = request.body != nullptr;
}

Ref EnvironBuilder::make_of_caller(const http::Request& request) {
  Ref environ = copy_of(template_);
  add_headers(environ.get(), request);
  add_client(environ.get(), request);
  return environ;
}

// What the fields and the client make of it. Those who come again send the same fields with each request: who came
// once is remembered, and the second time what was made is kept.
Ref EnvironBuilder::environ_of_caller(const http::Request& request) {
  const std::string_view fields = fields_of(request);
  if (fields.size() + request.host.size() > kLongestFields) return make_of_caller(request);
  Caller& caller = callers_[(hash_of(request.peer.address) + fields.size()) % kCallers];
  if (!caller.is_of(request)) {
    caller.become(request);
    return make_of_caller(request);
  }
  if (!caller.environ) caller.environ = make_of_caller(request);
  return copy_of(caller.environ);
}

Ref EnvironBuilder::build(const http::Request& request) {
  Ref environ = environ_of_caller(request);
  if (request.method != "GET") set(environ.get(), request_method_, method_.of(request.method));
  if (request.version_minor == 0) set(environ.get(), server_protocol_, http_1_0_.get());
  add_path(environ.get(), request);
  if (request.proxies == nullptr) add_port(environ.get(), request.peer.port);
  if (request.body == nullptr || request.body->size() == 0) return environ;
  DecimalText digits;
  set(environ.get(), content_length_, checked(latin1(digits.of(request.body->size())).release()).get());
  set(environ.get(), input_, inputs_->make(request.body).get());
  return environ;
}

}  // namespace prong::app::wsgi
