// What an application counts itself: defined in the worker from any thread, read by the master as bytes that may be
// anything.
#include <catch2/catch.hpp>

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "forked.hpp"
#include "ipc/own_metrics.hpp"
#include "ipc/scoreboard.hpp"
#include "walk.hpp"

namespace prong::ipc {
namespace {

using namespace std::chrono_literals;

// In memory of its own: the cells are a hundred kilobytes of zeros.
struct Area {
  std::unique_ptr<OwnMetricCells> cells = std::make_unique<OwnMetricCells>();
  OwnMetrics metrics{*cells};

  [[nodiscard]] std::vector<OwnMetric> read() const { return read_own_metrics(*cells); }
  [[nodiscard]] std::string error(MetricKind kind, const MetricName& name) {
    const auto text = [](const auto& made) { return made ? "good" : made.error().text(); };
    switch (kind) {
      case MetricKind::kCounter:
        return text(metrics.counter(name));
      case MetricKind::kGauge:
        return text(metrics.gauge(name));
      case MetricKind::kHistogram:
        break;
    }
    return text(metrics.histogram(name));
  }
};

constexpr auto kCounter = MetricKind::kCounter;
constexpr auto kGauge = MetricKind::kGauge;
constexpr auto kHistogram = MetricKind::kHistogram;

std::string name_of(std::size_t number) {
  return "m" + std::to_string(number);
}

bool is_printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
}

}  // namespace

TEST_CASE("a worker without metrics of its own has none to read") {
  CHECK(Area{}.read().empty());
  const auto scoreboard = Scoreboard::create(1);
  REQUIRE(scoreboard.has_value());
  CHECK(scoreboard->own_metric_cells() == nullptr);
  CHECK(scoreboard->own_metrics() == nullptr);
}

TEST_CASE("what an application counts is read with its name, its labels and its help") {
  Area area;
  const auto hits =
      area.metrics.counter({.name = "kv_hits_total", .labels = R"(command="get",code="5")", .help = "Hits."});
  const auto keys = area.metrics.gauge({.name = "kv_keys", .help = "Keys that are held."});
  const auto times = area.metrics.histogram({.name = "kv_seconds"});
  REQUIRE((hits && keys && times));
  (*hits)->fetch_add(3, std::memory_order_relaxed);
  (*keys)->fetch_sub(7, std::memory_order_relaxed);
  (*times)->observe(5us);
  (*times)->observe(1s);
  (*times)->observe(-1s);
  const std::vector<OwnMetric> read = area.read();
  REQUIRE(read.size() == 3);
  CHECK(read[0].name == "kv_hits_total");
  CHECK(read[0].labels == MetricLabels{{"code", "5"}, {"command", "get"}});
  CHECK(read[0].help == "Hits.");
  CHECK(read[0].kind() == kCounter);
  CHECK(std::get<std::uint64_t>(read[0].value) == 3);
  CHECK(read[1].kind() == kGauge);
  CHECK(read[1].labels.empty());
  CHECK(std::get<std::int64_t>(read[1].value) == -7);
  CHECK(read[2].kind() == kHistogram);
  CHECK(read[2].help.empty());
  const auto& histogram = std::get<Histogram>(read[2].value);
  CHECK(histogram.count() == 3);
  CHECK(histogram.count(bucket_of(5)) == 1);
  CHECK(histogram.sum() == 1'000'005us);
}

TEST_CASE("the same name and labels give the same cell, in any order of the labels; others have their own") {
  Area area;
  const auto first = area.metrics.counter({.name = "a", .labels = R"(x="1",y="2")", .help = "First."});
  const auto again = area.metrics.counter({.name = "a", .labels = R"(y="2",x="1")", .help = "Second."});
  const auto other = area.metrics.counter({.name = "a", .labels = R"(x="1",y="3")"});
  const auto none = area.metrics.counter({.name = "a"});
  REQUIRE((first && again && other && none));
  CHECK(*first == *again);
  CHECK(std::set{*first, *other, *none}.size() == 3);
  REQUIRE(area.read().size() == 3);
  CHECK(area.read()[0].help == "First.");
  const auto histogram = area.metrics.histogram({.name = "b", .labels = R"(x="1")"});
  CHECK(*histogram == *area.metrics.histogram({.name = "b", .labels = R"(x="1")"}));
  CHECK(*histogram != *area.metrics.histogram({.name = "b", .labels = R"(x="2")"}));
  CHECK(reinterpret_cast<std::uintptr_t>(*first) % alignof(std::atomic<std::uint64_t>) == 0);
}

