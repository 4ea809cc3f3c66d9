// What the daemon tells as metrics, and the two formats in which it does.
#include <catch2/catch.hpp>

#include <array>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "app/status/metrics.hpp"
#include "app/status/metrics_text.hpp"
#include "app/status/own_metrics.hpp"
#include "app/status/status_pages.hpp"
#include "app_request.hpp"

// Fields that are not named have their defaults, which is meant.
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

using namespace prong;
using namespace prong::app;
using namespace std::chrono_literals;

namespace {

constexpr auto kOpen = MetricsFormat::kOpenMetrics;
constexpr auto kOld = MetricsFormat::kPrometheus;

MetricsFormat choice(std::initializer_list<test::Fields::Field> fields) {
  return choose_metrics_format(test::Fields(fields).headers());
}

bool has_line(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

ipc::DaemonReport daemon_with(std::vector<ipc::WorkerReport> workers, std::uint32_t generation = 2) {
  return {.version = "1.0",
          .state = "serving",
          .generation = generation,
          .pools = {{.name = "shop", .app = "wsgi", .wanted = 1, .ready = 1}},
          .workers = std::move(workers)};
}

}  // namespace

TEST_CASE("a counter is named without its suffix in OpenMetrics, and with it in Prometheus' format") {
  const MetricFamily family{.name = "a_bytes", .type = MetricType::kCounter, .unit = "bytes", .help = "Help."};
  MetricsText open{kOpen};
  open.begin(family);
  open.add({}, std::uint64_t{18'446'744'073'709'551'615U});
  CHECK(std::move(open).finish() ==
        "# TYPE a_bytes counter\n# UNIT a_bytes bytes\n# HELP a_bytes Help.\n"
        "a_bytes_total 18446744073709551615\n# EOF\n");
  MetricsText old{kOld};
  old.begin(family);
  old.add({{"pool", "x"}}, 1.5);
  CHECK(std::move(old).finish() ==
        "# TYPE a_bytes_total counter\n# HELP a_bytes_total Help.\na_bytes_total{pool=\"x\"} 1.5\n");
}

TEST_CASE("an info is one in OpenMetrics, and a gauge in Prometheus' format") {
  const MetricFamily family{.name = "a", .type = MetricType::kInfo, .help = "Help."};
  MetricsText open{kOpen};
  open.begin(family);
  open.add({{"v", "1"}, {"w", "2"}}, std::uint64_t{1});
  CHECK(std::move(open).finish() == "# TYPE a info\n# HELP a Help.\na_info{v=\"1\",w=\"2\"} 1\n# EOF\n");
  MetricsText old{kOld};
  old.begin(family);
  old.add({{"v", "1"}}, std::uint64_t{1});
  CHECK(std::move(old).finish() == "# TYPE a_info gauge\n# HELP a_info Help.\na_info{v=\"1\"} 1\n");
}

TEST_CASE("values of labels are escaped") {
  MetricsText text{kOld};
  text.begin({.name = "a", .help = "Help."});
  text.add({{"l", "\"a\\b\nc{},="}}, std::uint64_t{0});
  CHECK(has_line(std::move(text).finish(), R"(a{l="\"a\\b\nc{},="} 0)"));
}

TEST_CASE("a histogram has its buckets, its sum and its count") {
  MetricsText text{kOpen};
  text.begin({.name = "a_seconds", .type = MetricType::kHistogram, .unit = "seconds", .help = "Help."});
  const std::array<CumulativeBucket, 2> buckets{{{.bound = "0.5", .count = 1}, {.bound = "+Inf", .count = 3}}};
  text.add_histogram({{"p", "x"}}, buckets, 4.25);
  CHECK(std::move(text).finish() ==
        "# TYPE a_seconds histogram\n# UNIT a_seconds seconds\n# HELP a_seconds Help.\n"
        "a_seconds_bucket{p=\"x\",le=\"0.5\"} 1\na_seconds_bucket{p=\"x\",le=\"+Inf\"} 3\n"
        "a_seconds_sum{p=\"x\"} 4.25\na_seconds_count{p=\"x\"} 3\n# EOF\n");
}

TEST_CASE("OpenMetrics is told only to who names it, in a version that is spoken") {
  CHECK(choice({}) == kOld);
  CHECK(choice({{"Accept", "*/*"}}) == kOld);
  CHECK(choice({{"Accept", "application/*"}}) == kOld);
  CHECK(choice({{"Accept", "application/openmetrics-text"}}) == kOpen);
  CHECK(choice({{"Accept", "text/plain;q=0.9 , Application/OpenMetrics-Text ; version=1.0.0 ; q=0.1"}}) == kOpen);
  CHECK(choice({{"Accept", "text/plain"}, {"accept", "application/openmetrics-text;version=\"1.0.0\""}}) == kOpen);
  CHECK(choice({{"Accept", "application/openmetrics-text;version=0.0.1"}}) == kOld);
  CHECK(choice({{"Accept", "application/openmetrics-text;q=0"}}) == kOld);
  CHECK(choice({{"Accept", "application/openmetrics-text;q=0.000"}}) == kOld);
  CHECK(choice({{"Accept", "application/openmetrics-textual"}}) == kOld);
  CHECK(choice({{"Accept", ";;,,;q="}}) == kOld);
}

TEST_CASE("what is told of a histogram is an exact sum of the scoreboard's buckets") {
  ipc::DaemonReport daemon = daemon_with({});
  ipc::HistogramCells cells{};
  // One in each of its buckets, at its least duration.
  for (std::size_t bucket = 0; bucket < ipc::kBuckets; ++bucket)
    cells.add(std::chrono::microseconds(ipc::bucket_begin(bucket)));
  daemon.pools.front().served.service_time = ipc::Histogram::of(cells);
  const std::string text = metrics_of(daemon, kOpen);
  const std::string start = R"(prongd_pool_service_time_seconds_bucket{pool="shop",le=")";
  // 16 us: 0, 1, 2 and 3 us, and two octaves of four buckets.
  CHECK(has_line(text, start + "1.6e-05\"} 12"));
  CHECK(has_line(text, start + "0.000256\"} 28"));
  CHECK(has_line(text, start + "0.001024\"} 36"));
  CHECK(has_line(text, start + "1.048576\"} 76"));
  CHECK(has_line(text, start + "67.108864\"} 100"));
  CHECK(has_line(text, start + "+Inf\"} 132"));
  CHECK(has_line(text, "prongd_pool_service_time_seconds_count{pool=\"shop\"} 132"));
  CHECK(has_line(text, "prongd_pool_queue_delay_seconds_count{pool=\"shop\"} 0"));
}

