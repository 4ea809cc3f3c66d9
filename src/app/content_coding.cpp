#include "app/content_coding.hpp"

#include <algorithm>
#include <optional>

namespace prong::app {
namespace {

constexpr std::string_view kSpace = " \t";

// A weight in thousandths: the RFC allows three decimals.
using Weight = std::uint16_t;
constexpr Weight kMostWeight = 1000;

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

// RFC 9110 section 12.4.2: "0.5". What is none counts as 0, so that it is not preferred to what is clear.
Weight parse_weight(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return 0;
  if (text.size() > 1 && text[1] != '.') return 0;
  Weight weight = text[0] == '1' ? kMostWeight : 0;
  Weight unit = kMostWeight / 10;
  for (const char digit : text.substr(std::min<std::size_t>(2, text.size()))) {
    if (digit < '0' || digit > '9') return 0;
    weight = static_cast<Weight>(weight + (digit - '0') * unit);
    unit /= 10;
  }
  return weight > kMostWeight ? Weight{0} : weight;
}

// Of the parameters behind a coding only the weight has a meaning.
Weight weight_of(std::string_view parameters) {
  while (!parameters.empty()) {
    const std::string_view parameter = trimmed(parameters.substr(0, parameters.find(';')));
    parameters.remove_prefix(std::min(parameters.find(';'), parameters.size() - 1) + 1);
    if (parameter.size() >= 2 && (parameter[0] == 'q' || parameter[0] == 'Q') && parameter[1] == '=')
      return parse_weight(parameter.substr(2));
  }
  return kMostWeight;
}

std::optional<Coding> coding_named(std::string_view name) {
  for (const Coding coding : {Coding::kBrotli, Coding::kZstandard, Coding::kGzip})
    if (http::equals_ignoring_case(name, name_of(coding))) return coding;
  if (http::equals_ignoring_case(name, "identity")) return Coding::kIdentity;
  if (http::equals_ignoring_case(name, "x-gzip")) return Coding::kGzip;  // RFC 9110 section 8.4.1.3
  return std::nullopt;
}

// What a request's Accept-Encoding says.
class Wishes {
 public:
  explicit Wishes(const http::RequestHeaders& headers) {
    for (std::size_t i = 0; i < headers.size(); ++i)
      if (const http::Header header = headers[i]; http::equals_ignoring_case(header.name, "Accept-Encoding"))
        read(header.value);
  }

  [[nodiscard]] Weight of(Coding coding) const {
    if (const auto weight = weights_[static_cast<std::size_t>(coding)]) return *weight;
    // What nobody speaks of: identity is always good unless "*" refuses it, all else only if "*" wants it.
    if (coding == Coding::kIdentity) return others_ == Weight{0} ? Weight{0} : Weight{1};
    return others_.value_or(0);
  }

 private:
  void read(std::string_view list) {
    while (!list.empty()) {
      const std::size_t comma = std::min(list.find(','), list.size());
      const std::string_view entry = list.substr(0, comma);
      list.remove_prefix(std::min(comma + 1, list.size()));
      const std::size_t semicolon = std::min(entry.find(';'), entry.size());
      const std::string_view name = trimmed(entry.substr(0, semicolon));
      const Weight weight = weight_of(entry.substr(std::min(semicolon + 1, entry.size())));
      if (name == "*")
        others_ = weight;
      else if (const auto coding = coding_named(name))
        weights_[static_cast<std::size_t>(*coding)] = weight;
    }
  }

  std::array<std::optional<Weight>, kCodings> weights_{};
  std::optional<Weight> others_{};  // of "*"
};

}  // namespace

std::string_view name_of(Coding coding) {
  switch (coding) {
    case Coding::kBrotli:
      return "br";
    case Coding::kZstandard:
      return "zstd";
    case Coding::kGzip:
      return "gzip";
    case Coding::kIdentity:
      break;
  }
  return {};
}

std::string_view suffix_of(Coding coding) {
  switch (coding) {
    case Coding::kBrotli:
      return ".br";
    case Coding::kZstandard:
      return ".zst";
    case Coding::kGzip:
      return ".gz";
    case Coding::kIdentity:
      break;
  }
  return {};
}

CodingChoice choose_codings(const http::RequestHeaders& headers, std::span<const Coding> offered) {
  const Wishes wishes(headers);
  std::array<Coding, kCodings> wanted{};
  std::size_t size = 0;
  const auto take_if_wanted = [&](Coding coding) {
    if (wishes.of(coding) > 0) wanted[size++] = coding;
  };
  std::ranges::for_each(offered, take_if_wanted);
  take_if_wanted(Coding::kIdentity);
  // Insertion keeps equals in their order; there are four at most.
  for (std::size_t i = 1; i < size; ++i)
    for (std::size_t j = i; j > 0 && wishes.of(wanted[j - 1]) < wishes.of(wanted[j]); --j)
      std::swap(wanted[j - 1], wanted[j]);
  CodingChoice choice;
  for (std::size_t i = 0; i < size; ++i) choice.append(wanted[i]);
  return choice;
}

}  // namespace prong::app
