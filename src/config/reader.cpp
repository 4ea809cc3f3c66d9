#include "config/reader.hpp"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <exception>
#include <optional>
#include <utility>

#include "base/escape.hpp"
#include "base/suggest.hpp"
#include "config/files.hpp"
#include "config/nesting.hpp"
#include "config/reader_nodes.hpp"
#include "config/reader_options.hpp"
#include "config/schema.hpp"
#include "os/execute.hpp"

namespace prong::config {
namespace {

std::string joined(const std::string& prefix, std::string_view name) {
  return prefix.empty() ? escaped(name) : fmt::format("{}.{}", prefix, escaped(name));
}

// Where a key is at home: "pool.NAME.static"; empty when no section has it.
std::string home_of(std::string_view name, const Section& section, const std::string& prefix) {
  for (const Key& key : section.keys) {
    if (key.section == nullptr) continue;
    std::string inner = joined(prefix, key.name);
    if (key.access.kind == Kind::kPools) inner += ".NAME";
    if (key.section->find(name) != nullptr) return inner;
    std::string home = home_of(name, *key.section, inner);
    if (!home.empty()) return home;
  }
  return {};
}

std::string list_of_keys(const Section& section) {
  std::string text;
  for (const Key& key : section.keys) text += fmt::format("{}{}", text.empty() ? "" : ", ", key.name);
  return text;
}

// Removes what would break a line of the log from a message of the parser, which quotes the file.
std::string one_line(std::string_view text) {
  std::string result{text};
  std::ranges::replace_if(result, [](char c) { return c >= 0 && c < ' '; }, ' ');
  return result;
}

struct Include {
  std::string pattern;
  Position position;
};

class Reader {
 public:
  void read_main_file(const std::string& path) {
    auto text = read_whole_file(path);
    if (!text) {
      unreadable(path, {.file = path}, text.error());
      return;
    }
    if (!read_source(*text, path)) return;
    may_include_ = false;
    const std::vector<Include> includes = std::exchange(includes_, {});
    for (const Include& include : includes) read_matching(include);
  }

  void read_text(std::string_view text, const std::string& name) {
    may_include_ = false;
    (void)read_source(text, name);  // its diagnostics say the rest
  }

  Loaded finish() {
    if (config_ != nullptr) {
      if (!pool_seen_ && !syntax_error_)
        complain(
            {.file = config_->sources.front()}, "no [pool.NAME] table",
            R"(a pool needs listen and static, such as: [pool.site] listen = ["127.0.0.1:8080"] static = { root = )"
            R"("/var/www/html" })");
      sort_diagnostics(diagnostics_, config_->sources);
      choose_for_applications();
    }
    return {.config = std::move(config_), .diagnostics = std::move(diagnostics_)};
  }

 private:
  // What an application is made for, when nobody says it.
  void choose_for_applications() {
    for (PoolConfig& pool : config_->pools) {
      const auto says = [&](const char* key) {
        return config_->position_of("pool." + pool.name + "." + key) != nullptr;
      };
      if (std::holds_alternative<WsgiConfig>(pool.app) && !says("concurrency")) pool.concurrency = Concurrency::kThread;
      if (std::holds_alternative<StatusConfig>(pool.app) && !says("workers")) pool.workers = 1;
    }
  }

  void complain(Position position, std::string message, std::string hint = {}) {
    diagnostics_.push_back({.position = std::move(position), .message = std::move(message), .hint = std::move(hint)});
  }

  void unreadable(const std::string& path, Position position, const Error& error) {
    complain(std::move(position), fmt::format("cannot read {}: {}", in_quotes(path), error.message), error.hint);
  }

  [[nodiscard]] Position at(const toml::source_region& region) const {
    return {.file = file_, .line = region.begin.line, .column = region.begin.column};
  }

  [[nodiscard]] Position at(const toml::key& key, const toml::node& node) const { return at(source_of(key, node)); }

  // False: a syntax error, nothing is known of the file.
  bool read_source(std::string_view text, const std::string& name) {
    file_ = name;
    folder_ = folder_of(name);
    const std::optional<toml::table> table = parse(text);
    if (!table) {
      syntax_error_ = true;
      if (config_ != nullptr) config_->sources.push_back(name);
      return false;
    }
    if (config_ == nullptr) config_ = std::make_shared<Config>();
    config_->sources.push_back(name);
    for (auto&& [key, node] : *table) read_entry(root_section(), config_.get(), key, node, {});
    return true;
  }