TEST_CASE("names that are none are refused with the reason, and nothing is defined") {
  Area area;
  for (const std::string& name :
       {std::string{}, std::string{"9a"}, std::string{"a-b"}, std::string{"a b"}, std::string{"a:b"},
        std::string{"\xc3\xa4"}, std::string{"a\n"}, std::string(64, 'a'), std::string("a\0b", 3)}) {
    CAPTURE(name);
    CHECK_THAT(area.error(kCounter, {.name = name}), Catch::Contains("a name is of 1 to 63 letters, digits and _"));
  }
  CHECK(area.error(kGauge, {.name = "prongd_x"}) ==
        "cannot define the gauge \"prongd_x\": names that begin with prongd_ are the daemon's own");
  CHECK(area.read().empty());
  CHECK(area.error(kCounter, {.name = std::string(63, 'a')}) == "good");
  CHECK(area.error(kCounter, {.name = "_A9"}) == "good");
  CHECK(area.error(kCounter, {.name = "prongd"}) == "good");
}

TEST_CASE("labels that are none are refused with the reason") {
  Area area;
  const auto error = [&](std::string_view labels) { return area.error(kCounter, {.name = "a", .labels = labels}); };
  for (const char* labels : {"x", "x=", "x=1", "=\"1\"", "x =\"1\"", "{x=\"1\"}", "x=\"1\",", R"(x="1"y="2")", ",",
                             "9=\"1\"", R"(x="1", y="2")", "x:y=\"1\"", "x=\"1\" "}) {
    CAPTURE(labels);
    CHECK_THAT(error(labels), Catch::Contains(R"(its labels are not of the form code="5",command="get")"));
  }
  for (const char* labels : {"x=\"", "x=\"1", R"(x="\")", R"(x="\t")", "x=\"a\nb\"", "x=\"\xc3\xa4\"", "x=\"\\"}) {
    CAPTURE(labels);
    CHECK_THAT(error(labels), Catch::Contains(R"(the value of its label "x" is not printable ASCII in quotes)"));
  }
  for (const char* labels : {"pool=\"a\"", R"(x="1",le="2")", "__name__=\"a\""}) {
    CAPTURE(labels);
    CHECK_THAT(error(labels), Catch::Contains("is not for applications"));
  }
  CHECK_THAT(error(R"(x="1",y="2",x="1")"), Catch::Contains("two labels \"x\""));
  CHECK_THAT(error("x=\"" + std::string(kMostMetricLabels, 'a') + '"'), Catch::Contains("more than 160 bytes"));
  CHECK(area.read().empty());
  CHECK(error("x=\"\",y=\"a,b={}\\\\\\\"\\n\"") == "good");
  CHECK(area.read().at(0).labels == MetricLabels{{"x", ""}, {"y", "a,b={}\\\"\n"}});
  CHECK(error("x=\"" + std::string(kMostMetricLabels - 4, 'a') + '"') == "good");
}

TEST_CASE("help is one line that is not too long") {
  Area area;
  CHECK_THAT(area.error(kCounter, {.name = "a", .help = "a\nb"}), Catch::Contains("not one line of printable ASCII"));
  CHECK_THAT(area.error(kCounter, {.name = "a", .help = std::string(161, 'h')}),
             Catch::Contains("more than 160 bytes"));
  CHECK(area.error(kCounter, {.name = std::string(63, 'n'),
                              .labels = "x=\"" + std::string(156, 'v') + '"',
                              .help = std::string(160, 'h')}) == "good");
  REQUIRE(area.read().size() == 1);
  CHECK(area.read()[0].name == std::string(63, 'n'));
  CHECK(area.read()[0].labels.at("x") == std::string(156, 'v'));
  CHECK(area.read()[0].help == std::string(160, 'h'));
}

TEST_CASE("a name has one kind, whatever its labels") {
  Area area;
  CHECK(area.error(kCounter, {.name = "a", .labels = "x=\"1\""}) == "good");
  CHECK(area.error(kGauge, {.name = "a"}) == "cannot define the gauge \"a\": it is a counter already");
  CHECK(area.error(kHistogram, {.name = "a", .labels = "x=\"1\""}) ==
        "cannot define the histogram \"a\": it is a counter already");
  CHECK(area.read().size() == 1);
}