TEST_CASE("each worker has histograms of its own") {
  ipc::HistogramCells cells{};
  cells.add(std::chrono::microseconds(20));
  cells.add(std::chrono::seconds(100));
  ipc::WorkerReport worker{.pool = "shop", .slot = 3, .generation = 1};
  worker.served.service_time = ipc::Histogram::of(cells);
  const std::string text = metrics_of(daemon_with({worker, {.pool = "shop", .slot = 4, .generation = 1}}, 1), kOpen);
  const std::string start = R"(prongd_worker_service_time_seconds_bucket{pool="shop",worker="3",le=")";
  CHECK(has_line(text, start + "1.6e-05\"} 0"));
  CHECK(has_line(text, start + "6.4e-05\"} 1"));
  CHECK(has_line(text, start + "67.108864\"} 1"));
  CHECK(has_line(text, start + "+Inf\"} 2"));
  CHECK(has_line(text, "prongd_worker_service_time_seconds_sum{pool=\"shop\",worker=\"3\"} 100.00002"));
  CHECK(has_line(text, "prongd_worker_service_time_seconds_count{pool=\"shop\",worker=\"4\"} 0"));
  CHECK(has_line(text, "prongd_worker_queue_delay_seconds_count{pool=\"shop\",worker=\"3\"} 0"));
}