  // The border where toml++'s exceptions end.
  std::optional<toml::table> parse(std::string_view text) {
    if (const auto deep = too_deep(text)) {
      complain({.file = file_, .line = static_cast<std::uint32_t>(deep->line), .column = 1}, "nested too deeply",
               fmt::format("at most {} dots in a key and {} open brackets", kMostDots, kMostBrackets));
      return std::nullopt;
    }
    try {
      return toml::parse(text);
    } catch (const toml::parse_error& error) {
      complain(at(error.source()), "not TOML: " + one_line(error.description()));
    } catch (const std::exception& error) {
      complain({.file = file_}, fmt::format("cannot parse the file: {}", one_line(error.what())));
    }
    return std::nullopt;
  }

  void read_matching(const Include& include) {
    const std::string pattern = absolute_path(include.pattern, folder_of(config_->sources.front()));
    auto paths = matching_files(pattern);
    if (!paths) {
      unreadable(pattern, include.position, paths.error());
      return;
    }
    for (const std::string& path : *paths) {
      // A file that two patterns match, or the main file itself, is read once.
      const std::string main = absolute_path(config_->sources.front(), os::working_directory());
      if (path == main || std::ranges::find(config_->sources, path) != config_->sources.end()) continue;
      auto text = read_whole_file(path);
      if (text)
        (void)read_source(*text, path);  // its diagnostics say the rest
      else
        unreadable(path, include.position, text.error());
    }
  }

  // One key of a table: `owner` is the section's struct, `prefix` the full name of the table.
  void read_entry(const Section& section, void* owner, const toml::key& key, const toml::node& node,
                  const std::string& prefix) {
    const Key* known = section.find(key.str());
    if (known == nullptr) {
      unknown_key(section, key, prefix);
      return;
    }
    const std::string name = joined(prefix, key.str());
    if (&section == &root_section() && known->access.kind == Kind::kTable && config_->position_of(name) != nullptr) {
      defined_twice(name, at(key, node));
      return;
    }
    switch (known->access.kind) {
      case Kind::kTable:
        read_part(*known, owner, at(key, node), node, name);
        break;
      case Kind::kListeners:
        read_list(*known, owner, node, name);
        break;
      case Kind::kPools:
        read_pools(*known, owner, node, name);
        break;
      case Kind::kTexts:
        read_texts(*known, owner, key, node, name);
        break;
      case Kind::kTextMap:
        read_text_map(*known, owner, node, name);
        break;
      case Kind::kOptions:
        read_module_options(*known, owner, node, name);
        break;
      case Kind::kFlag:
      case Kind::kCount:
      case Kind::kDuration:
      case Kind::kSize:
      case Kind::kOctal:
      case Kind::kChoice:
      case Kind::kText:
      case Kind::kPath:
        read_value(*known, owner, node, name);
        break;
    }
  }

  void unknown_key(const Section& section, const toml::key& key, const std::string& prefix) {
    const std::string place = prefix.empty() ? "at the top level" : "in " + prefix;
    const std::string shown = in_quotes(escaped(key.str()));
    if (std::ranges::find(section.later, key.str()) != section.later.end()) {
      complain(at(key.source()), fmt::format("{} {} is not part of this version", shown, place), app_hint(section));
      return;
    }
    std::vector<std::string_view> names;
    for (const Key& known : section.keys) names.push_back(known.name);
    const std::string home = home_of(key.str(), root_section(), {});
    const std::string_view meant = nearest(key.str(), names);
    std::string hint = "known here: " + list_of_keys(section);
    if (!home.empty())
      hint = "it belongs in " + home;
    else if (!meant.empty())
      hint = fmt::format("did you mean {}?", in_quotes(meant));
    complain(at(key.source()), fmt::format("unknown key {} {}", shown, place), hint);
  }

  static std::string app_hint(const Section& section) {
    std::string text;
    for (const Key& key : section.keys)
      if (key.presence == Presence::kOneOf) text += fmt::format("{}{}", text.empty() ? "" : ", ", key.name);
    return text.empty() ? text : "this version runs: " + text;
  }

  void defined_twice(const std::string& name, Position position) {
    complain(std::move(position), name + " is defined twice",
             "the first one is at " + to_text(*config_->position_of(name)));
  }

  void note(const std::string& name, const Position& position) { config_->positions.try_emplace(name, position); }

  void wrong_type(const Key& key, const toml::node& node, const std::string& name) {
    complain(at(node.source()), fmt::format("{} cannot be {}", name, type_text(node)), "write " + expected_text(key));
  }

