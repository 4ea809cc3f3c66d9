// Who asks, and for what, when requests come through proxies: X-Forwarded-For, -Proto and -Host, or Forwarded (RFC
// 7239), believed only as far as proxies that are trusted have written them.
//
// The rule is that of the right-most address that is not trusted. Each proxy adds at the right end who has asked it, so
// the last element is the peer's word; if it names another trusted proxy, the element before it is that one's word, and
// so on. What stands further to the left was sent by the client and may say anything: it is never looked at. Lists are
// therefore read from their end, also where they have quoted strings, so that nothing in the client's part can change
// what the proxies' part means.
//
// Only one of the two kinds is read, as the operator says: a proxy that writes one of them passes the other on as the
// client sent it.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "http/handler.hpp"
#include "net/ip_address.hpp"
#include "net/network.hpp"

namespace prong::http {

enum class ForwardedKind : std::uint8_t {
  kXForwarded,  // X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host
  kForwarded,   // RFC 7239
};

// Whose word is taken.
struct ProxyTrust {
  std::vector<net::Network> networks = {};
  bool unix_peers = false;  // whoever comes over a UNIX socket
  ForwardedKind kind = ForwardedKind::kXForwarded;

  [[nodiscard]] bool trusts(const net::IpAddress& address) const;
};

enum class Scheme : std::uint8_t { kHttp, kHttps };
[[nodiscard]] constexpr std::string_view to_text(Scheme scheme) {
  return scheme == Scheme::kHttps ? "https" : "http";
}
[[nodiscard]] constexpr std::uint16_t default_port(Scheme scheme) {
  return scheme == Scheme::kHttps ? 443 : 80;
}

struct Origin {
  // The client, as far back as it is known: the peer if that is no trusted proxy, or if it does not say. Port 0: not
  // known.
  net::Endpoint client = {};
  Scheme scheme = Scheme::kHttp;
  std::string_view host = {};  // that the client asked for, maybe with a port; empty: it did not say
};

// More proxies than that are not asked.
inline constexpr std::size_t kMostProxies = 32;

// Of a request whose peer is not trusted (Request::proxies is nullptr) it is what it says itself. The views live as
// long as those of the request.
[[nodiscard]] Origin origin_of(const Request& request);

// The two parts of a host as it stands in Origin::host and Request::host: "[::1]" and "8080" of "[::1]:8080". The port
// is empty if there is none.
struct HostParts {
  std::string_view name = {};
  std::string_view port = {};
};
[[nodiscard]] HostParts split_host(std::string_view host);

}  // namespace prong::http
