// Formats of access logs: what is refused and how it is told, and what each field becomes.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <string>
#include <string_view>

#include "access_sample.hpp"
#include "log/access_format.hpp"
#include "walk.hpp"

namespace prong::log {
namespace {

using test::line_of;
using test::sample_record;
using test::sample_result;

std::string error_of(std::string_view format) {
  const auto parsed = AccessFormat::parse(format);
  return parsed ? "(no error)" : parsed.error().text();
}

// A record whose fields all have the same bytes.
AccessRecord record_of(std::string_view value, const test::Headers& headers) {
  AccessRecord record = sample_record();
  for (std::string_view* field : {&record.client, &record.peer, &record.scheme, &record.listener, &record.method,
                                  &record.target, &record.path, &record.query, &record.host})
    *field = value;
  record.request_headers = record.response_headers = HeaderLookup::of(headers);
  return record;
}
test::Headers headers_of(std::string_view value) {
  const std::string text{value};
  return {{{"Referer", text}, {"User-Agent", text}, {"X-Id", text}, {"Content-Type", text}}};
}

class TimeZone {
 public:
  explicit TimeZone(const char* name) {
    (void)::setenv("TZ", name, 1);
    ::tzset();
  }
  TimeZone(const TimeZone&) = delete;
  TimeZone& operator=(const TimeZone&) = delete;
  TimeZone(TimeZone&&) = delete;
  TimeZone& operator=(TimeZone&&) = delete;
  ~TimeZone() {
    (void)::unsetenv("TZ");
    ::tzset();
  }
};

}  // namespace

TEST_CASE("common and combined are the lines that Apache and nginx write") {
  const TimeZone zone{"UTC0"};
  CHECK(line_of("common") == "192.0.2.7 - - [03/Feb/2026:03:05:06 +0000] \"GET /a/b?x=1 HTTP/1.1\" 404 1000\n");
  CHECK(line_of("combined") ==
        "192.0.2.7 - - [03/Feb/2026:03:05:06 +0000] \"GET /a/b?x=1 HTTP/1.1\" 404 1000 \"http://a.example/from\" "
        "\"curl/7.88.1\"\n");
}

TEST_CASE("each field of a pattern becomes its value") {
  const TimeZone zone{"CET-1"};
  struct Case {
    std::string_view pattern;
    std::string_view text;
  };
  const auto c = GENERATE(values<Case>({{"{client}", "192.0.2.7"},
                                        {"{client_port}", "50123"},
                                        {"{peer}", "10.0.0.1"},
                                        {"{peer_port}", "40000"},
                                        {"{scheme}", "https"},
                                        {"{listener}", "0.0.0.0:80"},
                                        {"{time}", "2026-02-03T04:05:06.789+01:00"},
                                        {"[{time_common}]", "[03/Feb/2026:04:05:06 +0100]"},
                                        {"{time_unix}", "1770087906.789"},
                                        {"{method}", "GET"},
                                        {"{target}", "/a/b?x=1"},
                                        {"{path}", "/a/b"},
                                        {"{query}", "x=1"},
                                        {"{protocol}", "HTTP/1.1"},
                                        {"\"{request}\"", "\"GET /a/b?x=1 HTTP/1.1\""},
                                        {"{status}", "404"},
                                        {"{body_bytes}", "1000"},
                                        {"{bytes}", "1234"},
                                        {"{host}", "www.example"},
                                        {"{referer}", "http://a.example/from"},
                                        {"{user_agent}", "curl/7.88.1"},
                                        {"{header:X-Id}", "4711"},
                                        {"{response:Content-Type}", "text/html"},
                                        {"{service_us}", "56"},
                                        {"{queue_us}", "7"},
                                        {"{pool}", "shop"},
                                        {"{worker}", "2"},
                                        {"{generation}", "5"},
                                        {"{pid}", "99"},
                                        {"{connection}", "17"},
                                        {"{request_number}", "3"},
                                        {"{complete}", "yes"},
                                        {"{{{status}}}", "{404}"},
                                        {"a{{b}}c {status}", "a{b}c 404"},
                                        {"{bytes}{status}{service_us}{pid} x", "12344045699 x"},
                                        {"\t{status}\t", "\t404\t"},
                                        {"ä {status}", "ä 404"}}));
  CAPTURE(c.pattern);
  CHECK(line_of(c.pattern) == std::string{c.text} + "\n");
}

TEST_CASE("this test and the formats know the same fields") {
  for (const std::string_view name : access_field_names()) {
    const std::string_view prefix = name.substr(0, name.find("NAME"));
    CAPTURE(name);
    CHECK(error_of("{" + std::string{name} + "}") == "(no error)");
    CHECK((prefix.ends_with(':') || prefix == name));
  }
  CHECK(access_field_names().size() == 32);
}

TEST_CASE("what is not known is a dash, and null in json") {
  const AccessRecord nothing{};
  const AccessResult cut{.completeness = Completeness::kCut};
  CHECK(line_of("{client} {client_port} {listener} {method} {target} {path} {query} {protocol}", nothing, cut) ==
        "- - - - - - - -\n");
  CHECK(line_of("\"{request}\" {request} {status} {host} {referer} \"{user_agent}\" {header:X} {response:X}", nothing,
                cut) == "\"-\" - - - - \"-\" - -\n");
  CHECK(line_of("{queue_us} {body_bytes} {bytes} {service_us} {complete}", nothing, cut) == "- 0 0 0 no\n");
  CHECK(line_of("{header:X-Empty} {header:X-None} {response:X-Id}") == "- - -\n");
  const auto json = nlohmann::json::parse(line_of("json", nothing, cut));
  for (const char* name : {"client", "client_port", "listener", "method", "target", "path", "query", "protocol", "host",
                           "referer", "user_agent", "status", "queue_us"}) {
    CAPTURE(name);
    CHECK(json.at(name).is_null());
  }
  CHECK(json.at("complete") == false);
}

TEST_CASE("a request line that broke off says what there was of it") {
  AccessRecord record = sample_record();
  record.protocol_minor = 200;
  CHECK(line_of("\"{request}\" {protocol}", record) == "\"GET /a/b?x=1\" -\n");
  record.protocol_minor = 0;
  CHECK(line_of("\"{request}\"", record) == "\"GET /a/b?x=1 HTTP/1.0\"\n");
  record.target = {};
  CHECK(line_of("\"{request}\"", record) == "\"GET HTTP/1.0\"\n");
}

TEST_CASE("json has every field but those that repeat others, with types") {
  const TimeZone zone{"EST5"};
  const auto json = nlohmann::json::parse(line_of("json"));
  CHECK(json == nlohmann::json{{"time", "2026-02-02T22:05:06.789-05:00"},
                               {"time_unix", 1770087906.789},
                               {"client", "192.0.2.7"},
                               {"client_port", 50123},
                               {"listener", "0.0.0.0:80"},
                               {"method", "GET"},
                               {"target", "/a/b?x=1"},
                               {"path", "/a/b"},
                               {"query", "x=1"},
                               {"protocol", "HTTP/1.1"},
                               {"host", "www.example"},
                               {"referer", "http://a.example/from"},
                               {"user_agent", "curl/7.88.1"},
                               {"status", 404},
                               {"body_bytes", 1000},
                               {"bytes", 1234},
                               {"complete", true},
                               {"service_us", 56},
                               {"queue_us", 7},
                               {"pool", "shop"},
                               {"worker", 2},
                               {"generation", 5},
                               {"pid", 99},
                               {"connection", 17},
                               {"request_number", 3}});
  CHECK(json.size() ==
        access_field_names().size() - 7);  // time_common, request, peer and two more, header:NAME, response:NAME
}

TEST_CASE("a mistake in a pattern is told with its place and what is known") {
  const std::string all =
      "the fields are time, time_unix, time_common, client, client_port, peer, peer_port, scheme, listener, request, "
      "method, target, path, "
      "query, protocol, host, referer, user_agent, status, body_bytes, bytes, complete, service_us, queue_us, pool, "
      "worker, generation, pid, connection, request_number, header:NAME, response:NAME";
  CHECK(error_of("{status} {clinet}") ==
        "character 10 of the format: unknown field \"clinet\"; did you mean {client}? " + all);
  CHECK(error_of("{xyzzy}") == "character 1 of the format: unknown field \"xyzzy\"; " + all);
  CHECK(error_of("{}") == "character 1 of the format: unknown field \"\"; " + all);
  CHECK(error_of("{a\nb}") == "character 1 of the format: unknown field \"a\\nb\"; " + all);
  CHECK(error_of("{status") == "character 1 of the format: a \"{\" without its \"}\"; write \"{{\" for a brace");
  CHECK(error_of("{status} }") == "character 10 of the format: a \"}\" without its \"{\"; write \"}}\" for a brace");
  CHECK(error_of("{status} \"{path}") ==
        "character 10 of the format: a double quote that is not closed; quotes come in pairs");
  CHECK(error_of("{status}\n") == "character 9 of the format: the control character \"\\n\"; each answer is one line");
  CHECK(error_of("{status}\x7f") ==
        "character 9 of the format: the control character \"\\x7f\"; each answer is one line");
  CHECK(error_of("{header:}") ==
        "character 1 of the format: \"\" is no name of a header; for example {header:X-Request-Id}");
  CHECK(error_of("{response:a b}") ==
        "character 1 of the format: \"a b\" is no name of a header; for example {response:X-Request-Id}");
}

TEST_CASE("a format without a field is told with the word that was meant") {
  const std::string what = "write common, combined, json, or a pattern with fields in braces: {client} {status}";
  CHECK(error_of("combine") == "the format \"combine\" has no field; did you mean \"combined\"? " + what);
  CHECK(error_of("JSON") == "the format \"JSON\" has no field; did you mean \"json\"? " + what);
  CHECK(error_of("") == "the format \"\" has no field; " + what);
  CHECK(error_of("{{status}}") == "the format \"{{status}}\" has no field; " + what);
}

TEST_CASE("in quotes a value cannot end them, nor the line") {
  const test::Headers headers{{{"User-Agent", "a\" 200 \\\"\r\n\t\x01\x7f\xff ä"}}};
  AccessRecord record = sample_record();
  record.request_headers = HeaderLookup::of(headers);
  CHECK(line_of("\"{user_agent}\"", record) == R"("a\" 200 \\\"\x0d\x0a\x09\x01\x7f\xff \xc3\xa4")"
                                               "\n");
}

