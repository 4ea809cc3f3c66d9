// X-Forwarded-For and its like from anywhere: who is found has been named by somebody who is trusted, and what stands
// before the elements of trusted proxies changes nothing.
//
// The input: the value of the fields.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "app_request.hpp"
#include "http/field_list.hpp"
#include "http/origin.hpp"
#include "http/request_head.hpp"

namespace {

using namespace prong;

void require(bool holds, const char* what) {
  if (holds) return;
  (void)std::fprintf(stderr, "violated: %s\n", what);
  std::abort();
}

http::ProxyTrust trust(http::ForwardedKind kind) {
  http::ProxyTrust made{.kind = kind};
  made.networks.push_back(*net::Network::parse("10.0.0.0/8"));
  return made;
}

// With a host that outlives the fields.
struct Found {
  net::Endpoint client;
  http::Scheme scheme;
  std::string host;
};

Found origin(const http::ProxyTrust& proxies, const test::Fields& fields) {
  const http::Origin found = http::origin_of({.host = "as.sent",
                                              .headers = fields.headers(),
                                              .peer = *net::parse_endpoint("10.0.0.1:4711"),
                                              .proxies = &proxies});
  return {.client = found.client, .scheme = found.scheme, .host = std::string(found.host)};
}

void check_host(const Found& found) {
  require(!found.host.empty() && http::is_valid_host(found.host), "a host is one");
  const http::HostParts parts = http::split_host(found.host);
  require(!parts.name.empty(), "with a name");
  require(parts.name.size() + parts.port.size() + (parts.name.size() < found.host.size() ? 1 : 0) == found.host.size(),
          "and has its parts");
}

void check_elements(std::string_view value, http::QuotedStrings quoted) {
  test::Fields fields;
  fields.add("List", value);
  fields.add("List", value);
  const http::RequestHeaders headers = fields.headers();
  http::ElementsFromEnd elements(headers, "list", quoted);
  std::size_t bytes = 0;
  while (const auto element = elements.next()) {
    require(!element->empty() && http::without_white_space(*element) == *element, "an element has no blanks around it");
    bytes += element->size();
  }
  require(bytes <= 2 * value.size(), "elements are parts of the list");
}

void check_x_forwarded(const std::string& value) {
  const http::ProxyTrust proxies = trust(http::ForwardedKind::kXForwarded);
  check_host(origin(proxies, {{"X-Forwarded-For", value}, {"X-Forwarded-Proto", value}, {"X-Forwarded-Host", value}}));
  const std::string added = value + ", 192.0.2.1";
  const Found found = origin(proxies, {{"X-Forwarded-For", added}, {"X-Forwarded-Proto", value + ",https"}});
  require(net::to_text(found.client.address) == "192.0.2.1", "what a trusted proxy adds is the client");
  require(found.scheme == http::Scheme::kHttps, "and its scheme holds");
}

void check_forwarded(const std::string& value) {
  const http::ProxyTrust proxies = trust(http::ForwardedKind::kForwarded);
  check_host(origin(proxies, {{"Forwarded", value}}));
  const std::string added = value + ", for=\"[2001:db8::7]:80\";proto=https;host=\"a,b\";x=\"\\\"\"";
  const Found quoted = origin(proxies, {{"Forwarded", added}});
  require(net::to_text(quoted.client.address) == "10.0.0.1", "an escape is in no element that is read");
  const Found found = origin(proxies, {{"Forwarded", value + ",for=192.0.2.1;proto=https;host=shop"}});
  require(
      net::to_text(found.client.address) == "192.0.2.1" && found.scheme == http::Scheme::kHttps && found.host == "shop",
      "what a trusted proxy adds holds");
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer looks for this name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string value(reinterpret_cast<const char*>(data), size);
  check_elements(value, http::QuotedStrings::kNo);
  check_elements(value, http::QuotedStrings::kYes);
  check_x_forwarded(value);
  check_forwarded(value);
  if (const auto endpoint = net::parse_endpoint(value)) {
    const std::string text = net::to_text(endpoint->address);
    require(net::IpAddress::parse(text) == endpoint->address, "an address is read as it is written");
  }
  if (const auto network = net::Network::parse(value))
    require(!network->contains(net::IpAddress{}), "no network has who has no address");
  return 0;
}
