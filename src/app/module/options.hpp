// The options of a module while it starts: it asks for them by name, and what it does not know, or cannot use, keeps
// the worker from starting. All that is wrong is gathered, so that an operator hears of it at once.
#pragma once

#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "app/module/settings.hpp"

namespace prong::app::module {

class Options {
 public:
  // Borrowed.
  explicit Options(const Settings& settings) : settings_(&settings) {}

  // nullptr: it was not written. Either way it is a name that the module knows.
  [[nodiscard]] const Option* find(std::string_view name);
  // The same for a list.
  [[nodiscard]] const OptionList* find_list(std::string_view name);
  void refuse(std::string_view name, std::string_view why);

  // What refuse() was told, each as `file:line:column: error: what`.
  [[nodiscard]] const std::vector<std::string>& refused() const { return refused_; }
  // What was written and never asked for, in the same form. After a start() that has done all that it does.
  [[nodiscard]] std::vector<std::string> unknown() const;
  // Those of them that were surely meant for another one, which was asked for and not written. After any start().
  [[nodiscard]] std::vector<std::string> misspelt() const;

 private:
  enum class Which : bool { kNear, kAll };  // to one of those that are known
  [[nodiscard]] std::vector<std::string> unknown_beside(const std::vector<std::string_view>& known, Which which) const;
  [[nodiscard]] bool is_written(std::string_view name) const;
  [[nodiscard]] bool is_known_below(const std::string& name) const;

  const Settings* settings_;
  std::unordered_set<std::string> asked_;        // as one value
  std::unordered_set<std::string> lists_asked_;  // as a list
  std::vector<std::string> refused_;
};

}  // namespace prong::app::module