  void read_value(const Key& key, void* owner, const toml::node& node, const std::string& name) {
    const Position position = at(node.source());
    note(name, position);
    if (key.access.place != nullptr) key.access.place(owner, position);
    auto value = parse_value(key, name, found_in(node));
    if (!value) {
      complain(position, value.error().message, value.error().hint);
      return;
    }
    if (const auto* text = std::get_if<std::string>(&*value);
        key.whole_path && !text->starts_with('/') && !is_word(key, *text)) {
      complain(position, fmt::format("{} = {} is a relative path", name, in_quotes(*text)),
               "write the whole path, from / on");
      return;
    }
    key.access.set(owner, resolved(key, *std::move(value)));
  }

  [[nodiscard]] static bool is_word(const Key& key, std::string_view text) {
    return std::ranges::find(key.words, text, &Word::text) != key.words.end();
  }

  [[nodiscard]] Value resolved(const Key& key, Value value) const {
    auto* text = std::get_if<std::string>(&value);
    const bool is_path = key.access.kind == Kind::kPath || key.paths;
    // An empty path stands for one that is found elsewhere.
    if (is_path && !text->empty() && !is_word(key, *text)) *text = absolute_path(*text, folder_);
    return value;
  }

  void read_texts(const Key& key, void* owner, const toml::key& toml_key, const toml::node& node,
                  const std::string& name) {
    const toml::array* array = node.as_array();
    if (array == nullptr) {
      wrong_type(key, node, name);
      return;
    }
    note(name, at(node.source()));
    if (key.access.place != nullptr) key.access.place(owner, at(node.source()));
    if (!number_of_entries_is_good(key, *array, name)) return;
    std::vector<std::string> texts;
    for (const toml::node& element : *array) {
      const std::string element_name = fmt::format("{}[{}]", name, texts.size());
      note(element_name, at(element.source()));
      auto value = element.is_string()
                       ? parse_value(key, element_name, found_in(element))
                       : failure(fmt::format("{} cannot be {}", element_name, type_text(element)), "write a string");
      if (!value) complain(at(element.source()), value.error().message, value.error().hint);
      texts.push_back(value ? std::get<std::string>(resolved(key, *std::move(value))) : std::string{});
      if (key.access.set == nullptr && !texts.back().empty()) includes_.push_back({texts.back(), at(element.source())});
    }
    if (key.access.set != nullptr) {
      key.access.set(owner, texts);
      return;
    }
    if (!may_include_)
      complain(at(toml_key.source()), "include inside an included file", "list every file in the main file");
  }

  void read_text_map(const Key& key, void* owner, const toml::node& node, const std::string& name) {
    const toml::table* table = node.as_table();
    if (table == nullptr) {
      wrong_type(key, node, name);
      return;
    }
    note(name, at(node.source()));
    if (table->size() > key.range.most)
      complain(at(table->source()), fmt::format("{} has {} entries", name, table->size()),
               "write " + expected_text(key));
    NamedTexts texts;
    for (const auto& [toml_key, element] : in_file_order(*table)) {
      const std::string element_name = joined(name, toml_key->str());
      const Position position = at(*toml_key, *element);
      note(element_name, position);
      auto value = element->is_string()
                       ? parse_value(key, element_name, found_in(*element))
                       : failure(fmt::format("{} cannot be {}", element_name, type_text(*element)), "write a string");
      if (!value) complain(position, value.error().message, value.error().hint);
      if (value)
        texts.emplace_back(std::string{toml_key->str()}, std::get<std::string>(resolved(key, *std::move(value))));
    }
    key.access.set(owner, texts);
  }

  void read_module_options(const Key& key, void* owner, const toml::node& node, const std::string& name) {
    const toml::table* table = node.as_table();
    if (table == nullptr) {
      wrong_type(key, node, name);
      return;
    }
    note(name, at(node.source()));
    key.access.set(owner, read_options(*table, {.name = name, .file = file_}, diagnostics_));
  }

  bool number_of_entries_is_good(const Key& key, const toml::array& array, const std::string& name) {
    if (array.size() >= key.range.least && array.size() <= key.range.most) return true;
    complain(at(array.source()), fmt::format("{} has {} entries", name, array.size()), "write " + expected_text(key));
    return false;
  }

  void read_part(const Key& key, void* owner, const Position& position, const toml::node& node,
                 const std::string& name) {
    const toml::table* table = node.as_table();
    if (table == nullptr) {
      wrong_type(key, node, name);
      return;
    }
    note(name, position);
    read_table(*key.section, key.access.add_part(owner), *table, position, name);
  }

  void read_table(const Section& section, void* owner, const toml::table& table, const Position& position,
                  const std::string& name) {
    if (section.place != nullptr) section.place(owner, position);
    for (auto&& [key, node] : table) read_entry(section, owner, key, node, name);
    check_presence(section, table, position, name);
  }

