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
  lists_asked_.emplace(name);
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

// An empty table is known by the names that it might have had. (Of an empty list nobody asks for entries.)
bool Options::is_known_below(const std::string& name) const {
  const auto is_below = [&](const std::string& asked) {
    return asked.starts_with(name) && asked.size() > name.size() &&
           (asked[name.size()] == '.' || asked[name.size()] == '[');
  };
  return std::ranges::any_of(asked_, is_below) || std::ranges::any_of(lists_asked_, is_below);
}

std::vector<std::string> Options::unknown() const {
  std::vector<std::string_view> known(asked_.begin(), asked_.end());
  known.insert(known.end(), lists_asked_.begin(), lists_asked_.end());
  return unknown_beside(known, Which::kAll);
}

std::vector<std::string> Options::misspelt() const {
  std::vector<std::string_view> missed;
  for (const auto* asked : {&asked_, &lists_asked_})
    for (const std::string& name : *asked)
      if (!is_written(name)) missed.emplace_back(name);
  return unknown_beside(missed, Which::kNear);
}

bool Options::is_written(std::string_view name) const {
  return std::ranges::find(settings_->options, name, &Option::name) != settings_->options.end() ||
         std::ranges::find(settings_->lists, name, &OptionList::name) != settings_->lists.end();
}

std::vector<std::string> Options::unknown_beside(const std::vector<std::string_view>& known, Which which) const {
  std::vector<std::string> problems;
  const auto complain = [&](const std::string& name, const Place& place) {
    const std::string_view meant = nearest(name, known);
    if (which == Which::kNear && meant.empty()) return;
    // Known, but as something else.
    if (lists_asked_.contains(name))
      problems.push_back(fmt::format("{}error: the option \"{}\" has to be a list", at(place), escaped(name)));
    else if (asked_.contains(name))
      problems.push_back(fmt::format("{}error: the option \"{}\" has to be one value", at(place), escaped(name)));
    else
      problems.push_back(fmt::format("{}error: the module knows no option \"{}\"{}", at(place), escaped(name),
                                     meant.empty() ? "" : fmt::format("; did you mean \"{}\"?", escaped(meant))));
  };
  for (const Option& option : settings_->options)
    if (!asked_.contains(option.name)) complain(option.name, option.place);
  for (const OptionList& list : settings_->lists) {
    const bool is_known = list.is_table ? is_known_below(list.name) : lists_asked_.contains(list.name);
    if (list.size == 0 && !is_known) complain(list.name, list.place);
  }
  return problems;
}

}  // namespace prong::app::module
