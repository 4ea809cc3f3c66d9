// Which of the codings of a file a client wants (RFC 9110 section 12.5.3).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "http/headers.hpp"

namespace prong::app {

enum class Coding : std::uint8_t { kIdentity, kBrotli, kZstandard, kGzip };
inline constexpr std::size_t kCodings = 4;

// As Content-Encoding names it: "br"; empty for identity.
[[nodiscard]] std::string_view name_of(Coding coding);
// What the name of such a file ends in: ".br"; empty for identity.
[[nodiscard]] std::string_view suffix_of(Coding coding);

// The codings that a client takes, the most wanted first; empty: none of those there are.
class CodingChoice {
 public:
  void append(Coding coding) { codings_[size_++] = coding; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] const Coding* begin() const { return codings_.data(); }
  [[nodiscard]] const Coding* end() const { return codings_.data() + size_; }

 private:
  std::array<Coding, kCodings> codings_{};
  std::size_t size_ = 0;
};

// Of those in `offered` (each at most once) and identity. Among those that the client likes equally the first offered
// comes first, and identity last. A client that does not say gets identity, though the RFC would allow any: what does
// not know of codings does not say either.
[[nodiscard]] CodingChoice choose_codings(const http::RequestHeaders& headers, std::span<const Coding> offered);

}  // namespace prong::app
