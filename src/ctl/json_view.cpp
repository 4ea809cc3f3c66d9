#include "ctl/json_view.hpp"

#include <fmt/format.h>

namespace prong::ctl {

const Json& member(const Json& object, const char* name) {
  static const Json nothing;
  if (!object.is_object()) return nothing;
  const auto found = object.find(name);
  return found == object.end() ? nothing : *found;
}

std::string text_of(const Json& object, const char* name) {
  const auto* const text = member(object, name).get_ptr<const Json::string_t*>();
  return text != nullptr ? *text : std::string{};
}

bool is_set(const Json& object, const char* name) {
  const auto* const flag = member(object, name).get_ptr<const Json::boolean_t*>();
  return flag != nullptr && *flag;
}

double number_of(const Json& object, const char* name) {
  const Json& value = member(object, name);
  return value.is_number() ? value.get<double>() : 0;
}

std::string count_of(const Json& object, const char* name) {
  return member(object, name).is_number() ? fmt::format("{:.0f}", number_of(object, name)) : std::string{};
}

std::vector<const Json*> entries(const Json& object, const char* name) {
  std::vector<const Json*> found;
  const Json& list = member(object, name);
  if (!list.is_array()) return found;
  for (const Json& entry : list) found.push_back(&entry);
  return found;
}

}  // namespace prong::ctl