TEST_CASE("of two workers in one slot the one that serves is told") {
  const auto told = [](std::vector<ipc::WorkerReport> workers, std::uint32_t generation) {
    const std::string text = metrics_of(daemon_with(std::move(workers), generation), kOpen);
    const std::string start = R"(prongd_worker_generation{pool="shop",worker="0"} )";
    const std::size_t at = text.find(start);
    REQUIRE(at != std::string::npos);
    CHECK(text.find(start, at + 1) == std::string::npos);
    return text.substr(at + start.size(), 1);
  };
  const ipc::WorkerReport first{.pool = "shop", .generation = 1};
  const ipc::WorkerReport second{.pool = "shop", .generation = 2};
  const ipc::WorkerReport third{.pool = "shop", .generation = 3};
  CHECK(told({first, second}, 2) == "2");
  CHECK(told({second, third, first}, 2) == "2");  // the third one is being raised
  CHECK(told({first, third}, 2) == "1");          // a pool that was not reloaded with the others
  CHECK(told({third}, 2) == "3");
  CHECK(told({first, second}, 0) == "2");  // the daemon stops
}

TEST_CASE("workers that a reload has replaced are counted apart") {
  const auto previous = [](std::vector<ipc::WorkerReport> workers) {
    const std::string text = metrics_of(daemon_with(std::move(workers)), kOpen);
    const std::string start = "prongd_pool_previous_generation_workers{pool=\"shop\"} ";
    return text.substr(text.find(start) + start.size(), 1);
  };
  const ipc::WorkerReport old{.pool = "shop", .generation = 1};
  const ipc::WorkerReport serving{.pool = "shop", .slot = 1, .generation = 2};
  const ipc::WorkerReport coming{.pool = "shop", .slot = 1, .generation = 3};
  CHECK(previous({old, old, serving, coming}) == "2");
  CHECK(previous({old, old, coming}) == "0");  // nothing has replaced them yet
  CHECK(previous({}) == "0");
}

namespace {

ipc::OwnMetric own(std::string name, ipc::MetricValue value, ipc::MetricLabels labels = {}, std::string help = {}) {
  return {.name = std::move(name), .labels = std::move(labels), .help = std::move(help), .value = value};
}

// What is told of the modules' own metrics alone.
std::string own_text(const std::vector<ipc::PoolReport>& pools, MetricsFormat format) {
  MetricsText text{format};
  tell_own_metrics(pools, text);
  return std::move(text).finish();
}

}  // namespace

TEST_CASE("what a module counts has its own name, the pool before its own labels, and help and type once") {
  ipc::HistogramCells cells{};
  cells.add(20us);
  ipc::PoolReport shop{.name = "shop"};
  shop.metrics = {own("hits_total", std::uint64_t{5}, {{"code", "5"}, {"get", "a\"b\\\n"}}),
                  own("hits_total", std::uint64_t{18'446'744'073'709'551'615U}, {}, R"(Hits "or" \ misses.)"),
                  own("keys", std::int64_t{-7}, {}, "Keys."),
                  own("time_seconds", ipc::Histogram::of(cells), {{"a", "1"}})};
  ipc::PoolReport other{.name = "other"};
  other.metrics = {own("hits_total", std::uint64_t{1})};
  const std::string end = "# TYPE prongd_pool_metrics_left_out gauge\n# HELP prongd_pool_metrics_left_out Whether";
  const std::string old = own_text({shop, other, {.name = "files"}}, kOld);
  CHECK_THAT(old, Catch::StartsWith("# TYPE hits_total counter\n# HELP hits_total Hits \"or\" \\\\ misses.\n"
                                    "hits_total{pool=\"shop\",code=\"5\",get=\"a\\\"b\\\\\\n\"} 5\n"
                                    "hits_total{pool=\"shop\"} 18446744073709551615\n"
                                    "hits_total{pool=\"other\"} 1\n"
                                    "# TYPE keys gauge\n# HELP keys Keys.\nkeys{pool=\"shop\"} -7\n"
                                    "# TYPE time_seconds histogram\n"
                                    "time_seconds_bucket{pool=\"shop\",a=\"1\",le=\"1.6e-05\"} 0\n"
                                    "time_seconds_bucket{pool=\"shop\",a=\"1\",le=\"6.4e-05\"} 1\n"));
  CHECK_THAT(old, Catch::Contains("time_seconds_sum{pool=\"shop\",a=\"1\"} 2e-05\n"
                                  "time_seconds_count{pool=\"shop\",a=\"1\"} 1\n" +
                                  end));
  CHECK(has_line(old, "prongd_pool_metrics_left_out{pool=\"shop\"} 0"));
  CHECK_FALSE(has_line(old, "prongd_pool_metrics_left_out{pool=\"files\"} 0"));
  const std::string open = own_text({shop, other}, kOpen);
  CHECK_THAT(open, Catch::StartsWith("# TYPE hits counter\n# HELP hits Hits \\\"or\\\" \\\\ misses.\nhits_total{"));
}

