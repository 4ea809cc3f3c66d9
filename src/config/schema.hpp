// The one declarative table of configuration keys. The reader, --check, --print-config, --dump-schema, the reload diff
// and docs/configuration.md are all walks over it; nothing about a key is said anywhere else. Defaults are not in here:
// they are what the default-constructed structs of config.hpp hold.
//
// A walk goes from root_section() over an object of type Config. Keys reach into "their" struct through a void pointer,
// so that one walk can cross structs of different types: give a section's keys only objects of that section's struct.
//
// To add a key: the member in config.hpp, one entry here. To add an app table: one alternative of AppConfig, its
// section and one entry in the pool's section.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string_view>

#include "config/config.hpp"
#include "config/value.hpp"

namespace prong::config {

struct Section;

enum class Kind : std::uint8_t {
  kFlag,       // true, false
  kCount,      // a whole number
  kDuration,   // milliseconds, written "30s"
  kSize,       // bytes, written "64KiB"
  kOctal,      // permission bits, written "0660"
  kChoice,     // one word of an enum
  kText,       // a string
  kPath,       // a file or folder; a relative one is resolved against the folder of the file it stands in
  kTexts,      // a list of strings
  kTextMap,    // a table of strings with free names, in the order of the file
  kOptions,    // a table of free keys, with lists and tables in it
  kTable,      // one part with a section of its own
  kListeners,  // a list of strings or tables
  kPools,      // tables with free names
};

// How a key reaches its member. Values have get and set, the other kinds the part functions; the reader's own
// instructions (`include`) have none of them.
struct Access {
  Kind kind = Kind::kFlag;
  std::span<const std::string_view> choices = {};
  Value (*get)(const void* owner) = nullptr;
  void (*set)(void* owner, const Value& value) = nullptr;
  // kTable: 1, or 0 for a table that the pool does not have. Lists: the number of entries.
  std::size_t (*parts)(const void* owner) = nullptr;
  const void* (*part)(const void* owner, std::size_t index) = nullptr;
  // kTable: the part (of an app and an optional table: made anew). Lists: a new entry at the end.
  void* (*add_part)(void* owner) = nullptr;
  // Notes where the value stands, where the struct has a member for it.
  void (*place)(void* owner, const Position& position) = nullptr;
};

// A word that may stand in place of the value.
struct Word {
  std::string_view text;
  std::string_view doc;
  std::optional<std::uint64_t> number = {};  // the value it stands for; nothing: none ("auto")
};

// Both ends are allowed. Of a text and of a list: its length, in bytes or entries.
struct Range {
  std::uint64_t least = 0;
  std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
};

// kRestart: a reload cannot apply it and refuses (net/listener.hpp).
enum class TakesEffect : std::uint8_t { kReload, kRestart };
inline constexpr EnumText<TakesEffect, 2> kTakesEffectText{
    {{{TakesEffect::kReload, "reload"}, {TakesEffect::kRestart, "restart"}}}};

enum class Presence : std::uint8_t {
  kOptional,
  kRequired,
  kOneOf,  // exactly one of the keys of the section that are so marked (the app tables)
};

struct Key {
  std::string_view name;
  Access access = {};
  Presence presence = Presence::kOptional;
  Range range = {};
  std::string_view unit = {};  // of a count, for the documentation
  std::span<const Word> words = {};
  const Section* section = nullptr;  // of the parts
  TakesEffect takes_effect = TakesEffect::kReload;
  bool paths = false;             // of kTexts and kTextMap: the texts are paths, as those of kPath
  bool whole_path = false;        // of kPath: a relative one is refused, not taken from the file's folder
  bool any_text = false;          // of texts: may have line ends and other control characters; of a list: empty ones
  std::string_view example = {};  // as TOML source; empty: the default serves
  std::string_view doc = {};
};

// One table of the file, and the struct behind it.
struct Section {
  std::string_view title;  // "[pool.NAME]", "http"
  std::string_view doc;
  std::span<const Key> keys;
  std::span<const std::string_view> later = {};  // keys that a later version will know
  // The object whose members are the defaults. Lives for ever.
  const void* (*defaults)() = nullptr;
  // What tells one part of a list from the others (a pool's name, a listener's address); nullptr for single tables.
  std::string_view (*label)(const void* owner) = nullptr;
  void (*set_label)(void* owner, std::string_view label) = nullptr;
  void (*place)(void* owner, const Position& position) = nullptr;
  // Whether the key says something about this object; nullptr: all keys do. One that does not is an error when written
  // (config/check.cpp), and is not printed.
  bool (*fits)(const Key& key, const void* owner) = nullptr;

  [[nodiscard]] const Key* find(std::string_view name) const;
};

// The whole file; its object is a Config.
[[nodiscard]] const Section& root_section();

// The app table `exec`, and which keys of [pool.NAME] say something about a pool: schema_exec.cpp.
// NOLINTNEXTLINE(readability-identifier-naming): a constant, whose value this header need not know
extern const Section kExecSection;
// The app table `wsgi`: schema_wsgi.cpp.
// NOLINTNEXTLINE(readability-identifier-naming): as above
extern const Section kWsgiSection;
// The app table `module`: schema_module.cpp.
// NOLINTNEXTLINE(readability-identifier-naming): as above
extern const Section kModuleSection;
[[nodiscard]] bool fits_pool(const Key& key, const void* owner);

// Whether a pool may have this name: [A-Za-z0-9_-]{1,64}. Names go into log fields, status lines and file names.
[[nodiscard]] bool is_pool_name(std::string_view name);
inline constexpr std::size_t kLongestPoolName = 64;
inline constexpr std::string_view kPoolNamePattern = "^[A-Za-z0-9_-]{1,64}$";

}  // namespace prong::config
