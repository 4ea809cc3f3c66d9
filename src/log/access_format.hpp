// The format of an access log: what the configuration says, taken apart once and checked, so that a line is made
// without looking at it again. Which bytes of a value are escaped is decided here too, because it depends on what
// stands around the field.
//
// A format is `common`, `combined`, `json`, or a pattern: text with fields in braces. No value can leave its place in a
// line (docs/access-log.md has the rules for users):
//   - between double quotes of the pattern `"` and `\` are escaped with a backslash, control bytes and all bytes from
//     0x7f on as \xHH;
//   - elsewhere also blanks, double quotes, and each punctuation byte that the pattern puts right behind a field
//     outside of quotes (of brackets both): these are its separators, and a value that contained one would forge a
//     column. Values of the configuration, which no client chooses, keep these;
//   - in json a line is plain ASCII, valid by RFC 8259 whatever the bytes are.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "log/access_escape.hpp"

namespace prong::log {

enum class AccessField : std::uint8_t {
  kLiteral,  // text of the pattern
  kClient,
  kClientPort,
  kPeer,
  kPeerPort,
  kScheme,
  kListener,
  kTime,
  kTimeCommon,
  kTimeUnix,
  kMethod,
  kTarget,
  kPath,
  kQuery,
  kProtocol,
  kRequest,
  kStatus,
  kBodyBytes,
  kBytes,
  kHost,
  kReferer,
  kUserAgent,
  kHeader,    // header:NAME
  kResponse,  // response:NAME
  kServiceUs,
  kQueueUs,
  kPool,
  kWorker,
  kGeneration,
  kPid,
  kConnection,
  kRequestNumber,
  kComplete,
};

// How a value is written where it stands.
enum class Escape : std::uint8_t { kQuoted, kBare, kBareOfOurs, kJson };

class AccessFormat {
 public:
  struct Part {
    AccessField field = AccessField::kLiteral;
    Escape escape = Escape::kBare;
    std::string text = {};  // the literal, or the header's name
  };

  // The error names the place in the pattern, and what is known.
  [[nodiscard]] static Result<AccessFormat> parse(std::string_view text);

  // In the order of the line, without its newline.
  [[nodiscard]] std::span<const Part> parts() const { return parts_; }
  // What Escape::kBare escapes.
  [[nodiscard]] const EscapeSet& bare() const { return bare_; }

 private:
  explicit AccessFormat(std::vector<Part> parts);
  std::vector<Part> parts_;
  EscapeSet bare_;
};

// As they are written in a pattern: "client", ..., "header:NAME", ...
[[nodiscard]] std::span<const std::string_view> access_field_names();

}  // namespace prong::log
