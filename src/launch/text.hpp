// Texts without the heap: what a spare has to say to the master and to its program.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace prong::launch {

// Appends to a buffer that it borrows; what does not fit is cut. Always ends with a NUL.
class Text {
 public:
  explicit Text(std::span<char> buffer) : begin_(buffer.data()), left_(buffer.size() - 1), end_(begin_) {
    *end_ = '\0';
  }
  Text& add(char letter) { return add(&letter, 1); }
  Text& add(const char* text) { return add(text, std::strlen(text)); }
  Text& add(const char* text, std::size_t size) {
    size = std::min(size, left_);
    std::memcpy(end_, text, size);
    end_ += size;
    left_ -= size;
    *end_ = '\0';
    return *this;
  }
  Text& number(std::uint64_t value, unsigned base = 10) {
    std::array<char, 20> digits{};
    std::size_t used = 0;
    do digits[used++] = "0123456789abcdef"[value % base];
    while ((value /= base) > 0);
    while (used > 0) add(digits[--used]);
    return *this;
  }
  [[nodiscard]] const char* begin() const { return begin_; }
  [[nodiscard]] char* begin() { return begin_; }
  [[nodiscard]] std::size_t size() const { return static_cast<std::size_t>(end_ - begin_); }

 private:
  char* begin_;
  std::size_t left_;
  char* end_;
};

}  // namespace prong::launch