TEST_CASE("no metric takes a name that another one has for Prometheus") {
  Area area;
  CHECK(area.error(kHistogram, {.name = "a_seconds"}) == "good");
  CHECK(area.error(kCounter, {.name = "a_seconds_count"}) ==
        "cannot define the counter \"a_seconds_count\": for Prometheus \"a_seconds_count\" is of the histogram "
        "\"a_seconds\" already");
  CHECK(area.error(kCounter, {.name = "b_total"}) == "good");
  CHECK_THAT(area.error(kGauge, {.name = "b"}), Catch::Contains("of the counter \"b_total\" already"));
  CHECK(area.error(kGauge, {.name = "c_sum"}) == "good");
  CHECK_THAT(area.error(kHistogram, {.name = "c"}), Catch::Contains("of the gauge \"c_sum\" already"));
  CHECK(area.error(kGauge, {.name = "a"}) == "good");
}

TEST_CASE("there are no more metrics than there may be, and those that are there stay") {
  Area area;
  for (std::size_t i = 0; i < kMostOwnHistograms; ++i)
    REQUIRE(area.metrics.histogram({.name = name_of(i)}).has_value());
  CHECK_THAT(area.error(kHistogram, {.name = "more"}), Catch::Contains("there are 16 histograms already"));
  for (std::size_t i = kMostOwnHistograms; i < kMostOwnMetrics; ++i) {
    const auto counter = area.metrics.counter({.name = name_of(i)});
    REQUIRE(counter.has_value());
    (*counter)->fetch_add(i);
  }
  CHECK_THAT(area.error(kCounter, {.name = "more"}), Catch::Contains("there are 64 metrics already"));
  CHECK_THAT(area.error(kGauge, {.name = "more"}), Catch::Contains("let no client choose their values"));
  CHECK(area.error(kCounter, {.name = name_of(63)}) == "good");
  const auto read = area.read();
  REQUIRE(read.size() == kMostOwnMetrics);
  CHECK(std::get<std::uint64_t>(read[63].value) == 63);
}

TEST_CASE("threads that define and count the same at once lose nothing, and a reader sees only what is whole") {
  Area area;
  constexpr std::uint64_t kThreads = 4;
  constexpr std::uint64_t kRounds = 2'000;
  std::atomic<std::uint64_t> running = kThreads;
  std::atomic<bool> all_good = true;
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (std::uint64_t t = 0; t < kThreads; ++t)
    threads.emplace_back([&] {
      for (std::uint64_t i = 0; i < kRounds; ++i) {
        const std::string labels = "n=\"" + std::to_string(i % 30) + '"';
        const auto counter = area.metrics.counter({.name = "c", .labels = labels, .help = "Help."});
        const auto histogram = area.metrics.histogram({.name = "h", .labels = "n=\"" + std::to_string(i % 5) + '"'});
        if (counter) (*counter)->fetch_add(1, std::memory_order_relaxed);
        if (histogram) (*histogram)->observe(1us);
        all_good = all_good && counter && histogram;
      }
      --running;
    });
  bool whole = true;
  while (running > 0)
    for (const OwnMetric& metric : area.read())
      whole = whole && metric.labels.contains("n") &&
              (metric.kind() == kHistogram ? metric.name == "h" : metric.name == "c" && metric.help == "Help.");
  for (std::thread& thread : threads) thread.join();
  CHECK(all_good);
  CHECK(whole);
  std::map<MetricKind, std::uint64_t> counted;
  for (const OwnMetric& metric : area.read())
    counted[metric.kind()] +=
        metric.kind() == kHistogram ? std::get<Histogram>(metric.value).count() : std::get<std::uint64_t>(metric.value);
  CHECK(area.read().size() == 35);
  CHECK(counted[kCounter] == kThreads * kRounds);
  CHECK(counted[kHistogram] == kThreads * kRounds);
}

TEST_CASE("what a worker has counted itself is there when it has crashed, beside its threads") {
  auto scoreboard = Scoreboard::create(2, RoomForOwnMetrics::kYes);
  REQUIRE(scoreboard.has_value());
  CHECK(scoreboard->own_metrics() == nullptr);
  os::UniqueFd fd = scoreboard->take_descriptor();
  const auto told = test::run_forked([&](int) -> std::string {
    auto opened = Scoreboard::open(std::move(fd), 2, RoomForOwnMetrics::kYes);
    if (!opened) return "cannot open it";
    const Scoreboard moved = *std::move(opened);
    moved.threads()[1].begin({.method = "GET", .target = "/"});
    const auto counter = moved.own_metrics()->counter({.name = "a"});
    if (!counter) return "cannot define it";
    (*counter)->fetch_add(5);
    (void)std::raise(SIGKILL);
    return "survived";
  });
  CHECK(told.code == SIGKILL);
  const Scoreboard moved = *std::move(scoreboard);
  REQUIRE(moved.own_metric_cells() != nullptr);
  const auto read = read_own_metrics(*moved.own_metric_cells());
  REQUIRE(read.size() == 1);
  CHECK(std::get<std::uint64_t>(read[0].value) == 5);
  CHECK(moved.threads()[1].read(os::TimePoint::max())->work() == "GET /");
}

