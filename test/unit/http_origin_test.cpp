// Who is believed about the client: the rule of the right-most address that is not trusted.
#include <catch2/catch.hpp>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app_request.hpp"
#include "http/field_list.hpp"
#include "http/origin.hpp"

namespace prong::http {
namespace {

using test::Fields;

net::Endpoint endpoint(std::string_view text) {
  if (text.empty()) return {};
  const auto parsed = net::parse_endpoint(text);
  REQUIRE(parsed.has_value());
  return *parsed;
}

ProxyTrust trust(ForwardedKind kind, std::initializer_list<const char*> networks = {"10.0.0.0/8", "fd00::/8"}) {
  ProxyTrust made{.kind = kind};
  for (const char* const network : networks) made.networks.push_back(*net::Network::parse(network));
  return made;
}

// "CLIENT SCHEME HOST", as a connection of that peer would have it.
std::string origin(const ProxyTrust& proxies, const Fields& fields, std::string_view peer = "10.0.0.1:40000") {
  const net::Endpoint from = endpoint(peer);
  const Request request{.host = "as.sent",
                        .headers = fields.headers(),
                        .peer = from,
                        .proxies = proxies.trusts(from.address) ? &proxies : nullptr};
  const Origin found = origin_of(request);
  std::string client = net::to_text(found.client.address);
  if (found.client.port != 0) client += '/' + std::to_string(found.client.port);
  return client + ' ' + std::string(to_text(found.scheme)) + ' ' + std::string(found.host);
}

std::string x_forwarded(const Fields& fields, std::string_view peer = "10.0.0.1:40000") {
  return origin(trust(ForwardedKind::kXForwarded), fields, peer);
}
std::string forwarded(const Fields& fields, std::string_view peer = "10.0.0.1:40000") {
  return origin(trust(ForwardedKind::kForwarded), fields, peer);
}
std::string for_field(std::string_view value) {
  return x_forwarded({{"X-Forwarded-For", value}});
}
std::string forwarded_field(std::string_view value) {
  return forwarded({{"Forwarded", value}});
}

constexpr const char* kPeerAlone = "10.0.0.1/40000 http as.sent";

std::vector<std::string> elements_of(const Fields& fields, QuotedStrings quoted = QuotedStrings::kNo) {
  std::vector<std::string> all;
  const RequestHeaders headers = fields.headers();
  ElementsFromEnd elements(headers, "List", quoted);
  while (const auto element = elements.next()) all.emplace_back(*element);
  return all;
}

using Texts = std::vector<std::string>;

}  // namespace

// ---- lists

TEST_CASE("the elements of a list come from its end, over all fields of the name") {
  CHECK(elements_of({}).empty());
  CHECK(elements_of({{"List", "a"}}) == Texts{"a"});
  CHECK(elements_of({{"List", "a, b ,c"}, {"Other", "x"}, {"list", " \td\t"}, {"LIST", "e,f"}}) ==
        Texts{"f", "e", "d", "c", "b", "a"});
}

TEST_CASE("empty elements are none") {
  CHECK(elements_of({{"List", ""}}).empty());
  CHECK(elements_of({{"List", ",, ,\t,"}, {"List", ","}}).empty());
  CHECK(elements_of({{"List", ",a,,b,"}}) == Texts{"b", "a"});
}

TEST_CASE("a comma in a quoted string parts nothing, and quotes before an element change nothing of it") {
  const auto quoted = [](std::string_view value) { return elements_of({{"List", value}}, QuotedStrings::kYes); };
  CHECK(quoted("a=\"b,c\",d") == Texts{"d", "a=\"b,c\""});
  CHECK(quoted(R"(a="b\",c",d)") == Texts{"d", R"(a="b\",c")"});
  CHECK(quoted(R"(a="b\\",d)") == Texts{"d", R"(a="b\\")"});
  CHECK(quoted("a=\"never closed, b") == Texts{"b", "a=\"never closed"});
  CHECK(quoted("a=\"never closed, b=\"c,d\"").front() == "b=\"c,d\"");
  CHECK(quoted("\", b").front() == "b");
  CHECK(elements_of({{"List", "a=\"b,c\""}}) == Texts{"c\"", "a=\"b"});
}

// ---- who is believed

TEST_CASE("nobody is believed but trusted peers") {
  const Fields fields{{"X-Forwarded-For", "192.0.2.1"},
                      {"X-Forwarded-Proto", "https"},
                      {"X-Forwarded-Host", "forged"},
                      {"Forwarded", "for=192.0.2.1;proto=https;host=forged"}};
  for (const ForwardedKind kind : {ForwardedKind::kXForwarded, ForwardedKind::kForwarded}) {
    CHECK(origin(trust(kind), fields, "203.0.113.9:5") == "203.0.113.9/5 http as.sent");
    CHECK(origin(trust(kind), fields, "") == " http as.sent");
    CHECK(origin(trust(kind, {}), fields) == kPeerAlone);
    CHECK(origin(trust(kind), {}) == kPeerAlone);
  }
}

TEST_CASE("peers over UNIX sockets are trusted when it is said") {
  ProxyTrust proxies = trust(ForwardedKind::kXForwarded, {"0.0.0.0/0", "::/0"});
  const Fields fields{{"X-Forwarded-For", "192.0.2.1"}};
  CHECK(origin(proxies, fields, "") == " http as.sent");
  proxies = trust(ForwardedKind::kXForwarded, {});
  proxies.unix_peers = true;
  CHECK(origin(proxies, fields, "") == "192.0.2.1 http as.sent");
  CHECK(origin(proxies, {}, "") == " http as.sent");
  CHECK(origin(proxies, fields) == kPeerAlone);
}

TEST_CASE("only the headers that were chosen are believed") {
  const Fields fields{
      {"X-Forwarded-For", "192.0.2.1"}, {"X-Forwarded-Proto", "https"}, {"Forwarded", "for=192.0.2.2;host=other"}};
  CHECK(x_forwarded(fields) == "192.0.2.1 https as.sent");
  CHECK(forwarded(fields) == "192.0.2.2 http other");
}

// ---- X-Forwarded-For

TEST_CASE("the right-most address that is not trusted is the client's") {
  CHECK(for_field("192.0.2.1") == "192.0.2.1 http as.sent");
  CHECK(for_field("forged, 198.51.100.1, 192.0.2.1") == "192.0.2.1 http as.sent");
  CHECK(for_field("198.51.100.1,192.0.2.1,10.0.0.2, 10.0.0.3") == "192.0.2.1 http as.sent");
  CHECK(for_field("10.9.9.9, 192.0.2.1") == "192.0.2.1 http as.sent");
  CHECK(for_field("2001:db8::7, fd00::1") == "2001:db8::7 http as.sent");
  CHECK(for_field("::ffff:192.0.2.1, ::ffff:10.0.0.2") == "192.0.2.1 http as.sent");
  CHECK(for_field("10.0.0.3, 10.0.0.2") == "10.0.0.3 http as.sent");
}

TEST_CASE("several fields are one list") {
  CHECK(x_forwarded({{"X-Forwarded-For", "forged"},
                     {"x-forwarded-for", "192.0.2.1"},
                     {"Via", "x"},
                     {"X-FORWARDED-FOR", "10.0.0.2"}}) == "192.0.2.1 http as.sent");
}

TEST_CASE("a port is taken where one is written") {
  CHECK(for_field("192.0.2.1:4711") == "192.0.2.1/4711 http as.sent");
  CHECK(for_field("[2001:db8::7]:4711, 10.0.0.2:80") == "2001:db8::7/4711 http as.sent");
  CHECK(for_field("[2001:db8::7]") == "2001:db8::7 http as.sent");
}

TEST_CASE("where a trusted proxy says nothing that can be read, it is the last one that is known") {
  for (const char* value : {"unknown", "_hidden", "junk", "192.0.2.1 192.0.2.2", "192.0.2.1:99999", "\"192.0.2.1\"",
                            "192.0.2.1;", "999.0.2.1", "", ",", "192.0.2.1\r\n 1"}) {
    CAPTURE(value);
    CHECK(for_field(value) == kPeerAlone);
    CHECK(for_field(std::string(value) + ", 10.0.0.2").starts_with("10.0.0.2 "));
    CHECK(for_field(std::string("198.51.100.1, ") + value) ==
          (std::string_view(value).find_first_not_of(',') == std::string_view::npos ? "198.51.100.1 http as.sent"
                                                                                    : kPeerAlone));
  }
}

TEST_CASE("a list of proxies without end is not followed without end") {
  std::string value = "192.0.2.1";
  for (std::size_t i = 0; i < kMostProxies - 1; ++i) value += ", 10.0.0.2";
  CHECK(for_field(value) == "192.0.2.1 http as.sent");
  CHECK(for_field(value + ", 10.0.0.3") == "10.0.0.2 http as.sent");
  std::string forwarded_value = "for=192.0.2.1";
  for (std::size_t i = 0; i < kMostProxies; ++i) forwarded_value += ", for=10.0.0.2";
  CHECK(forwarded_field(forwarded_value) == "10.0.0.2 http as.sent");
}

// ---- X-Forwarded-Proto and -Host

TEST_CASE("scheme and host of a proxy hold without an address too") {
  CHECK(x_forwarded({{"X-Forwarded-Proto", "https"}}) == "10.0.0.1/40000 https as.sent");
  CHECK(x_forwarded({{"X-Forwarded-Proto", "HTTPS"}, {"X-Forwarded-Host", "shop.example:8443"}}) ==
        "10.0.0.1/40000 https shop.example:8443");
  CHECK(x_forwarded({{"X-Forwarded-Proto", "http"}}) == kPeerAlone);
}

TEST_CASE("what is no scheme or host that HTTP has is left out") {
  for (const char* value : {"", "ws", "https:", "https, ", "https;", "h", "httpss", "https http", "on"}) {
    CAPTURE(value);
    CHECK(x_forwarded({{"X-Forwarded-Proto", value}}) ==
          (std::string_view(value) == "https, " ? "10.0.0.1/40000 https as.sent" : kPeerAlone));
  }
  for (const char* value :
       {"", ":80", ":", "a b", "a/b", "a@b", "a:b", "a:80:80", "[::1", "[]", "\"a\"", "a?b", "<a>", "%zz"}) {
    CAPTURE(value);
    CHECK(x_forwarded({{"X-Forwarded-Host", value}}) == kPeerAlone);
  }
  for (const char* value : {"a", "a:80", "[::1]:80", "xn--a.example", "192.0.2.1"}) {
    CAPTURE(value);
    CHECK(x_forwarded({{"X-Forwarded-Host", value}}) == "10.0.0.1/40000 http " + std::string(value));
  }
}

TEST_CASE("of several schemes the one counts that stands where the client's address does") {
  const auto scheme = [](std::string_view addresses, std::string_view schemes) {
    return x_forwarded({{"X-Forwarded-For", addresses}, {"X-Forwarded-Proto", schemes}});
  };
  // One proxy that adds to what the client has forged.
  CHECK(scheme("192.0.2.1", "https, http") == "192.0.2.1 http as.sent");
  CHECK(scheme("forged, 192.0.2.1", "http, https") == "192.0.2.1 https as.sent");
  // Two that add, the client's scheme being that of the outer one.
  CHECK(scheme("192.0.2.1, 10.0.0.2", "https, http") == "192.0.2.1 https as.sent");
  CHECK(scheme("192.0.2.1, 10.0.0.2", "https, http, http") == "192.0.2.1 http as.sent");
  // Two, of which the inner one passes on what the outer one said.
  CHECK(scheme("192.0.2.1, 10.0.0.2", "https") == "192.0.2.1 https as.sent");
  CHECK(x_forwarded({{"X-Forwarded-For", "192.0.2.1"}, {"X-Forwarded-Host", "forged, shop.example"}}) ==
        "192.0.2.1 http shop.example");
}

// ---- Forwarded

TEST_CASE("an element of Forwarded says all that one proxy knows") {
  CHECK(forwarded_field("for=192.0.2.1;proto=https;host=shop.example;by=10.0.0.1") == "192.0.2.1 https shop.example");
  CHECK(forwarded_field("For=\"192.0.2.1\";PROTO=\"HTTPS\";Host=\"shop.example:8443\"") ==
        "192.0.2.1 https shop.example:8443");
  CHECK(forwarded_field("for=\"[2001:db8:cafe::17]:4711\"") == "2001:db8:cafe::17/4711 http as.sent");
  CHECK(forwarded_field("for=\"192.0.2.1:4711\"") == "192.0.2.1/4711 http as.sent");
  CHECK(forwarded_field("for=\"192.0.2.1:_obfuscated\"") == "192.0.2.1 http as.sent");
  CHECK(forwarded_field("by=_x;ext=\"a,b;c\";for=192.0.2.1") == "192.0.2.1 http as.sent");
  CHECK(forwarded_field(";; for=192.0.2.1 ; proto=https ;") == "192.0.2.1 https as.sent");
  CHECK(forwarded_field("for=[2001:db8::7]:80") == "2001:db8::7/80 http as.sent");
}

TEST_CASE("elements of Forwarded are followed from the right, over all fields") {
  CHECK(forwarded_field("for=forged, for=192.0.2.1;proto=https, for=10.0.0.2;proto=http") == "192.0.2.1 https as.sent");
  CHECK(forwarded({{"Forwarded", "for=198.51.100.1;host=forged"},
                   {"Forwarded", "for=192.0.2.1"},
                   {"Forwarded", "for=10.0.0.2;proto=https;host=inner"}}) == "192.0.2.1 https inner");
  CHECK(forwarded_field("for=192.0.2.1;host=outer;proto=https, for=10.0.0.2;host=inner") == "192.0.2.1 https outer");
}

TEST_CASE("addresses that are hidden or unknown end the way, and what else the proxy says holds") {
  CHECK(forwarded_field("for=unknown;proto=https") == "10.0.0.1/40000 https as.sent");
  CHECK(forwarded_field("for=_hidden, for=10.0.0.2;proto=https") == "10.0.0.2 https as.sent");
  CHECK(forwarded_field("for=198.51.100.1, for=\"_SEVKISEK\";host=a") == "10.0.0.1/40000 http a");
  CHECK(forwarded_field("for=198.51.100.1, proto=https") == "10.0.0.1/40000 https as.sent");
}

TEST_CASE("an element of Forwarded that cannot be read says nothing") {
  for (const char* value : {"192.0.2.1", "for", "for=", "for==192.0.2.1", "for=192.0.2.1;for=192.0.2.2",
                            "for=192.0.2.1;proto=https;proto=http", R"(for="192.0.2.1)", R"(for=192.0.2.1")",
                            R"(for="192.0.2.1"x)", R"(for="192.0.2.\1")", "for=192.0.2.1 192.0.2.2",
                            R"(for=192.0.2.1;")", R"(for=192.0.2.1;host="a)", "=", R"(")", R"(\)", R"(for="")"}) {
    CAPTURE(value);
    CHECK(forwarded_field(value) == kPeerAlone);
    CHECK(forwarded_field(std::string("for=198.51.100.1, ") + value).starts_with("10.0.0.1/40000 "));
  }
}

TEST_CASE("nothing that a client sends changes what its proxy adds") {
  for (const std::string forged :
       {R"(")", R"(for=")", R"(for="\)", R"(for="a,\")", R"(\)", "for=10.0.0.3", R"(for="10.0.0.3")", ";;;",
        R"(a="b\\")", ",,,", R"(for="x\",for="10.0.0.3)", R"(host=")", R"(for="_x";host="forged)"}) {
    CAPTURE(forged);
    CHECK(forwarded_field(forged + ", for=192.0.2.1;proto=https;host=shop.example") == "192.0.2.1 https shop.example");
    CHECK(forwarded_field(forged + ", for=\"[2001:db8::7]:80\";host=\"shop.example\"") ==
          "2001:db8::7/80 http shop.example");
    CHECK(forwarded({{"Forwarded", forged}, {"Forwarded", "for=192.0.2.1"}}) == "192.0.2.1 http as.sent");
    CHECK(x_forwarded({{"X-Forwarded-For", forged + ", 192.0.2.1"}}) == "192.0.2.1 http as.sent");
  }
}

// ---- hosts

TEST_CASE("a host is a name and maybe a port") {
  struct Row {
    const char *host, *name, *port;
  };
  for (const Row& row : {Row{"", "", ""},
                         {"a.example", "a.example", ""},
                         {"a.example:80", "a.example", "80"},
                         {"a.example:", "a.example", ""},
                         {"192.0.2.1:8080", "192.0.2.1", "8080"},
                         {"[::1]", "[::1]", ""},
                         {"[::1]:8080", "[::1]", "8080"}}) {
    CAPTURE(row.host);
    CHECK(split_host(row.host).name == row.name);
    CHECK(split_host(row.host).port == row.port);
  }
}

}  // namespace prong::http
