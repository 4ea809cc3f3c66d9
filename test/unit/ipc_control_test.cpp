// The control protocol: what a client may send, and what is made of everything else.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <string>

#include "ipc/control.hpp"
#include "ipc/control_place.hpp"

// Fields that are not named have their defaults, which is meant.
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

namespace prong::ipc {
namespace {

std::string error_of(const std::string& line) {
  const auto request = parse_control_request(line);
  return request ? "good" : request.error().text();
}

std::vector<std::string> folders(const std::vector<ControlPlace>& places) {
  std::vector<std::string> names;
  names.reserve(places.size());
  for (const ControlPlace& place : places) names.push_back(place.folder);
  return names;
}

}  // namespace

TEST_CASE("every request is parsed back to what it was, whatever its verb") {
  const ControlRequest request =
      GENERATE(ControlRequest{.verb = ControlVerb::kVersion}, ControlRequest{.verb = ControlVerb::kStatus},
               ControlRequest{.verb = ControlVerb::kStatus, .pool = "shop"},
               ControlRequest{.verb = ControlVerb::kWorkers, .pool = "\"\n\\"},
               ControlRequest{.verb = ControlVerb::kReload, .plan = true}, ControlRequest{.verb = ControlVerb::kReload},
               ControlRequest{.verb = ControlVerb::kReload, .pool = "shop"},
               ControlRequest{.verb = ControlVerb::kPause, .pool = "shop"},
               ControlRequest{.verb = ControlVerb::kResume, .pool = "shop"},
               ControlRequest{.verb = ControlVerb::kStop, .fast = true},
               ControlRequest{.verb = ControlVerb::kScale, .pool = "shop", .count = 4'294'967'295U},
               ControlRequest{.verb = ControlVerb::kRecycle, .pool = "shop", .worker = 0},
               ControlRequest{.verb = ControlVerb::kRecycle, .pool = "shop"},
               ControlRequest{.verb = ControlVerb::kLogLevel, .level = "debug"},
               ControlRequest{.verb = ControlVerb::kReopenLogs}, ControlRequest{.verb = ControlVerb::kConfig});
  const std::string line = to_line(request);
  CHECK(line.find('\n') == line.size() - 1);
  const auto parsed = parse_control_request(line);
  REQUIRE(parsed.has_value());
  CHECK(*parsed == request);
}

TEST_CASE("what is no JSON object of this version is refused with the reason") {
  for (const char* line : {"", "\n", "x", "[]", "1", "null", "{", R"({"version":1,"verb":"status")", "\xff\xfe",
                           R"({"version":1,"verb":"status"} {})"}) {
    CAPTURE(line);
    CHECK(error_of(line) == "the request is no JSON object; send one object in one line");
  }
  CHECK(error_of("{}") == "\"version\" is missing; this is 1");
  for (const char* version : {"2", "0", "\"1\"", "1.0", "-1", "null", "[]", "99999999999999999999"}) {
    CAPTURE(version);
    CHECK_THAT(error_of(std::string{"{\"verb\":\"status\",\"version\":"} + version + "}"),
               Catch::StartsWith("this daemon speaks version 1 of the control protocol"));
  }
}

TEST_CASE("a request that is nested deeply is refused before it is built") {
  const std::string deep(100'000, '[');
  CHECK(error_of(deep) == "the request is nested too deep");
  CHECK(error_of("{\"version\":1,\"verb\":" + deep + "}") == "the request is nested too deep");
}

TEST_CASE("unknown verbs and fields, missing ones and those of a wrong type are refused by name") {
  const auto request = [](const std::string& rest) { return error_of("{\"version\":1," + rest + "}"); };
  CHECK(request("\"pool\":\"a\"") == "\"verb\" is missing");
  CHECK(request("\"verb\":1") == "\"verb\" must be a text");
  CHECK(request("\"verb\":\"sta\\ntus\"") == "the verb \"sta\\ntus\" is not known");
  CHECK(request("\"verb\":\"status\",\"pol\":\"a\"") == "the verb \"status\" has no field \"pol\"");
  CHECK(request("\"verb\":\"status\",\"fast\":true") == "the verb \"status\" has no field \"fast\"");
  CHECK(request("\"verb\":\"status\",\"pool\":1") == "\"pool\" must be a text");
  CHECK(request("\"verb\":\"scale\",\"count\":1") == "\"pool\" is missing");
  CHECK(request("\"verb\":\"scale\",\"pool\":\"a\"") == "\"count\" is missing");
  for (const char* count : {"-1", "1.5", "4294967296", "\"1\"", "true", "null"}) {
    CAPTURE(count);
    CHECK(request(std::string{"\"verb\":\"scale\",\"pool\":\"a\",\"count\":"} + count) ==
          "\"count\" must be a whole number that is not negative");
  }
  CHECK(request("\"verb\":\"stop\",\"fast\":1") == "\"fast\" must be true or false");
}

TEST_CASE("an answer is one line, good or not, also with bytes that are no UTF-8") {
  const auto parsed = [](const ControlAnswer& answer) {
    const std::string line = to_line(answer);
    CHECK(line.find('\n') == line.size() - 1);
    auto json = nlohmann::json::parse(line, nullptr, false);
    REQUIRE(json.is_object());
    CHECK(json["version"] == 1);
    return json;
  };
  const auto failed = parsed(ControlFailure{.error = {.message = "no\n", .hint = "\xff"}, .details = {"a", "b"}});
  CHECK(failed["ok"] == false);
  CHECK(failed["error"]["message"] == "no\n");
  CHECK(failed["error"]["hint"] == "\xEF\xBF\xBD");
  CHECK(failed["error"]["details"] == nlohmann::json{"a", "b"});

  const auto done = parsed(ControlDone{.text = "well"});
  CHECK(done["ok"] == true);
  CHECK(done["result"]["text"] == "well");

  const auto status = parsed(DaemonReport{.state = "serving", .pools = {{.name = "shop", .wanted = 2}}});
  CHECK(status["result"]["pools"][0]["workers"]["wanted"] == 2);
  CHECK(status["result"]["pools"][0]["last_death"].is_null());
  CHECK_FALSE(status["result"].contains("workers"));
  const auto workers = parsed(DaemonReport{.workers = {{{.pool = "shop", .slot = 3}}}});
  CHECK(workers["result"]["workers"][0]["slot"] == 3);
  const auto values = parsed(ConfigReport{.values = {{.name = "a", .value = "1"}}});
  CHECK(values["result"]["values"][0]["origin"] == "default");
}

TEST_CASE("a worker's numbers, histograms and threads stand in the answer") {
  using std::chrono::microseconds;
  HistogramCells cells;
  cells.add(microseconds(5));
  cells.add(microseconds(5));
  cells.add(microseconds(1'000'000));
  WorkerReport worker{.pool = "shop", .process = {.resident_bytes = 7, .cpu_time = std::chrono::milliseconds(1'500)}};
  worker.served.service_time = Histogram::of(cells);
  worker.served.counts.begun = 5;
  worker.served.counts.requests = 3;
  worker.served.counts.classes.at(1) = 3;
  worker.served.counts.statuses.at(1) = 2;
  worker.threads = {std::nullopt, ThreadReport{.phase = ThreadPhase::kRequest,
                                               .lasts = std::chrono::milliseconds(250),
                                               .deadline = std::chrono::milliseconds(-500),
                                               .method = "GET",
                                               .target = "/a\"b",
                                               .peer = "192.0.2.1:7"}};
  const auto answer = nlohmann::json::parse(to_line(DaemonReport{.workers = {{worker}}}));
  const auto& found = answer["result"]["workers"][0];
  CHECK(found["resident_bytes"] == 7);
  CHECK(found["cpu_seconds"] == 1.5);
  CHECK(found["inside"] == 2);
  CHECK(found["statuses"]["2xx"] == 3);
  CHECK(found["statuses"]["404"] == 2);
  CHECK(found["service_time"]["count"] == 3);
  CHECK(found["service_time"]["sum_seconds"] == 1.00001);
  const double end = static_cast<double>(bucket_begin(bucket_of(1'000'000) + 1)) / 1e6;
  CHECK(found["service_time"]["buckets"] == nlohmann::json{{6e-6, 2}, {end, 1}});
  CHECK(found["queue_delay"]["buckets"] == nlohmann::json::array());
  CHECK(found["threads"][0].is_null());
  CHECK(found["threads"][1] == nlohmann::json{{"phase", "request"},
                                              {"seconds", 0.25},
                                              {"deadline_seconds", -0.5},
                                              {"method", "GET"},
                                              {"target", "/a\"b"},
                                              {"peer", "192.0.2.1:7"}});
}

TEST_CASE("what an application counts itself stands in the answer, and is parsed back to what it was") {
  Histogram times;
  times.add(bucket_of(5), 2);
  times.add(bucket_of(1'000'000), 1);
  times.add_sum(std::chrono::microseconds(1'000'010));
  PoolReport pool{.name = "kv", .metrics_left_out = true};
  pool.metrics = {{.name = "keys", .labels = {}, .help = {}, .value = std::int64_t{-7}},
                  {.name = "hits_total",
                   .labels = {{"code", "5"}, {"command", "a\"\\\n"}},
                   .help = "Hits.",
                   .value = std::uint64_t{18'446'744'073'709'551'615U}},
                  {.name = "seconds", .labels = {}, .help = {}, .value = times}};
  const std::string line = to_line(DaemonReport{.pools = {pool}});
  const auto metrics = nlohmann::json::parse(line)["result"]["pools"][0]["metrics"];
  CHECK(metrics[0] ==
        nlohmann::json{
            {"name", "keys"}, {"kind", "gauge"}, {"labels", nlohmann::json::object()}, {"help", ""}, {"value", -7}});
  CHECK(metrics[1]["kind"] == "counter");
  CHECK(metrics[1]["labels"] == nlohmann::json{{"code", "5"}, {"command", "a\"\\\n"}});
  CHECK(metrics[1]["value"] == 18'446'744'073'709'551'615U);
  CHECK(metrics[2]["count"] == 3);
  CHECK(metrics[2]["sum_seconds"] == 1.00001);
  CHECK(metrics[2]["buckets"].size() == 2);
  const auto parsed = parse_daemon_report(line);
  REQUIRE(parsed.has_value());
  const PoolReport& again = parsed->pools.at(0);
  CHECK(again.metrics_left_out);
  REQUIRE(again.metrics.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(again.metrics[i].name == pool.metrics[i].name);
    CHECK(again.metrics[i].labels == pool.metrics[i].labels);
    CHECK(again.metrics[i].help == pool.metrics[i].help);
    CHECK(again.metrics[i].kind() == pool.metrics[i].kind());
  }
  CHECK(std::get<std::int64_t>(again.metrics[0].value) == -7);
  CHECK(std::get<std::uint64_t>(again.metrics[1].value) == 18'446'744'073'709'551'615U);
  CHECK(std::get<Histogram>(again.metrics[2].value).count(bucket_of(5)) == 2);
  CHECK(std::get<Histogram>(again.metrics[2].value).sum() == times.sum());
}

TEST_CASE("the control socket is in the runtime directory, never in a home or at a relative path") {
  using Folders = std::vector<std::string>;
  CHECK(folders(own_control_places(
            {.runtime_directory = "/run/a:/run/b", .user_directory = "/run/user/1", .uid = 0})) == Folders{"/run/a"});
  CHECK(folders(own_control_places({.user_directory = "/run/user/1", .uid = 0})) == Folders{"/run/prongd"});
  CHECK(folders(own_control_places({.user_directory = "/run/user/1", .uid = 1})) == Folders{"/run/user/1/prongd"});
  CHECK(own_control_places({.uid = 1}).empty());
  CHECK(own_control_places({.runtime_directory = "run", .user_directory = "user", .uid = 1}).empty());
}

TEST_CASE("a client asks its own daemon first, then the system's") {
  using Folders = std::vector<std::string>;
  CHECK(folders(control_places_to_ask({.user_directory = "/run/user/1", .uid = 1})) ==
        Folders{"/run/user/1/prongd", "/run/prongd"});
  CHECK(folders(control_places_to_ask({.uid = 1})) == Folders{"/run/prongd"});
  CHECK(folders(control_places_to_ask({.uid = 0})) == Folders{"/run/prongd"});
  CHECK(folders(control_places_to_ask({.runtime_directory = "/run/a", .uid = 1})) == Folders{"/run/a"});
}

}  // namespace prong::ipc
