#include "http/origin.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <utility>

#include "http/field_list.hpp"
#include "http/request_head.hpp"

namespace prong::http {
namespace {

std::optional<Scheme> scheme_of(std::string_view text) {
  for (const Scheme scheme : {Scheme::kHttp, Scheme::kHttps})
    if (equals_ignoring_case(text, to_text(scheme))) return scheme;
  return std::nullopt;
}

void believe(Origin& origin, std::string_view scheme, std::string_view host) {
  origin.scheme = scheme_of(scheme).value_or(origin.scheme);
  if (!split_host(host).name.empty() && is_valid_host(host)) origin.host = host;
}

// ---- X-Forwarded

// The element at that place from the end, counted from 1; of fewer elements the first one.
std::string_view element_from_end(const RequestHeaders& headers, std::string_view name, std::size_t place) {
  ElementsFromEnd elements(headers, name, QuotedStrings::kNo);
  std::string_view found;
  for (; place > 0; --place) {
    const auto element = elements.next();
    if (!element) break;
    found = *element;
  }
  return found;
}

// The three are no parts of one thing, and not every proxy adds to all of them: most replace the last two. So those are
// taken from the place that the client's address has in the first, or from their beginning if they are shorter.
void read_x_forwarded(const Request& request, Origin& origin) {
  ElementsFromEnd elements(request.headers, "X-Forwarded-For", QuotedStrings::kNo);
  std::size_t proxies = 0;
  while (proxies < kMostProxies && request.proxies->trusts(origin.client.address)) {
    const auto element = elements.next();
    if (!element) break;
    ++proxies;
    const auto client = net::parse_endpoint(*element);
    if (!client) break;
    origin.client = *client;
  }
  const std::size_t place = std::max<std::size_t>(proxies, 1);
  believe(origin, element_from_end(request.headers, "X-Forwarded-Proto", place),
          element_from_end(request.headers, "X-Forwarded-Host", place));
}

// ---- Forwarded (RFC 7239)

// What one proxy says; what it does not say is nothing.
struct ForwardedElement {
  std::optional<std::string_view> node = {};  // for=
  std::optional<std::string_view> scheme = {};
  std::optional<std::string_view> host = {};
  std::optional<std::string_view> by = {};

  // nullptr: the parameter means nothing here.
  [[nodiscard]] std::optional<std::string_view>* find(std::string_view name) {
    const std::array<std::pair<std::string_view, std::optional<std::string_view>*>, 4> known{
        {{"for", &node}, {"proto", &scheme}, {"host", &host}, {"by", &by}}};
    for (const auto& [known_name, value] : known)
      if (equals_ignoring_case(name, known_name)) return value;
    return nullptr;
  }
};

// Takes a value from the front of `text`: a quoted string, or up to the next semicolon. Nothing: it is none. Escapes
// are in none that means anything here.
std::optional<std::string_view> take_value(std::string_view& text) {
  if (!text.starts_with('"')) {
    const std::string_view value = without_white_space(text.substr(0, text.find(';')));
    text.remove_prefix(std::min(text.find(';'), text.size()));
    if (value.find_first_of("\"\\ \t,") != std::string_view::npos) return std::nullopt;
    return value;
  }
  const std::size_t end = text.find('"', 1);
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view value = text.substr(1, end - 1);
  if (value.contains('\\')) return std::nullopt;
  text = without_white_space(text.substr(end + 1));
  if (!text.empty() && text.front() != ';') return std::nullopt;
  return value;
}

// Nothing: it cannot be read, or says something twice.
std::optional<ForwardedElement> parse_element(std::string_view text) {
  ForwardedElement element;
  while (!text.empty()) {
    if (text.front() == ';' || text.front() == ' ' || text.front() == '\t') {
      text.remove_prefix(1);
      continue;
    }
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    std::optional<std::string_view>* const parameter = element.find(text.substr(0, equals));
    text.remove_prefix(equals + 1);
    const auto value = take_value(text);
    if (!value || (parameter != nullptr && *parameter)) return std::nullopt;
    if (parameter != nullptr) *parameter = value;
  }
  return element;
}

// An element says all of one proxy: the scheme and host that hold are those of the outermost one that is trusted and
// says them.
void read_forwarded(const Request& request, Origin& origin) {
  ElementsFromEnd elements(request.headers, "Forwarded", QuotedStrings::kYes);
  for (std::size_t proxies = 0; proxies < kMostProxies && request.proxies->trusts(origin.client.address); ++proxies) {
    const auto text = elements.next();
    const auto element = text ? parse_element(*text) : std::nullopt;
    if (!element) return;
    believe(origin, element->scheme.value_or(""), element->host.value_or(""));
    // "unknown" and identifiers that hide an address ("_x") are none.
    const auto client = net::parse_endpoint(element->node.value_or(""));
    if (!client) return;
    origin.client = *client;
  }
}

}  // namespace

bool ProxyTrust::trusts(const net::IpAddress& address) const {
  if (address.family == net::IpAddress::Family::kNone) return unix_peers;
  return std::ranges::any_of(networks, [&](const net::Network& network) { return network.contains(address); });
}

Origin origin_of(const Request& request) {
  Origin origin{.client = request.peer, .host = request.host};
  if (request.proxies == nullptr) return origin;
  switch (request.proxies->kind) {
    case ForwardedKind::kXForwarded:
      read_x_forwarded(request, origin);
      break;
    case ForwardedKind::kForwarded:
      read_forwarded(request, origin);
      break;
  }
  return origin;
}

HostParts split_host(std::string_view host) {
  const std::size_t name_end = host.starts_with('[') ? host.find(']') + 1 : std::min(host.find(':'), host.size());
  const std::string_view rest = host.substr(name_end);
  return {.name = host.substr(0, name_end), .port = rest.empty() ? rest : rest.substr(1)};
}

}  // namespace prong::http
