#include "http/request_head.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "base/characters.hpp"

namespace prong::http {
namespace {

constexpr std::uint16_t kBadRequest = 400;
constexpr std::uint16_t kExpectationFailed = 417;
constexpr std::uint16_t kFieldsTooLarge = 431;
constexpr std::uint16_t kNotImplemented = 501;

std::string_view view(std::string_view bytes, Piece piece) {
  return bytes.substr(piece.offset, piece.size);
}

bool is_space(char byte) {
  return byte == ' ' || byte == '\t';
}

// A target in its parts. The host is what stands in an absolute-form.
struct Target {
  std::optional<std::string_view> host = {};
  std::string_view path = {};
  std::string_view query = {};
};

// unreserved and sub-delims of RFC 3986 section 2. A table, because each byte of each Host is looked up.
constexpr std::array<bool, 256> make_name_chars() {
  std::array<bool, 256> table{};
  for (const char byte : std::string_view("-._~!$&'()*+,;=")) table[static_cast<unsigned char>(byte)] = true;
  for (unsigned char byte = '0'; byte <= '9'; ++byte) table[byte] = true;
  for (unsigned char byte = 'a'; byte <= 'z'; ++byte) table[byte] = true;
  for (unsigned char byte = 'A'; byte <= 'Z'; ++byte) table[byte] = true;
  return table;
}
constexpr std::array<bool, 256> kNameChars = make_name_chars();

// RFC 3986 section 3.2.2: the characters of a reg-name but for '%', and those of an IPv6 literal.
bool is_host_char(char byte, bool bracketed) {
  if (bracketed) return hex_value(byte) || byte == ':' || byte == '.';
  return kNameChars[static_cast<unsigned char>(byte)];
}

Target split_path(std::optional<std::string_view> host, std::string_view path_and_query) {
  const std::size_t mark = path_and_query.find('?');
  const std::string_view path = path_and_query.substr(0, mark);
  return {.host = host,
          .path = path.empty() ? "/" : path,
          .query = mark == std::string_view::npos ? "" : path_and_query.substr(mark + 1)};
}

// RFC 9112 section 3.2: origin-form, absolute-form, and "*" for OPTIONS. A fragment is never sent; authority-form is
// only for CONNECT, which this server does not do.
std::optional<Target> split_target(std::string_view method, std::string_view target) {
  if (target.find('#') != std::string_view::npos) return std::nullopt;
  if (target == "*") return method == "OPTIONS" ? std::optional(Target{.path = "*"}) : std::nullopt;
  if (target.starts_with('/')) return split_path(std::nullopt, target);
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!equals_ignoring_case(target.substr(0, scheme.size()), scheme)) continue;
    const std::string_view rest = target.substr(scheme.size());
    const std::size_t host_size = std::min(rest.find_first_of("/?"), rest.size());
    const std::string_view host = rest.substr(0, host_size);
    if (host.empty() || host.starts_with(':') || !is_valid_host(host)) return std::nullopt;
    return split_path(host, rest.substr(host_size));
  }
  return std::nullopt;
}

// RFC 9112 section 2.2 lets empty lines stand before a request; section 3 has one space between its parts.
bool is_request_line(std::string_view bytes, const RequestHead& head, std::size_t& end) {
  std::string_view before = bytes.substr(0, head.method.offset);
  while (before.starts_with("\r\n")) before.remove_prefix(2);
  const std::size_t method_end = std::size_t{head.method.offset} + head.method.size;
  const std::size_t target_end = std::size_t{head.target.offset} + head.target.size;
  const std::string_view version = head.version_minor == 0 ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n";
  end = target_end + version.size();
  return before.empty() && head.target.offset == method_end + 1 && bytes[method_end] == ' ' &&
         bytes.substr(target_end, version.size()) == version;
}

// One field that begins at `at`: `name ":" OWS value OWS CRLF`. Finds the value and moves `at` behind the line; a
// folded line is then one that no field begins.
bool is_field(std::string_view bytes, HeaderPosition& field, std::size_t& at) {
  std::size_t next = std::size_t{field.name_offset} + field.name_size;
  if (field.name_offset != at || field.name_size == 0 || bytes[next] != ':') return false;
  ++next;
  while (is_space(bytes[next])) ++next;
  std::size_t end = bytes.find('\r', next);  // the head ends in CRLF CRLF, so there is one
  if (end == std::string_view::npos || bytes.substr(end, 2) != "\r\n") return false;
  at = end + 2;
  while (end > next && is_space(bytes[end - 1])) --end;
  field.value_offset = static_cast<std::uint32_t>(next);
  field.value_size = static_cast<std::uint32_t>(end - next);
  return true;
}

bool is_head(std::string_view bytes, RequestHead& head) {
  std::size_t at = 0;
  if (!is_request_line(bytes, head, at)) return false;
  for (HeaderPosition& field : head.fields)
    if (!is_field(bytes, field, at)) return false;
  return bytes.substr(at) == "\r\n";
}

// The fields that decide how the request is read.
struct KnownFields {
  std::size_t hosts = 0;
  std::string_view host;
  std::size_t codings = 0;
  std::string_view coding;
  bool expects_continue = false;
  bool expects_else = false;
  bool says_close = false;
  bool says_keep_alive = false;
};