TEST_CASE("a counter whose name is not that of one for OpenMetrics keeps it, and is of unknown type there") {
  ipc::PoolReport shop{.name = "shop"};
  shop.metrics = {own("hits", std::uint64_t{5})};
  CHECK_THAT(own_text({shop}, kOpen), Catch::StartsWith("# TYPE hits unknown\nhits{pool=\"shop\"} 5\n"));
  CHECK_THAT(own_text({shop}, kOld), Catch::StartsWith("# TYPE hits counter\nhits{pool=\"shop\"} 5\n"));
}

TEST_CASE("of two pools that name different things alike the first one is told, and that the other one is not") {
  ipc::PoolReport shop{.name = "shop"};
  shop.metrics = {own("a", std::uint64_t{1}), own("b_seconds", ipc::Histogram{})};
  ipc::PoolReport other{.name = "other"};
  other.metrics = {own("a", std::int64_t{2}), own("b_seconds_count", std::uint64_t{3}), own("c", std::int64_t{4})};
  for (const MetricsFormat format : {kOld, kOpen}) {
    const std::string text = own_text({shop, other}, format);
    CHECK(has_line(text, "a{pool=\"shop\"} 1"));
    CHECK(has_line(text, "b_seconds_count{pool=\"shop\"} 0"));
    CHECK(has_line(text, "c{pool=\"other\"} 4"));
    CHECK(has_line(text, "prongd_pool_metrics_left_out{pool=\"shop\"} 0"));
    CHECK(has_line(text, "prongd_pool_metrics_left_out{pool=\"other\"} 1"));
    CHECK(text.find("a{pool=\"other\"}") == std::string::npos);
    CHECK(text.find("b_seconds_count{pool=\"other\"}") == std::string::npos);
    CHECK(has_line(text, "# pool other: the gauge a is left out: it does not go with the counter a of pool shop") ==
          (format == kOld));
    CHECK(has_line(text,
                   "# pool other: the counter b_seconds_count is left out: it does not go with the histogram "
                   "b_seconds of pool shop") == (format == kOld));
  }
  shop.metrics_left_out = true;
  CHECK(has_line(own_text({shop}, kOpen), "prongd_pool_metrics_left_out{pool=\"shop\"} 1"));
}

TEST_CASE("the daemon is ready while each pool that it wants has a worker") {
  ipc::DaemonReport daemon{.state = "serving", .pools = {{.name = "shop", .wanted = 2, .ready = 1}}};
  CHECK_FALSE(why_not_ready(daemon).has_value());
  daemon.state = "reloading";
  CHECK_FALSE(why_not_ready(daemon).has_value());
  daemon.state = "stopping";
  CHECK(why_not_ready(daemon) == "the daemon is stopping");
  daemon.state = "serving";
  daemon.pools.push_back({.name = "cat", .wanted = 4, .busy = 1});
  CHECK_FALSE(why_not_ready(daemon).has_value());
  daemon.pools.back().busy = 0;
  CHECK(why_not_ready(daemon) == "pool cat has no worker that is ready");
  daemon.pools.back().wanted = 0;  // only an older generation has it
  CHECK_FALSE(why_not_ready(daemon).has_value());
  daemon.pools.front().paused = true;
  CHECK(why_not_ready(daemon) == "pool shop is paused");
}
