// The codes of the log: numbers, texts, and how they are looked up. That each is used stands in test/messages.py.
#include <catch2/catch.hpp>

#include <algorithm>
#include <ranges>
#include <string>
#include <vector>

#include "base/message_code.hpp"

namespace prong {
namespace {

std::uint16_t number(const Message& message) {
  return static_cast<std::uint16_t>(message.code);
}

bool is_sentence(std::string_view text) {
  return text.size() > 10 && text.ends_with('.') && !text.contains("  ") && !text.contains('\n') &&
         (text.front() == '`' || std::string_view{"ABCDEFGHIJKLMNOPQRSTUVWXYZ"}.contains(text.front()));
}

}  // namespace

TEST_CASE("no two messages have one number, and none has a retired one") {
  std::vector<std::uint16_t> numbers;
  for (const Message& message : all_messages()) numbers.push_back(number(message));
  CHECK(numbers.size() > 50);
  CHECK(std::ranges::is_sorted(numbers));
  CHECK(std::ranges::adjacent_find(numbers) == numbers.end());
  for (const std::uint16_t retired : kRetiredMessageCodes) {
    CAPTURE(retired);
    CHECK(std::ranges::find(numbers, retired) == numbers.end());
  }
}

TEST_CASE("every message says what it is, its cause, its effect and what to do") {
  for (const Message& message : all_messages()) {
    CAPTURE(to_text(message.code));
    CHECK(message.summary.size() > 10);
    CHECK_FALSE(message.summary.ends_with('.'));
    CHECK(is_sentence(message.cause));
    CHECK(is_sentence(message.effect));
    CHECK(is_sentence(message.action));
    CHECK_FALSE(topic_of(message.code).empty());
  }
}

TEST_CASE("a code is written with four digits") {
  CHECK(to_text(MessageCode::kCannotStart) == "PR0101");
  CHECK(to_text(MessageCode{7}) == "PR0007");
}

TEST_CASE("a code is found however people write it") {
  for (const char* written : {"PR0101", "pr0101", "Pr0101", "0101", "101", "PR101"}) {
    CAPTURE(written);
    const auto found = find_message(written);
    REQUIRE(found.has_value());
    CHECK(found->code == MessageCode::kCannotStart);
  }
  for (const char* written :
       {"", "PR", "PR0000", "PR9999", "99999", "PR0101x", " 101", "[PR0101]", "-101", "PRPR0101"}) {
    CAPTURE(written);
    CHECK_FALSE(find_message(written).has_value());
  }
}

TEST_CASE("the page has a heading for every code and nothing twice") {
  const std::string page = messages_markdown();
  for (const Message& message : all_messages()) {
    const std::string heading = "\n### " + to_text(message.code) + "\n";
    CAPTURE(heading);
    const std::size_t at = page.find(heading);
    REQUIRE(at != std::string::npos);
    CHECK(page.find(heading, at + 1) == std::string::npos);
    CHECK(page.find(message.action, at) != std::string::npos);
  }
}

TEST_CASE("codes that a text points to exist") {
  const std::string page = messages_markdown();
  for (std::size_t at = page.find("PR0"); at != std::string::npos; at = page.find("PR0", at + 1)) {
    CAPTURE(page.substr(at, 6));
    CHECK(find_message(page.substr(at, 6)).has_value());
  }
}

}  // namespace prong