// The options of one Connection field (RFC 9110 section 7.6.1); those that are not ours mean nothing here.
void read_connection(std::string_view options, KnownFields& known) {
  while (!options.empty()) {
    std::string_view option = options.substr(0, options.find(','));
    options.remove_prefix(std::min(option.size() + 1, options.size()));
    while (!option.empty() && is_space(option.front())) option.remove_prefix(1);
    while (!option.empty() && is_space(option.back())) option.remove_suffix(1);
    if (equals_ignoring_case(option, "close")) known.says_close = true;
    if (equals_ignoring_case(option, "keep-alive")) known.says_keep_alive = true;
  }
}

KnownFields known_fields(const RequestHeaders& headers) {
  KnownFields known;
  for (std::size_t i = 0; i < headers.size(); ++i) {
    const Header header = headers[i];
    if (equals_ignoring_case(header.name, "Host")) {
      ++known.hosts;
      known.host = header.value;
    } else if (equals_ignoring_case(header.name, "Transfer-Encoding")) {
      ++known.codings;
      known.coding = header.value;
    } else if (equals_ignoring_case(header.name, "Connection")) {
      read_connection(header.value, known);
    } else if (equals_ignoring_case(header.name, "Expect")) {
      (equals_ignoring_case(header.value, "100-continue") ? known.expects_continue : known.expects_else) = true;
    }
  }
  return known;
}

// RFC 9112 section 6.1: a coding that is not known is refused, and so is any with HTTP/1.0, whose next hop may not
// know it.
std::uint16_t check_coding(const KnownFields& known, const RequestHead& head) {
  if (known.codings == 0) return head.chunked ? kBadRequest : 0;
  if (known.codings > 1 || head.version_minor == 0 || !head.chunked) return kBadRequest;
  return equals_ignoring_case(known.coding, "chunked") ? 0 : kNotImplemented;
}

// From the name's first byte to the value's last one.
bool has_long_line(const RequestHead& head, ByteSize most) {
  return std::ranges::any_of(head.fields, [most](const HeaderPosition& field) {
    return std::uint64_t{field.value_offset} + field.value_size - field.name_offset > most.bytes;
  });
}

// False: there is one, and it is to be refused.
bool apply_policy(std::string_view bytes, RequestHead& head, UnderscoreNames policy) {
  const auto has_underscore = [bytes](const HeaderPosition& field) {
    return bytes.substr(field.name_offset, field.name_size).contains('_');
  };
  if (policy == UnderscoreNames::kRefuse) return std::ranges::none_of(head.fields, has_underscore);
  std::erase_if(head.fields, has_underscore);
  return true;
}

}  // namespace

bool is_valid_host(std::string_view host) {
  const bool bracketed = host.starts_with('[');
  const std::size_t name_end = bracketed ? host.find(']') : host.find(':');
  if (bracketed && name_end == std::string_view::npos) return false;
  std::string_view name = host.substr(0, name_end);
  std::string_view rest = name_end == std::string_view::npos ? "" : host.substr(name_end);
  if (bracketed) {
    name.remove_prefix(1);
    rest.remove_prefix(1);
    if (name.empty()) return false;
  }
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (is_host_char(name[i], bracketed)) continue;
    if (bracketed || name[i] != '%' || i + 2 >= name.size() || !hex_value(name[i + 1]) || !hex_value(name[i + 2]))
      return false;
    i += 2;
  }
  return rest.empty() || (rest.starts_with(':') && std::ranges::all_of(rest.substr(1), is_digit));
}

std::expected<CheckedHead, std::uint16_t> check_head(std::string_view bytes, RequestHead& head, const Limits& limits) {
  if (!is_head(bytes, head)) return std::unexpected(kBadRequest);
  if (has_long_line(head, limits.max_header_line)) return std::unexpected(kFieldsTooLarge);
  const std::string_view method = view(bytes, head.method);
  if (method == "CONNECT") return std::unexpected(kNotImplemented);
  if (!split_target(method, view(bytes, head.target))) return std::unexpected(kBadRequest);
  const KnownFields known = known_fields(RequestHeaders(bytes, head.fields));
  // RFC 9112 section 3.2: no Host in 1.1, more than one in any version, or one that is none.
  if (known.hosts > 1 || (known.hosts == 0 && head.version_minor > 0) || !is_valid_host(known.host))
    return std::unexpected(kBadRequest);
  if (const std::uint16_t status = check_coding(known, head); status != 0) return std::unexpected(status);
  // RFC 9110 section 10.1.1: HTTP/1.0 has no expectations.
  if (head.version_minor > 0 && known.expects_else) return std::unexpected(kExpectationFailed);
  // RFC 9112 section 9.3: close comes first, in any version.
  head.keep_alive = !known.says_close && (head.version_minor > 0 || known.says_keep_alive);
  if (!apply_policy(bytes, head, limits.underscore_names)) return std::unexpected(kBadRequest);
  return CheckedHead{.expects_continue = head.version_minor > 0 && known.expects_continue};
}

Request make_request(std::string_view bytes, const RequestHead& head) {
  const std::string_view method = view(bytes, head.method);
  const std::string_view text = view(bytes, head.target);
  const RequestHeaders headers(bytes.substr(0, head.size), head.fields);
  const Target target = split_target(method, text).value_or(Target{});
  return {.method = method,
          .target = text,
          .host = target.host ? *target.host : headers.find("Host").value_or(""),
          .path = target.path,
          .query = target.query,
          .version_minor = head.version_minor,
          .headers = headers};
}

}  // namespace prong::http
