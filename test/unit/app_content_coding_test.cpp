// Accept-Encoding, RFC 9110 section 12.5.3.
#include <catch2/catch.hpp>

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/content_coding.hpp"
#include "app_request.hpp"

using namespace prong;
using app::Coding;

namespace {

constexpr std::array kAll{Coding::kBrotli, Coding::kZstandard, Coding::kGzip};

// "br zstd identity"
std::string chosen(const std::vector<std::string_view>& values, std::span<const Coding> offered = kAll) {
  test::Fields fields;
  for (const std::string_view value : values) fields.add("Accept-Encoding", value);
  std::string text;
  for (const Coding coding : app::choose_codings(fields.headers(), offered)) {
    if (!text.empty()) text += ' ';
    text += coding == Coding::kIdentity ? "identity" : app::name_of(coding);
  }
  return text;
}

}  // namespace

TEST_CASE("a client that says nothing gets the file as it is") {
  CHECK(chosen({}) == "identity");
  CHECK(chosen({""}) == "identity");
  CHECK(chosen({","}) == "identity");
}

TEST_CASE("of codings that a client likes equally, the first offered comes first") {
  CHECK(chosen({"gzip, deflate, br, zstd"}) == "br zstd gzip identity");
  CHECK(chosen({"gzip", "br"}) == "br gzip identity");
  constexpr std::array kOther{Coding::kGzip, Coding::kBrotli};
  CHECK(chosen({"br, gzip"}, kOther) == "gzip br identity");
  CHECK(chosen({"zstd"}, kOther) == "identity");
  CHECK(chosen({"gzip"}, {}) == "identity");
}

TEST_CASE("what a client likes better comes first") {
  CHECK(chosen({"gzip;q=1.0, br;q=0.5"}) == "gzip br identity");
  CHECK(chosen({"gzip;q=0.001,br;q=0.002"}) == "br gzip identity");
  CHECK(chosen({"gzip ; q=0.5 , BR ; Q=0.6"}) == "br gzip identity");
  CHECK(chosen({"gzip;level=9;q=0.5, br;q=0.4;x=y"}) == "gzip br identity");
  CHECK(chosen({"identity, gzip;q=0.5"}) == "identity gzip");
  CHECK(chosen({"identity;q=0.5, gzip;q=0.5"}) == "gzip identity");
  CHECK(chosen({"x-gzip"}) == "gzip identity");
}

TEST_CASE("a weight of 0 refuses") {
  CHECK(chosen({"gzip;q=0, br"}) == "br identity");
  CHECK(chosen({"gzip;q=0.000"}) == "identity");
  CHECK(chosen({"identity;q=0, gzip"}) == "gzip");
  CHECK(chosen({"identity;q=0"}).empty());
  CHECK(chosen({"*;q=0"}).empty());
  CHECK(chosen({"*;q=0, identity;q=0.1"}) == "identity");
  CHECK(chosen({"*;q=0, gzip"}) == "gzip");
}

TEST_CASE("a star is what nobody speaks of") {
  CHECK(chosen({"*"}) == "br zstd gzip identity");
  CHECK(chosen({"gzip;q=0.5, *"}) == "br zstd gzip identity");
  CHECK(chosen({"*;q=0.5, gzip"}) == "gzip br zstd identity");
  CHECK(chosen({"br;q=0, *;q=0.1"}) == "zstd gzip identity");
}

TEST_CASE("a weight that is none is not wanted") {
  for (const std::string_view weight : {"", "2", "1.5", "1.001", "0.1234", "-1", ".5", "0,5", "0.x", "x", "1x", "00"}) {
    INFO(weight);
    CHECK(chosen({"gzip;q=" + std::string(weight)}).find("gzip") == std::string::npos);
  }
  for (const std::string_view weight : {"1", "1.", "1.000", "0.1", "0.999", "0.001"})
    CHECK(chosen({"gzip;q=" + std::string(weight)}) == "gzip identity");
}
