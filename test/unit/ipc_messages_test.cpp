// Messages as bytes: what is sent arrives, and what is no message is told so, whatever it is.
#include <catch2/catch.hpp>

#include <cstddef>
#include <limits>
#include <set>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "ipc/messages.hpp"
#include "walk.hpp"

namespace prong::ipc {
namespace {

using namespace std::chrono_literals;
using Bytes = std::vector<std::byte>;

const std::vector<Message>& all_messages() {
  static const std::vector<Message> messages{
      Ready{},
      StartFailed{.reason = "cannot open directory \"/srv\""},
      StartFailed{},
      Retiring{.reason = std::string{"with\0NUL\xff", 9}},
      Stuck{.reason = "GET / overran"},
      WantsToRetire{.reason = "10012 requests served"},
      ReloadWanted{.reason = "shop/wsgi.py changed"},
      LetGo{},
      Serve{},
      Stop{},
      Stop{.grace = 30s, .idle_grace = 2s, .serve_backlog = 0x8000'0000'0000'0001},
      Stop{.grace = Duration::max(), .idle_grace = Duration{1}, .serve_backlog = ~std::uint64_t{0}},
      LogReopened{},
      AccessLogReopened{},
      LogLevelChanged{.level = 3},
      Taken{.address = "2001:db8::1"},
      Taken{},
      Executing{},
      Hold{},
      Proceed{.allowed = true},
      Proceed{.allowed = false}};
  return messages;
}

std::span<const std::byte> first(const Bytes& bytes, std::size_t size) {
  return std::span{bytes}.first(size);
}

}  // namespace

TEST_CASE("every message arrives as it was sent") {
  for (const Message& message : all_messages()) {
    INFO("message " << message.index());
    const auto decoded = decode(encode(message));
    REQUIRE(decoded.has_value());
    CHECK(*decoded == message);
  }
}

TEST_CASE("every message there is stands in the list of this test, and has a tag of its own") {
  std::set<std::size_t> messages;
  std::set<std::byte> tags;
  for (const Message& message : all_messages()) {
    messages.insert(message.index());
    tags.insert(encode(message)[1]);
  }
  CHECK(messages.size() == std::variant_size_v<Message>);
  CHECK(tags.size() == std::variant_size_v<Message>);
}

TEST_CASE("every message fits a packet") {
  for (const Message& message : all_messages()) CHECK(encode(message).size() <= kLargestPacket);
  CHECK(encode(StartFailed{.reason = std::string(1'000'000, 'x')}).size() <= kLargestPacket);
}

TEST_CASE("a text that is too long is cut, not refused") {
  for (const std::size_t size : {kLargestText - 1, kLargestText, kLargestText + 1, 10 * kLargestText}) {
    const std::string text(size, 'x');
    const auto failed = decode(encode(StartFailed{.reason = text}));
    REQUIRE(failed.has_value());
    CHECK(std::get<StartFailed>(*failed).reason == text.substr(0, kLargestText));
    const auto retiring = decode(encode(Retiring{.reason = text}));
    REQUIRE(retiring.has_value());
    CHECK(std::get<Retiring>(*retiring).reason.size() == std::min(size, kLargestText));
  }
}

TEST_CASE("a message without a text is refused when it is cut or has more bytes than it should") {
  for (const Message& message :
       {Message{Ready{}}, Message{LetGo{}}, Message{Serve{}}, Message{Stop{.grace = 1s}}, Message{LogReopened{}},
        Message{AccessLogReopened{}}, Message{Executing{}}, Message{Hold{}}, Message{Proceed{}}}) {
    INFO("message " << message.index());
    Bytes bytes = encode(message);
    for (std::size_t size = 0; size < bytes.size(); ++size) CHECK_FALSE(decode(first(bytes, size)).has_value());
    bytes.push_back(std::byte{0});
    CHECK_FALSE(decode(bytes).has_value());
  }
}

TEST_CASE("a message with a text is refused without its head; cut later, its text is shorter") {
  const Bytes bytes = encode(StartFailed{.reason = "abc"});
  CHECK_FALSE(decode(first(bytes, 0)).has_value());
  CHECK_FALSE(decode(first(bytes, 1)).has_value());
  for (std::size_t size = 2; size < bytes.size(); ++size)
    CHECK(decode(first(bytes, size)) == Message{StartFailed{.reason = std::string{"abc"}.substr(0, size - 2)}});
}

TEST_CASE("an unknown tag is refused, and so is another version") {
  Bytes bytes = encode(Ready{});
  const std::byte version = bytes[0];
  for (unsigned other = 0; other < 256; ++other) {
    if (std::byte(other) == version) continue;
    bytes[0] = std::byte(other);
    CHECK_FALSE(decode(bytes).has_value());
  }
  bytes[0] = version;
  std::set<std::byte> known;
  for (const Message& message : all_messages()) known.insert(encode(message)[1]);
  for (unsigned tag = 0; tag < 256; ++tag) {
    bytes[1] = std::byte(tag);
    if (!known.contains(bytes[1])) CHECK_FALSE(decode(bytes).has_value());
  }
}

TEST_CASE("a yes or no is nothing else than 0 or 1") {
  Bytes bytes = encode(Proceed{.allowed = true});
  for (unsigned value = 0; value < 256; ++value) {
    bytes[2] = std::byte(value);
    CHECK(decode(bytes).has_value() == (value < 2));
  }
  bytes[2] = std::byte{1};
  bytes[9] = std::byte{1};
  CHECK_FALSE(decode(bytes).has_value());
}

TEST_CASE("whatever bytes arrive, they are refused or are a message that encodes to the same bytes") {
  auto random = test::chance(20'261'123);
  const Bytes head = encode(Ready{});
  std::size_t understood = 0;
  for (int i = 0; i < 50'000; ++i) {
    Bytes bytes(random() % 64);
    for (std::byte& byte : bytes) byte = std::byte(random() & 0xFFU);
    // Half of them begin well enough to get past the version.
    if (i % 2 == 0 && bytes.size() >= 2) {
      bytes[0] = head[0];
      bytes[1] = std::byte(random() % 16);
    }
    const auto message = decode(bytes);
    if (!message) continue;
    ++understood;
    if (encode(*message) != bytes) FAIL("not the same bytes");
  }
  CHECK(understood > 1'000);
}

}  // namespace prong::ipc
