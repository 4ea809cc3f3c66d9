#include "app/module/options.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/escape.hpp"
#include "base/suggest.hpp"

namespace prong::app::module {
namespace {

constexpr std::size_t kMostReason = 1'000;

std::string at(const Place& place) {
  if (place.line == 0) return place.file.empty() ? std::string() : place.file + ": ";
  return fmt::format("{}:{}:{}: ", place.file, place.line, place.column);
}

}  // namespace

const Option* Options::find(std::string_view name) {
  asked_.emplace(name);
  const auto found = std::ranges::find(settings_->options, name, &Option::name);
  return found == settings_->options.end() ? nullptr : &*found;
}

const OptionList* Options::find_list(std::string_view name) {
  asked_.emplace(name);
  const auto found = std::ranges::find(settings_->lists, name, &OptionList::name);
  return found == settings_->lists.end() || found->is_table ? nullptr : &*found;
}

void Options::refuse(std::string_view name, std::string_view why) {
  const auto option = std::ranges::find(settings_->options, name, &Option::name);
  const auto list = std::ranges::find(settings_->lists, name, &OptionList::name);
  std::string place;
  if (option != settings_->options.end())
    place = at(option->place);
  else if (list != settings_->lists.end())
    place = at(list->place);
  refused_.push_back(
      fmt::format("{}error: the option \"{}\" {}", place, escaped(name), escaped(why, kMostReason, Quotes::kKeep)));
}

// An entry of a list is known by its own name alone: a module that never asks for one uses nothing of it.
bool Options::is_known(std::string_view name) const {
  return asked_.contains(std::string(name));
}

// What has no entries is known also by those that it might have had.
bool Options::is_known_below(const std::string& name) const {
  return std::ranges::any_of(asked_, [&](const std::string& asked) {
    return asked.starts_with(name) &&
           (asked.size() == name.size() || asked[name.size()] == '.' || asked[name.size()] == '[');
  });
}

std::vector<std::string> Options::unknown() const {
  std::vector<std::string> problems;
  const std::vector<std::string_view> known(asked_.begin(), asked_.end());
  const auto complain = [&](const std::string& name, const Place& place) {
    const std::string_view meant = nearest(name, known);
    problems.push_back(fmt::format("{}error: the module knows no option \"{}\"{}", at(place), escaped(name),
                                   meant.empty() ? "" : fmt::format("; did you mean \"{}\"?", escaped(meant))));
  };
  for (const Option& option : settings_->options)
    if (!is_known(option.name)) complain(option.name, option.place);
  for (const OptionList& list : settings_->lists)
    if (list.size == 0 && !is_known_below(list.name)) complain(list.name, list.place);
  return problems;
}

}  // namespace prong::app::module