TEST_CASE("outside of quotes a value cannot end its column") {
  AccessRecord record = sample_record();
  record.path = "a b\tc\"d\\e|f;g";
  CHECK(line_of("{path} {status}", record) == R"(a\x20b\x09c\x22d\\e|f;g 404)"
                                              "\n");
  CHECK(line_of("{path}|{status}", record) == R"(a\x20b\x09c\x22d\\e\x7cf;g|404)"
                                              "\n");
  // A separator of one column is one of all.
  CHECK(line_of("{status};{pid}|{path}", record) == R"(404;99|a\x20b\x09c\x22d\\e\x7cf\x3bg)"
                                                    "\n");
  // Within quotes it separates nothing.
  CHECK(line_of("\"{status};{pid}\" {path}", record) == R"("404;99" a\x20b\x09c\x22d\\e|f;g)"
                                                        "\n");
  // Neither letters nor what stands before a field are separators.
  CHECK(line_of("path={path} {service_us}us", record) == R"(path=a\x20b\x09c\x22d\\e|f;g 56us)"
                                                         "\n");
  // Of brackets both, since a reader may begin at either. What the configuration says is not forged by anybody.
  record.path = "[a](b)";
  record.listener = "[::]:80";
  CHECK(line_of("[{time_unix}] {path} {listener}", record) == R"([1770087906.789] \x5ba\x5d(b) [::]:80)"
                                                              "\n");
  record.listener = "unix:/run/my sock\"";
  CHECK(line_of("{listener} {status}", record) == R"(unix:/run/my\x20sock\x22 404)"
                                                  "\n");
  CHECK(line_of("{request} {status}") == R"(GET\x20/a/b?x=1\x20HTTP/1.1 404)"
                                         "\n");
}