TEST_CASE("a scoreboard without room for them is not taken for one with") {
  auto scoreboard = Scoreboard::create(1);
  REQUIRE(scoreboard.has_value());
  CHECK_FALSE(Scoreboard::open(scoreboard->take_descriptor(), 1, RoomForOwnMetrics::kYes).has_value());
}

TEST_CASE("what a worker has written twice, or not as workers do, is left out") {
  Area area;
  for (const char* name : {"a", "b", "c"}) REQUIRE(area.metrics.counter({.name = name, .labels = R"(x="1",y="2")"}));
  auto& cells = area.cells->metrics;
  cells[1].define({.kind = kCounter, .histogram = 0, .name = "a", .labels = R"(x="1",y="2")", .help = "Again."});
  CHECK(area.read().size() == 2);
  // Another order of the labels.
  cells[1].define({.kind = kCounter, .histogram = 0, .name = "a", .labels = R"(y="2",x="1")", .help = {}});
  CHECK(area.read().size() == 2);
  cells[1].define({.kind = kHistogram, .histogram = kMostOwnHistograms, .name = "b", .labels = {}, .help = {}});
  CHECK(area.read().size() == 2);
  cells[1].define({.kind = static_cast<MetricKind>(3), .histogram = 0, .name = "b", .labels = {}, .help = {}});
  CHECK(area.read().size() == 2);
  cells[1].define({.kind = kGauge, .histogram = 0, .name = "prongd_b", .labels = {}, .help = {}});
  CHECK(area.read().size() == 2);
  cells[1].define({.kind = kGauge, .histogram = 0, .name = "b", .labels = R"(pool="1")", .help = {}});
  CHECK(area.read().size() == 2);
  cells[1].define({.kind = kGauge, .histogram = 0, .name = "b", .labels = {}, .help = {}});
  CHECK(area.read().size() == 3);
  // Nothing is read behind a cell that is free.
  std::memset(static_cast<void*>(cells.data()), 0, sizeof(OwnMetricCell));
  CHECK(area.read().empty());
}

TEST_CASE("any bytes at all are read as nothing, or as metrics that keep the rules") {
  auto random = test::chance(4711);
  std::size_t understood = 0;
  for (int round = 0; round < 3'000; ++round) {
    Area area;
    for (std::size_t i = 0; i < 20; ++i)
      (void)area.metrics.counter({.name = name_of(i), .labels = R"(x="1",y="a\\b")"});
    for (std::size_t i = 0; i < 5; ++i) (void)area.metrics.histogram({.name = "h" + name_of(i), .help = "Help."});
    const std::span bytes{reinterpret_cast<unsigned char*>(area.cells.get()), sizeof(OwnMetricCells)};
    const std::span front = bytes.first(25 * sizeof(OwnMetricCell));
    // A few wild writes where something stands, or all over it, or a copy of one piece over another.
    const std::size_t writes = round % 3 == 0 ? 20'000 : random() % 60;
    for (std::size_t i = 0; i < writes; ++i) front[random() % front.size()] = static_cast<unsigned char>(random());
    if (round % 3 == 1) {
      const std::size_t size = random() % 600;
      std::memmove(&front[random() % (front.size() - size)], &front[random() % (front.size() - size)], size);
    }
    if (round % 7 == 0) std::ranges::generate(bytes, [&] { return static_cast<unsigned char>(random()); });
    const auto metrics = area.read();
    understood += metrics.size();
    CHECK(metrics.size() <= kMostOwnMetrics);
    std::set<std::pair<std::string, MetricLabels>> seen;
    for (const OwnMetric& metric : metrics) {
      CHECK(check_metric_name(metric.name).has_value());
      CHECK(check_metric_help(metric.help).has_value());
      CHECK(is_printable(labels_text(metric.labels)));
      CHECK(parse_metric_labels(labels_text(metric.labels)).value() == metric.labels);
      CHECK(seen.emplace(metric.name, metric.labels).second);
    }
  }
  CHECK(understood > 10'000);
}

}  // namespace prong::ipc
