// Conditional requests, RFC 9110 section 13.
#include <catch2/catch.hpp>

#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "app/conditional.hpp"

using namespace prong;

namespace {

constexpr std::string_view kEtag = R"("abc")";
constexpr std::time_t kModified = 784111777;  // Sun, 06 Nov 1994 08:49:37 GMT
constexpr std::time_t kNow = 1'800'000'000;

std::uint16_t check(const std::vector<std::pair<std::string_view, std::string_view>>& fields) {
  std::string head;
  std::vector<http::HeaderPosition> positions;
  for (const auto& [name, value] : fields) {
    const auto at = static_cast<std::uint32_t>(head.size());
    const auto name_size = static_cast<std::uint32_t>(name.size());
    positions.push_back({.name_offset = at,
                         .name_size = name_size,
                         .value_offset = at + name_size,
                         .value_size = static_cast<std::uint32_t>(value.size())});
    head += name;
    head += value;
  }
  return app::check_conditions(http::RequestHeaders(head, positions), {.etag = kEtag, .modified = kModified}, kNow);
}

}  // namespace

TEST_CASE("a request without conditions is answered") {
  CHECK(check({{"Host", "h"}}) == 0);
}

TEST_CASE("If-None-Match is 304 when one of its tags is the file's, weak or strong") {
  for (const char* value :
       {R"("abc")", R"(W/"abc")", "*", R"("x", "abc")", R"("x","abc")", R"(W/"x" , W/"abc")", R"(,,"abc")"})
    CHECK(check({{"if-none-match", value}}) == 304);
  for (const char* value :
       {"", R"("x")", "abc", R"("abc)", R"("abcd")", R"("x" abc)", R"("ABC")", R"(w/"abc")", R"("")"})
    CHECK(check({{"If-None-Match", value}}) == 0);
  CHECK(check({{"If-None-Match", R"("x")"}, {"If-None-Match", R"("abc")"}}) == 304);
}

TEST_CASE("If-Modified-Since is 304 when the file is not newer") {
  CHECK(check({{"If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"}}) == 304);
  CHECK(check({{"If-Modified-Since", "Sun, 06 Nov 1994 08:49:38 GMT"}}) == 304);
  CHECK(check({{"If-Modified-Since", "Sun, 06 Nov 1994 08:49:36 GMT"}}) == 0);
  CHECK(check({{"If-Modified-Since", "Sunday, 06-Nov-94 08:49:37 GMT"}}) == 304);
  CHECK(check({{"If-Modified-Since", "Sun Nov  6 08:49:37 1994"}}) == 304);
  CHECK(check({{"If-Modified-Since", "yesterday"}}) == 0);
}

TEST_CASE("If-None-Match outranks If-Modified-Since") {
  CHECK(check({{"If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"}, {"If-None-Match", R"("x")"}}) == 0);
  CHECK(check({{"If-Modified-Since", "Sun, 06 Nov 1994 08:49:36 GMT"}, {"If-None-Match", R"("abc")"}}) == 304);
}

TEST_CASE("If-Match and If-Unmodified-Since are 412 when the file is another") {
  CHECK(check({{"If-Match", R"("abc")"}}) == 0);
  CHECK(check({{"If-Match", "*"}}) == 0);
  CHECK(check({{"If-Match", R"("x")"}}) == 412);
  CHECK(check({{"If-Match", R"(W/"abc")"}}) == 412);
  CHECK(check({{"If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"}}) == 0);
  CHECK(check({{"If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:36 GMT"}}) == 412);
  CHECK(check({{"If-Match", R"("abc")"}, {"If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:36 GMT"}}) == 0);
  CHECK(check({{"If-Match", R"("abc")"}, {"If-None-Match", R"("abc")"}}) == 304);
}