TEST_CASE("in json every byte becomes something that is valid") {
  struct Case {
    std::string_view value;
    std::string_view text;
  };
  const auto c = GENERATE(values<Case>({{"a\"b\\c/", R"(a\"b\\c/)"},
                                        {"\n\x01\x7f", R"(\u000a\u0001\u007f)"},
                                        {"ä", R"(\u00e4)"},
                                        {"漢", R"(\u6f22)"},
                                        {"😀", R"(\ud83d\ude00)"},
                                        {"\xc2\x85 \xe2\x80\xa8", R"(\u0085 \u2028)"},
                                        {"a\xff\xfe", R"(a\ufffd\ufffd)"},
                                        {"\xc3", R"(\ufffd)"},
                                        {"\xc3(", R"(\ufffd()"},
                                        {"\xe2\x82", R"(\ufffd\ufffd)"},
                                        {"\xc0\xaf", R"(\ufffd\ufffd)"},                      // overlong
                                        {"\xe0\x80\xaf", R"(\ufffd\ufffd\ufffd)"},            // overlong
                                        {"\xed\xa0\x80", R"(\ufffd\ufffd\ufffd)"},            // a surrogate
                                        {"\xf4\x90\x80\x80", R"(\ufffd\ufffd\ufffd\ufffd)"},  // above 10FFFF
                                        {"\xf4\x8f\xbf\xbf", R"(\udbff\udfff)"}}));
  AccessRecord record = sample_record();
  record.path = c.value;
  CAPTURE(c.text);
  const std::string line = line_of("json", record);
  CHECK_THAT(line, Catch::Contains("\"path\":\"" + std::string{c.text} + "\","));
  CHECK_NOTHROW(nlohmann::json::parse(line));
}

