// Characters, errors, escaping, names of enums, did-you-mean.
#include <catch2/catch.hpp>

#include <array>
#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/characters.hpp"
#include "base/enum_text.hpp"
#include "base/error.hpp"
#include "base/escape.hpp"
#include "base/suggest.hpp"

namespace prong {
namespace {

using namespace std::string_view_literals;

enum class Fruit : std::uint8_t { kApple, kPear, kQuince };
constexpr EnumText<Fruit, 2> kFruitText{{{{Fruit::kApple, "apple"}, {Fruit::kPear, "pear"}}}};
static_assert(kFruitText.text(Fruit::kPear) == "pear");

Result<int> failing() {
  return failure("cannot do it", "do something else");
}

}  // namespace

TEST_CASE("an error's text is message and hint") {
  CHECK(Error{.message = "cannot bind", .hint = {}}.text() == "cannot bind");
  CHECK(Error{.message = "cannot bind", .hint = "use another port"}.text() == "cannot bind; use another port");
}

TEST_CASE("a failed system call says action, reason, number and hint") {
  const Error error = system_error("cannot open \"/x\"", ENOENT, "make it");
  CHECK(error.message == "cannot open \"/x\": No such file or directory");
  CHECK(error.error_number == ENOENT);
  CHECK(error.hint == "make it");
  CHECK(system_error("cannot fork", EAGAIN).hint.empty());
}

TEST_CASE("errno values have the C library's text, unknown ones their number") {
  CHECK(errno_text(EACCES) == "Permission denied");
  CHECK(errno_text(98765) == "error 98765");
}

TEST_CASE("context goes before the message; number and hint stay") {
  const std::unexpected<Error> passed = failure("cannot start", system_error("cannot open \"/x\"", EACCES, "chmod"));
  CHECK(passed.error().message == "cannot start: cannot open \"/x\": Permission denied");
  CHECK(passed.error().error_number == EACCES);
  CHECK(passed.error().hint == "chmod");
}

TEST_CASE("a failure of one's own has no errno") {
  const Result<int> result = failing();
  REQUIRE_FALSE(result.has_value());
  CHECK(result.error().message == "cannot do it");
  CHECK(result.error().hint == "do something else");
  CHECK(result.error().error_number == 0);
  const Result<int> same = failure(result.error());
  CHECK(same.error().message == "cannot do it");
}

TEST_CASE("printable ASCII stays as it is") {
  std::string printable;
  for (char c = ' '; c <= '~'; ++c)
    if (c != '"' && c != '\\') printable += c;
  CHECK(escaped(printable) == printable);
  CHECK(escaped("").empty());
}

TEST_CASE("every other byte is escaped, so that no client can forge a line or move a cursor") {
  CHECK(escaped("a\"b\\c") == R"(a\"b\\c)");
  CHECK(escaped("\r\n\t") == R"(\r\n\t)");
  CHECK(escaped("\x1b[31m") == R"(\x1b[31m)");
  CHECK(escaped("\0\x7f"sv) == R"(\x00\x7f)");
  CHECK(escaped("\xc3\xa9\xff") == R"(\xc3\xa9\xff)");
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text = escaped(std::string(1, static_cast<char>(byte)));
    for (const char c : text)
      if (c < ' ' || c > '~') FAIL("byte " << byte);
  }
}

TEST_CASE("a long text is cut and says so; the limit counts bytes before they are escaped") {
  CHECK(escaped("abcdef", 3) == "abc...");
  CHECK(escaped("abc", 3) == "abc");
  CHECK(escaped("\n\n\n", 2) == R"(\n\n...)");
  CHECK(escaped("abc", 0) == "...");
  CHECK(escaped(std::string(1000, 'x')) == std::string(256, 'x') + "...");
}

TEST_CASE("an enum's value has one text, and the text finds the value") {
  CHECK(kFruitText.text(Fruit::kApple) == "apple");
  CHECK(kFruitText.value("pear") == Fruit::kPear);
  CHECK_FALSE(kFruitText.value("Pear").has_value());
  CHECK_FALSE(kFruitText.value("").has_value());
}

TEST_CASE("a value that is not in the table has a text all the same") {
  CHECK(kFruitText.text(Fruit::kQuince) == "?");
  CHECK(kFruitText.text(static_cast<Fruit>(77)) == "?");
}

TEST_CASE("a slip is told from another word") {
  constexpr std::array<std::string_view, 6> kWords{"workers", "listen", "user", "umask", "static", "max_connections"};
  struct Case {
    std::string_view written;
    std::string_view meant;
  };
  const auto c = GENERATE(values<Case>({{"worker", "workers"},
                                        {"wrokers", "workers"},
                                        {"Workers", "workers"},
                                        {"lsiten", "listen"},
                                        {"uesr", "user"},
                                        {"max-connections", "max_connections"},
                                        {"maxconnections", "max_connections"},
                                        {"statics", "static"},
                                        {"threads", ""},
                                        {"root", ""},
                                        {"", ""},
                                        {"x", ""}}));
  CAPTURE(c.written);
  CHECK(nearest(c.written, kWords) == c.meant);
  CHECK(nearest(std::string(100'000, 'x'), kWords).empty());
}

TEST_CASE("a byte is told by what it is in ASCII, those above included") {
  const auto sorted = [](auto belongs) {
    std::string all;
    for (int byte = 0; byte < 256; ++byte)
      if (belongs(static_cast<char>(byte))) all += static_cast<char>(byte);
    return all;
  };
  constexpr auto kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"sv;
  CHECK(sorted(is_digit) == "0123456789");
  CHECK(sorted(is_letter) == kLetters);
  CHECK(sorted([](char byte) { return hex_value(byte).has_value(); }) == "0123456789ABCDEFabcdef");
  CHECK(hex_value('9') == 9U);
  CHECK(hex_value('a') == 10U);
  CHECK(hex_value('F') == 15U);
  // RFC 9110 section 5.6.2.
  CHECK(sorted([](char byte) { return is_token({&byte, 1}); }) ==
        "!#$%&'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz|~");
  CHECK_FALSE(is_token(""));
  CHECK_FALSE(is_token("Content Type"));
  const std::string controls = sorted([](char byte) { return has_control({&byte, 1}); });
  CHECK(controls.size() == 32);  // 0x00 to 0x1f but for the tab, and 0x7f
  CHECK_FALSE(has_control("a\tb\x80\xff"));
  CHECK(has_control("a\x7f"));
}

}  // namespace prong
