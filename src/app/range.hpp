// Parts of a file that a client asks for (RFC 9110 section 14).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace prong::app {

// Bytes of a representation; never empty, never beyond its end.
struct ByteRange {
  std::uint64_t first = 0;
  std::uint64_t size = 0;
};

// What a Range field means for a representation of a certain size.
class RangeSet {
 public:
  enum class Verdict : std::uint8_t {
    kWhole,          // to be answered as if there was no such field
    kParts,          // these parts, at least one
    kUnsatisfiable,  // 416: all that was asked for is beyond the end
  };
  // Who asks for more parts at once gets the whole file: reading all of it is cheaper than many small pieces, whose
  // heads would make the answer larger than the file.
  static constexpr std::size_t kMost = 16;

  [[nodiscard]] Verdict verdict() const { return verdict_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] const ByteRange& operator[](std::size_t index) const { return ranges_[index]; }

 private:
  friend RangeSet parse_range(std::string_view value, std::uint64_t size);

  explicit RangeSet(Verdict verdict) : verdict_(verdict) {}
  void add(ByteRange range);

  Verdict verdict_;
  std::array<ByteRange, kMost> ranges_{};
  std::size_t size_ = 0;
};

// The parts of `size` bytes that the value of a Range field asks for, in its order; those that overlap or touch are
// one, in the place of the first. What is malformed, of another unit, or too much is kWhole; so is all of an empty
// representation, for which no Content-Range could be written.
[[nodiscard]] RangeSet parse_range(std::string_view value, std::uint64_t size);

}  // namespace prong::app