TEST_CASE("whatever the bytes are, a line is one line of its columns") {
  auto random = prong::test::chance(4711);
  const auto count = [](std::string_view text, char c) { return std::ranges::count(text, c); };
  for (int i = 0; i < 20'000; ++i) {
    std::string value(1 + random() % 24, '\0');
    for (char& c : value) c = i % 2 == 0 ? static_cast<char>(random() & 0xFFU) : "\"\\ |[]{}\n\r-:,"[random() % 14];
    const test::Headers headers = headers_of(value);
    const AccessRecord record = record_of(value, headers);
    const std::string combined = line_of("combined", record);
    const std::string bare = line_of("{path}|{query}|{header:X-Id}|{request}|{client} {host}", record);
    const std::string json = line_of("json", record);
    bool good = true;
    for (const std::string& line : {combined, bare, json}) good = good && count(line, '\n') == 1 && line.back() == '\n';
    good = good && count(bare, '|') == 4 && count(bare, ' ') == 1 && count(bare, '"') == 0;
    const auto parsed = nlohmann::json::parse(json, nullptr, false);
    good = good && !parsed.is_discarded() && parsed.size() == access_field_names().size() - 7;
    // Quotes that are not behind a backslash.
    std::string outside;
    for (std::size_t at = 0; at < combined.size(); ++at) {
      if (combined[at] == '\\')
        ++at;
      else if (combined[at] == '"')
        outside += '"';
    }
    good = good && outside.size() == 6;
    if (!good) FAIL(combined << bare << json);
  }
}

TEST_CASE("a value that is cut says so, and is escaped like any other") {
  AccessLineMaker maker{AccessFormat::parse("\"{path}\" {query} {host}").value(), test::sample_worker()};
  AccessRecord record = sample_record();
  record.path = R"(""""")";
  record.query = "12345";
  record.host = "1234";
  AccessLine line;
  maker.begin(line, record, 4);
  std::string text;
  maker.finish(line, sample_result(), text);
  CHECK(text == R"("\"\"\"\"..." 1234... 1234)"
                "\n");
}

TEST_CASE("a line keeps nothing of the record, and can be made anew") {
  AccessLineMaker maker{AccessFormat::parse("{path} {bytes} {header:X-Id}").value(), test::sample_worker()};
  AccessLine line;
  CHECK_FALSE(line.begun());
  {
    const std::string path = "/gone";
    const test::Headers headers{{{"X-Id", "5"}}};
    AccessRecord record = sample_record();
    record.path = path;
    record.request_headers = HeaderLookup::of(headers);
    maker.begin(line, record);
  }
  CHECK(line.begun());
  std::string text;
  maker.finish(line, sample_result(), text);
  maker.begin(line, sample_record());
  CHECK(AccessLineMaker::most_bytes(line) >= std::string_view{"/a/b 1234 4711\n"}.size());
  maker.finish(line, sample_result(), text);
  CHECK(text == "/gone 1234 5\n/a/b 1234 4711\n");
}

TEST_CASE("a line is never longer than it said") {
  const std::uint64_t most = ~std::uint64_t{0};
  AccessLineMaker maker{AccessFormat::parse("{bytes}{body_bytes}{service_us}{queue_us}{complete}").value(),
                        test::sample_worker()};
  AccessLine line;
  maker.begin(line, sample_record());
  std::string text;
  maker.finish(line, {.body_bytes = most, .bytes = most, .service_us = most, .queue_us = most}, text);
  CHECK(text.size() <= AccessLineMaker::most_bytes(line));
}

TEST_CASE("the time of a line is that of its own second, whatever came before") {
  const TimeZone zone{"IST-5:30"};
  const auto at = [](long long ms) {
    AccessRecord record = sample_record();
    record.time = std::chrono::system_clock::time_point{std::chrono::milliseconds{ms}};
    return record;
  };
  AccessLineMaker maker{AccessFormat::parse("{time} {time_unix} [{time_common}]").value(), test::sample_worker()};
  const auto text_at = [&](long long ms) {
    AccessLine line;
    maker.begin(line, at(ms));
    std::string text;
    maker.finish(line, sample_result(), text);
    return text;
  };
  CHECK(text_at(1'770'087'906'001) == "2026-02-03T08:35:06.001+05:30 1770087906.001 [03/Feb/2026:08:35:06 +0530]\n");
  CHECK(text_at(1'770'087'907'999) == "2026-02-03T08:35:07.999+05:30 1770087907.999 [03/Feb/2026:08:35:07 +0530]\n");
  CHECK(text_at(1'770'087'906'050) == "2026-02-03T08:35:06.050+05:30 1770087906.050 [03/Feb/2026:08:35:06 +0530]\n");
  // Clocks that are wrong.
  CHECK(text_at(-1) == "1970-01-01T05:30:00.000+05:30 0.000 [01/Jan/1970:05:30:00 +0530]\n");
  CHECK(text_at(9'223'372'036'000) == "2262-04-12T05:17:16.000+05:30 9223372036.000 [12/Apr/2262:05:17:16 +0530]\n");
}

}  // namespace prong::log
