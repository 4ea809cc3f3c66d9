#include "net/network.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/escape.hpp"

namespace prong::net {
namespace {

using Family = IpAddress::Family;

constexpr std::string_view kForms = R"(write "192.0.2.7", "10.0.0.0/8", "::1" or "2001:db8::/32")";
constexpr unsigned kBitsOfByte = 8;
constexpr unsigned kBitsOfV4 = 32;
constexpr unsigned kBitsOfV6 = 128;

// The address with all bits behind the first `bits` cleared.
IpAddress first_of(IpAddress address, unsigned bits) {
  for (std::size_t i = 0; i < address.bytes.size(); ++i) {
    const auto before = static_cast<unsigned>(i) * kBitsOfByte;
    const unsigned kept = bits <= before ? 0 : std::min(bits - before, kBitsOfByte);
    address.bytes[i] &= static_cast<std::uint8_t>(0xFF00U >> kept);
  }
  address.scope = 0;
  return address;
}

std::optional<unsigned> parse_bits(std::string_view text) {
  unsigned bits = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bits);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return bits;
}

}  // namespace

Result<Network> Network::parse(std::string_view text) {
  constexpr std::size_t kMostShown = 64;
  const std::string shown = escaped(text, kMostShown);
  const std::size_t slash = text.find('/');
  const std::string_view host = text.substr(0, slash);
  const auto address = IpAddress::parse(host);
  if (!address) return failure(fmt::format("\"{}\" is no IP address and no network", shown), kForms);
  const bool is_mapped = address->family == Family::kV4 && host.contains(':');
  const unsigned most = host.contains(':') ? kBitsOfV6 : kBitsOfV4;
  const auto written = slash == std::string_view::npos ? most : parse_bits(text.substr(slash + 1));
  if (!written || *written > most)
    return failure(fmt::format("\"{}\" is no network: behind the slash is a number from 0 to {}", shown, most), kForms);
  constexpr unsigned kMapped = kBitsOfV6 - kBitsOfV4;
  // What is wider than all mapped addresses has other ones too.
  const bool too_wide = is_mapped && *written < kMapped;
  unsigned bits = *written;
  if (is_mapped) bits -= std::min(bits, kMapped);
  const IpAddress first = first_of(*address, bits);
  if (first != *address || too_wide)
    return failure(fmt::format("\"{}\" has bits that are not those of the network", shown),
                   fmt::format(R"(write "{}/{}" for the network, or "{}" for the one address)", to_text(first), bits,
                               to_text(*address)));
  return Network{first, bits};
}

bool Network::contains(const IpAddress& address) const {
  return address.family == first_.family && first_of(address, bits_) == first_;
}

}  // namespace prong::net
