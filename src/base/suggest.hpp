// Did-you-mean: the known word that someone who wrote another one most likely meant.
#pragma once

#include <span>
#include <string_view>

namespace prong {

// The candidate nearest to `word` (insertions, deletions, replacements and swapped neighbours count one each; case and
// the difference of '-' and '_' nothing), if it is so near that it is surely a slip; else empty.
[[nodiscard]] std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace prong
