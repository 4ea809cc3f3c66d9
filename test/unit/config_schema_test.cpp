// The schema is complete, and what is printed from it loads back: each key takes each end of its range, each word and
// each choice, and goes through to_toml and the reader unchanged.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <functional>
#include <map>
#include <set>

#include "config/builder.hpp"
#include "config/diff.hpp"
#include "config/print.hpp"
#include "config/reader.hpp"
#include "config/schema.hpp"
#include "config_folder.hpp"

namespace prong::config {
namespace {

using Texts = std::vector<std::string>;

// Compared with instead of empty(), so that a failure shows what there is.
Texts none() {
  return {};
}

// How many members an aggregate has: the largest number of values that it can be initialised from.
struct Anything {
  template <class T>
  operator T() const {  // NOLINT(google-explicit-constructor): the conversion is the point
    return T{};
  }
};
template <class Aggregate, class... Values>
consteval std::size_t member_count() {
  if constexpr (requires { Aggregate{Values{}..., Anything{}}; })
    return member_count<Aggregate, Values..., Anything>();
  else
    return sizeof...(Values);
}

const Section& section_of(std::string_view path) {
  const Section* section = &root_section();
  while (!path.empty()) {
    const std::size_t dot = std::min(path.find('.'), path.size());
    section = section->find(path.substr(0, dot))->section;
    path.remove_prefix(std::min(dot + 1, path.size()));
  }
  return *section;
}

bool fits(const Section& section, const Key& key, const void* object) {
  return section.fits == nullptr || section.fits(key, object);
}

// Calls visit(section, object, path) for each table of a configuration.
using Visit = std::function<void(const Section& section, void* object, const std::string& path)>;
void walk(const Section& section, void* object, const std::string& path, const Visit& visit) {
  visit(section, object, path);
  for (const Key& key : section.keys) {
    if (key.section == nullptr || !fits(section, key, object)) continue;
    for (std::size_t i = 0; i < key.access.parts(object); ++i)
      walk(*key.section, const_cast<void*>(key.access.part(object, i)),  // NOLINT: the config is ours
           path + std::string{key.name} + " ", visit);
  }
}

Config example() {
  Config config = for_static("/srv", "127.0.0.1:80");
  config.pools.front().access_log = AccessLogConfig{.path = "/var/log/access"};
  return config;
}

Config example_of_respond() {
  Config config = example();
  config.pools.front().app = RespondConfig{};
  // So that all keys of a pool are tried.
  config.pools.front().concurrency = Concurrency::kThread;
  config.pools.front().max_requests = 1;
  config.pools.front().trusted_proxies = {"unix"};
  config.pools.front().max_lifetime = Duration{1};
  config.pools.front().max_memory = ByteSize{1U << 30U};
  return config;
}

Config example_of_echo() {
  Config config = for_static("/srv", "127.0.0.1:80");
  config.pools.front().app = EchoConfig{};
  return config;
}

Config example_of_status() {
  Config config = example_of_respond();
  config.pools.front().app = StatusConfig{};
  return config;
}

Config example_of_exec(ExecStyle style) {
  Config config = example();
  config.pools.front().access_log.reset();
  config.pools.front().app = ExecConfig{.command = {"/bin/date"}, .style = style};
  return config;
}

Config example_of_wsgi() {
  Config config = example_of_respond();
  config.pools.front().app = WsgiConfig{.app = "a:b"};
  return config;
}

Config example_of_module(ModuleProtocol protocol) {
  Config config = example_of_echo();  // with an access log, say, it could not change its protocol
  config.pools.front().app = ModuleConfig{.path = "/a.so", .protocol = protocol};
  return config;
}

// Valid values of the key that are worth a try.
std::vector<Value> values_of(const Key& key) {
  std::vector<Value> values;
  const auto add = [&](auto value) { values.emplace_back(std::move(value)); };
  for (const Word& word : key.words)
    if (key.access.kind == Kind::kPath)
      add(std::string{word.text});
    else if (word.number)
      add(*word.number);
    else
      values.emplace_back();
  for (const std::string_view choice : key.access.choices) add(std::string{choice});
  const std::uint64_t most = std::min<std::uint64_t>(key.range.most, std::numeric_limits<std::int64_t>::max());
  switch (key.access.kind) {
    case Kind::kFlag:
      add(true);
      add(false);
      break;
    case Kind::kCount:
    case Kind::kDuration:
    case Kind::kSize:
    case Kind::kOctal:
      for (const std::uint64_t number : {key.range.least, key.range.least + 1, most / 2 + 1, most}) add(number);
      break;
    case Kind::kText:
      add(std::string{R"(a "quoted\" one: ä 漢)"});
      add(std::string(key.range.most, 'x'));
      if (key.range.least == 0) add(std::string{});
      break;
    case Kind::kPath:
      add(std::string{"/srv/a b/\"x\""});
      break;
    case Kind::kTexts:
      if (key.range.least == 0) add(std::vector<std::string>{});
      add(key.paths ? std::vector<std::string>{"/a", "/b\\\"c"} : std::vector<std::string>{"a", "b\\\"c"});
      break;
    case Kind::kTextMap:
      add(NamedTexts{});
      add(key.paths ? NamedTexts{{"z *.css", "/b\\\"c"}} : NamedTexts{{"z *.css", "b\\\"c"}, {"a.b", ""}});
      break;
    case Kind::kOptions:
      add(ModuleOptions{});
      add(ModuleOptions{.toml = R"({ b = "c\"", a = { x = [[1, -2.5], []], z = {} } })"});
      break;
    case Kind::kChoice:
    case Kind::kTable:
    case Kind::kListeners:
    case Kind::kPools:
      break;
  }
  return values;
}

std::string errors_of(const Loaded& loaded) {
  std::string text;
  for (const Diagnostic& diagnostic : loaded.diagnostics) text += to_text(diagnostic) + "\n";
  return text;
}

}  // namespace

TEST_CASE("every member of every struct is a key, but for names and positions") {
  CHECK(section_of("log").keys.size() == member_count<LogConfig>());
  CHECK(section_of("control").keys.size() == member_count<ControlConfig>());
  CHECK(section_of("pool.listen").keys.size() == member_count<ListenerConfig>() - 1);  // position
  CHECK(section_of("pool.rlimits").keys.size() == member_count<RlimitsConfig>());
  CHECK(section_of("pool.http").keys.size() == member_count<HttpConfig>());
  CHECK(section_of("pool.static").keys.size() == member_count<StaticConfig>() - 1);  // root_position
  CHECK(section_of("pool.respond").keys.size() == member_count<RespondConfig>());
  CHECK(section_of("pool.echo").keys.empty());
  CHECK(section_of("pool.status").keys.empty());
  CHECK(section_of("pool.stream").keys.size() == member_count<StreamConfig>());
  CHECK(section_of("pool.access_log").keys.size() == member_count<AccessLogConfig>());
  CHECK(section_of("pool.exec").keys.size() == member_count<ExecConfig>() - 1);      // command_position
  CHECK(section_of("pool.wsgi").keys.size() == member_count<WsgiConfig>() - 1);      // app_position
  CHECK(section_of("pool.module").keys.size() == member_count<ModuleConfig>() - 1);  // path_position
  const std::size_t apps = std::variant_size_v<AppConfig>;
  CHECK(section_of("pool").keys.size() == member_count<PoolConfig>() - 1 + apps - 2);  // app; name, position
  CHECK(root_section().keys.size() == member_count<Config>() - 2 + 1);                 // sources, positions; include
}

TEST_CASE("every key is documented, and no name stands twice in a table") {
  Config config = example();
  walk(root_section(), &config, "", [](const Section& section, void* /*object*/, const std::string& path) {
    std::set<std::string_view> names;
    CHECK_FALSE(section.doc.empty());
    for (const Key& key : section.keys) {
      CAPTURE(path, key.name);
      CHECK(names.insert(key.name).second);
      CHECK(key.doc.ends_with('.'));
      CHECK(key.range.least <= key.range.most);
      for (const Word& word : key.words) CHECK_FALSE(word.doc.empty());
    }
    for (const std::string_view later : section.later) CHECK(names.insert(later).second);
  });
}

TEST_CASE("every value of every key is printed, loads back, and is one line of a diff") {
  const Config original =
      GENERATE(example(), example_of_respond(), example_of_echo(), example_of_exec(ExecStyle::kConnection),
               example_of_exec(ExecStyle::kListener), example_of_wsgi(), example_of_module(ModuleProtocol::kHttp),
               example_of_module(ModuleProtocol::kStream), example_of_status());
  Config changed = original;
  std::size_t keys = 0;
  walk(root_section(), &changed, "", [&](const Section& section, void* object, const std::string& path) {
    for (const Key& key : section.keys) {
      if (key.access.get == nullptr || !fits(section, key, object)) continue;  // the latter are not printed
      ++keys;
      const Value before = key.access.get(object);
      for (const Value& value : values_of(key)) {
        key.access.set(object, value);
        CAPTURE(path, key.name, toml_text(key, value));
        CHECK(key.access.get(object) == value);
        const Loaded loaded = load_text(to_toml(changed), "t.toml");
        CHECK(errors_of(loaded).empty());
        REQUIRE(loaded.config != nullptr);
        CHECK(to_toml(*loaded.config) == to_toml(changed));
        CHECK(diff(*loaded.config, changed) == none());
        const std::size_t lines = key.name == "address" ? 2 : 1;  // one removed, one added
        CHECK(diff(original, changed).size() == (value == before ? 0 : lines));
      }
      key.access.set(object, before);
    }
  });
  struct Count {
    std::size_t operator()(const StaticConfig& /*app*/) const { return 79; }
    std::size_t operator()(const RespondConfig& /*app*/) const { return 74; }
    std::size_t operator()(const EchoConfig& /*app*/) const { return 46; }
    std::size_t operator()(const ExecConfig& /*app*/) const { return 41; }
    std::size_t operator()(const WsgiConfig& /*app*/) const { return 80; }
    std::size_t operator()(const ModuleConfig& module) const {
      return module.protocol == ModuleProtocol::kHttp ? 65 : 49;
    }
    std::size_t operator()(const StatusConfig& /*app*/) const { return 71; }
  };
  CHECK(keys == std::visit(Count{}, original.pools.front().app));
}

TEST_CASE("defaults are in the range of their key") {
  Config config = example();
  walk(root_section(), &config, "", [](const Section& section, void* /*object*/, const std::string& path) {
    for (const Key& key : section.keys) {
      if (key.access.get == nullptr || key.presence == Presence::kRequired) continue;
      const Value value = key.access.get(section.defaults());
      CAPTURE(path, key.name);
      if (const auto* number = std::get_if<std::uint64_t>(&value)) {
        CHECK(*number >= key.range.least);
        CHECK(*number <= key.range.most);
      }
    }
  });
}

TEST_CASE("examples of the schema are good configuration") {
  Config config = example();
  walk(root_section(), &config, "", [](const Section& section, void* /*object*/, const std::string& path) {
    static const std::map<std::string, std::string> prefixes{
        {"log ", "log."}, {"pool ", "pool.a."}, {"pool http ", "pool.a.http."}, {"pool rlimits ", "pool.a.rlimits."}};
    const auto prefix = prefixes.find(path);
    if (prefix == prefixes.end()) return;
    for (const Key& key : section.keys) {
      if (key.example.empty()) continue;
      std::string text = prefix->second + std::string{key.name} + " = " + std::string{key.example} + "\n";
      if (key.name != "listen") text += "pool.a.listen = [\"127.0.0.1:80\"]\n";
      if (key.presence != Presence::kOneOf) text += "pool.a.static.root = \"/\"\n";
      CAPTURE(text);
      CHECK(errors_of(load_text(text, "t.toml")).empty());
    }
  });
}

TEST_CASE("the JSON Schema is JSON and knows the keys, their defaults and their ranges") {
  const auto schema = nlohmann::json::parse(json_schema());
  CHECK(schema.at("$schema") == "https://json-schema.org/draft/2020-12/schema");
  CHECK(schema.at("additionalProperties") == false);
  const auto& pools = schema.at("properties").at("pool");
  const auto& pool = pools.at("patternProperties").at(std::string{kPoolNamePattern});
  for (const Key& key : section_of("pool").keys) CHECK(pool.at("properties").contains(std::string{key.name}));
  CHECK(pool.at("properties").size() == section_of("pool").keys.size());
  CHECK(pool.at("required") == nlohmann::json{"listen"});
  CHECK(
      pool.at("oneOf") ==
      nlohmann::json::parse(
          R"([{"required": ["static"]}, {"required": ["respond"]}, {"required": ["echo"]}, {"required": ["exec"]}, {"required": ["wsgi"]}, {"required": ["module"]}, {"required": ["status"]}])"));
  CHECK(pool.at("properties").at("workers").at("default") == "auto");
  CHECK(pool.at("properties").at("workers").at("anyOf") ==
        nlohmann::json::parse(R"([{"enum": ["auto"]}, {"type": "integer", "minimum": 1, "maximum": 1024}])"));
  CHECK(pool.at("properties").at("max_connections").at("default") == 10'000);
  CHECK(pool.at("properties").at("static").at("properties").at("index").at("default") == nlohmann::json{"index.html"});
  CHECK(pool.at("properties").at("listen").at("maxItems") == 64);
  CHECK(pool.at("properties").at("listen").at("items").at("anyOf").size() == 2);
}

TEST_CASE("the reference page names every key with its default, and its example loads") {
  const std::string page = reference_markdown();
  CHECK(page.starts_with("<!-- Generated "));
  Config config = example();
  walk(root_section(), &config, "", [&](const Section& section, void* /*object*/, const std::string& /*path*/) {
    CHECK(page.contains("\n## " + std::string{section.title} + "\n"));
    for (const Key& key : section.keys) {
      CAPTURE(key.name);
      CHECK(page.contains("\n| `" + std::string{key.name} + "` | "));
      CHECK(page.contains(key.doc));
      if (key.access.get != nullptr && key.presence == Presence::kOptional)
        CHECK(page.contains(toml_text(key, key.access.get(section.defaults()))));
    }
  });
  const std::size_t start = page.find("```toml\n") + 8;
  const test::Folder folder;
  const Loaded loaded = load_file(folder.write("p.toml", page.substr(start, page.find("```\n", start) - start)));
  CHECK(errors_of(loaded).empty());
  REQUIRE(loaded.config != nullptr);
  CHECK(loaded.config->pools.size() == 2);
}

TEST_CASE("the manual page names every key, and nothing in its texts is taken for a mark") {
  const std::string page = reference_manual();
  CHECK(page.starts_with("prongd.toml(5) "));
  const auto escaped = [](std::string name) {
    for (std::size_t at = name.find('_'); at != std::string::npos; at = name.find('_', at + 2)) name.insert(at, "\\");
    return name;
  };
  Config config = example();
  walk(root_section(), &config, "", [&](const Section& section, void* /*object*/, const std::string& /*path*/) {
    CHECK(page.contains("\n## " + escaped(std::string{section.title}) + "\n"));
    for (const Key& key : section.keys) {
      CAPTURE(key.name);
      CHECK(page.contains("\n*" + escaped(std::string{key.name}) + "* ("));
    }
  });
  CHECK(
      page.contains("\n*include* (list of strings; no default; a list of 0 to 64 strings)\n\tMore files, as glob(7) "));
  CHECK(page.contains("\n\tExample: *include = [\"conf.d/\\*.toml\"]*\n"));
  CHECK(page.contains("NAME is made of ASCII letters, digits, *\\_* and *-*, at most 64."));
  CHECK(page.contains(" concurrency (docs/concurrency.md). *event*: "));
}

}  // namespace prong::config
