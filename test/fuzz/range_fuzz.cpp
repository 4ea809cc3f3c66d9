// Range, If-Range and Accept-Encoding from anywhere: no part that is sent is outside the file, and there are not many.
//
// The input: eight bytes that are the size of the file, the rest is the value of the field.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "app/content_coding.hpp"
#include "app/range.hpp"
#include "app_request.hpp"

namespace {

using namespace prong;

void require(bool holds, const char* what) {
  if (holds) return;
  (void)std::fprintf(stderr, "violated: %s\n", what);
  std::abort();
}

void check_ranges(std::string_view value, std::uint64_t size) {
  const app::RangeSet ranges = app::parse_range(value, size);
  const bool has_parts = ranges.verdict() == app::RangeSet::Verdict::kParts;
  require(has_parts == (ranges.size() > 0), "parts are there when they are promised");
  require(ranges.size() <= app::RangeSet::kMost, "there are not many parts");
  require(size > 0 || ranges.verdict() == app::RangeSet::Verdict::kWhole, "an empty file is always whole");
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    const app::ByteRange& range = ranges[i];
    require(range.size > 0 && range.first < size && range.size <= size - range.first, "a part lies in the file");
    sum += range.size;
    for (std::size_t j = 0; j < i; ++j)
      require(range.first + range.size < ranges[j].first || ranges[j].first + ranges[j].size < range.first,
              "parts neither overlap nor touch");
  }
  require(sum <= size, "all parts together are not more than the file");
}

void check_codings(std::string_view value) {
  constexpr std::array kOffered{app::Coding::kGzip, app::Coding::kBrotli, app::Coding::kZstandard};
  test::Fields fields;
  fields.add("Accept-Encoding", value);
  const app::CodingChoice choice = app::choose_codings(fields.headers(), kOffered);
  require(choice.size() <= app::kCodings, "no more codings than there are");
  std::array<bool, app::kCodings> seen{};
  for (const app::Coding coding : choice) {
    bool& before = seen.at(static_cast<std::size_t>(coding));
    require(!before, "each coding once");
    before = true;
  }
  require(seen[0] || value.contains('0') || value.contains('q') || value.contains('Q'),
          "identity is only left out by who refuses it");
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer looks for this name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 8) return 0;
  std::uint64_t file_size = 0;
  for (std::size_t i = 0; i < 8; ++i) file_size = file_size << 8U | data[i];
  const std::string_view value(reinterpret_cast<const char*>(data + 8), size - 8);
  constexpr std::uint64_t kMostFile = std::uint64_t{1} << 63U;  // off_t has no more
  check_ranges(value, std::min(file_size, kMostFile));
  check_ranges(value, file_size & 0xFFU);
  check_codings(value);
  return 0;
}