  void check_presence(const Section& section, const toml::table& table, const Position& position,
                      const std::string& name) {
    std::vector<std::string_view> present;
    bool one_of = false;
    for (const Key& key : section.keys) {
      const bool here = table.contains(key.name);
      if (key.presence == Presence::kRequired && !here)
        complain(position, fmt::format("{} has no {}", name, key.name),
                 fmt::format("write {} = {}", key.name, key.example));
      if (key.presence != Presence::kOneOf) continue;
      one_of = true;
      if (here) present.push_back(key.name);
    }
    for (const std::string_view later : section.later)
      if (table[later].is_table()) return;  // what it should run is known, and was complained about
    if (one_of && present.empty())
      complain(position, fmt::format("{} does not say what to run", name), app_example(section));
    if (present.size() > 1)
      complain(position, fmt::format("{} has {} app tables: {}", name, present.size(), fmt::join(present, ", ")),
               "keep one of them");
  }

  static std::string app_example(const Section& section) {
    for (const Key& key : section.keys)
      if (key.presence == Presence::kOneOf) return fmt::format("write {} = {}", key.name, key.example);
    return {};
  }

  void read_list(const Key& key, void* owner, const toml::node& node, const std::string& name) {
    const toml::array* array = node.as_array();
    if (array == nullptr) {
      wrong_type(key, node, name);
      return;
    }
    note(name, at(node.source()));
    if (!number_of_entries_is_good(key, *array, name)) return;
    const Key& label = *std::ranges::find(key.section->keys, Presence::kRequired, &Key::presence);
    std::size_t index = 0;
    for (const toml::node& element : *array) {
      const std::string element_name = fmt::format("{}[{}]", name, index++);
      const Position position = at(element.source());
      note(element_name, position);
      if (const toml::table* table = element.as_table()) {
        read_table(*key.section, key.access.add_part(owner), *table, position, element_name);
      } else if (element.is_string()) {
        void* entry = key.access.add_part(owner);
        if (key.section->place != nullptr) key.section->place(entry, position);
        read_value(label, entry, element, element_name);
      } else {
        complain(position, fmt::format("{} cannot be {}", element_name, type_text(element)),
                 fmt::format("write an {} such as {}, or a table with one", label.name, label.example));
      }
    }
  }

  void read_pools(const Key& key, void* owner, const toml::node& node, const std::string& name) {
    pool_seen_ = true;
    const toml::table* table = node.as_table();
    if (table == nullptr) {
      complain(at(node.source()), fmt::format("{} cannot be {}", name, type_text(node)), "write [pool.NAME]");
      return;
    }
    if (table->empty()) pool_seen_ = false;
    for (const auto& [toml_key, pool] : in_file_order(*table)) read_pool(key, owner, *toml_key, *pool, name);
  }

  void read_pool(const Key& key, void* owner, const toml::key& toml_key, const toml::node& node,
                 const std::string& prefix) {
    const std::string name = joined(prefix, toml_key.str());
    const toml::table* table = node.as_table();
    if (table == nullptr) {
      complain(at(toml_key.source()), fmt::format("{} cannot be {}", name, type_text(node)),
               fmt::format("{} is a pool's name here; keys of a pool stand in [pool.NAME]",
                           in_quotes(escaped(toml_key.str()))));
      return;
    }
    if (!is_pool_name(toml_key.str()))
      complain(at(toml_key.source()), fmt::format("{} is no name for a pool", in_quotes(escaped(toml_key.str()))),
               "use 1 to 64 ASCII letters, digits, _ and -");
    const Position position = at(toml_key, node);
    const bool twice = config_->position_of(name) != nullptr;
    if (twice) defined_twice(name, position);
    note(name, position);
    void* pool = key.access.add_part(owner);
    key.section->set_label(pool, toml_key.str());
    read_table(*key.section, pool, *table, position, name);
    if (twice) config_->pools.pop_back();
  }

  std::shared_ptr<Config> config_;
  std::vector<Diagnostic> diagnostics_;
  std::vector<Include> includes_;
  std::string file_;    // that is being read
  std::string folder_;  // absolute, of that file
  bool may_include_ = true;
  bool pool_seen_ = false;
  bool syntax_error_ = false;
};

}  // namespace

Loaded load_file(const std::string& path) {
  Reader reader;
  reader.read_main_file(path);
  return reader.finish();
}

Loaded load_text(std::string_view text, const std::string& name) {
  Reader reader;
  reader.read_text(text, name);
  return reader.finish();
}

}  // namespace prong::config
