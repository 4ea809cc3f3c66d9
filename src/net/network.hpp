// Ranges of IP addresses, as an operator writes them (CIDR, RFC 4632 and RFC 4291 section 2.3).
#pragma once

#include <string_view>

#include "base/error.hpp"
#include "net/ip_address.hpp"

namespace prong::net {

class Network {
 public:
  // "10.0.0.0/8", "2001:db8::/32", "192.0.2.7" (that one), "::ffff:10.0.0.0/104" (the first of these). Addresses of one
  // family only. Errors say what to write instead.
  [[nodiscard]] static Result<Network> parse(std::string_view text);

  // The scope of a link-local address does not matter.
  [[nodiscard]] bool contains(const IpAddress& address) const;

 private:
  Network(IpAddress first, unsigned bits) : first_(first), bits_(bits) {}

  IpAddress first_;
  unsigned bits_;  // of the addresses, that are equal
};

}  // namespace prong::net
