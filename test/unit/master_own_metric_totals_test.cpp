// What a pool's workers have counted themselves, over deaths and reloads.
#include <catch2/catch.hpp>

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "master/own_metric_totals.hpp"
#include "master/pool_totals.hpp"
#include "walk.hpp"

namespace prong::master {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kMostCount = std::numeric_limits<std::uint64_t>::max();
constexpr std::int64_t kMostLevel = std::numeric_limits<std::int64_t>::max();

ipc::OwnMetric counter(const std::string& name, std::uint64_t value, const ipc::MetricLabels& labels = {}) {
  return {.name = name, .labels = labels, .help = "Help of " + name, .value = value};
}

ipc::OwnMetric gauge(const std::string& name, std::int64_t value) {
  return {.name = name, .labels = {}, .help = {}, .value = value};
}

ipc::OwnMetric histogram(const std::string& name, std::uint64_t count) {
  ipc::Histogram histogram;
  histogram.add(ipc::bucket_of(5), count);
  return {.name = name, .labels = {}, .help = {}, .value = histogram};
}

// As "a=1 b{x="1"}=2"; of histograms how many.
std::string text(const OwnMetricTotals& totals) {
  std::string text;
  for (const ipc::OwnMetric& metric : totals.metrics()) {
    if (!text.empty()) text += ' ';
    text += metric.name;
    if (!metric.labels.empty()) text += '{' + ipc::labels_text(metric.labels) + '}';
    text += '=';
    if (const auto* level = std::get_if<std::int64_t>(&metric.value))
      text += std::to_string(*level);
    else if (const auto* found = std::get_if<ipc::Histogram>(&metric.value))
      text += std::to_string(found->count());
    else
      text += std::to_string(std::get<std::uint64_t>(metric.value));
  }
  return text;
}

// So many counters of the value 1, with names that begin in the same way.
OwnReading many(std::string_view begin, std::size_t count, std::uint32_t generation) {
  OwnReading reading{.generation = generation};
  for (std::size_t i = 0; i < count; ++i) {
    std::string number = std::to_string(i);
    number.insert(0, 3 - number.size(), '0');
    reading.metrics.push_back(counter(std::string(begin) + number, 1));
  }
  return reading;
}

std::size_t count_of(const OwnMetricTotals& totals, std::string_view begin) {
  std::size_t count = 0;
  for (const ipc::OwnMetric& metric : totals.metrics()) count += metric.name.starts_with(begin) ? 1 : 0;
  return count;
}

}  // namespace

TEST_CASE("counters and histograms are added up over dead and living workers, gauges over living ones alone") {
  OwnMetricTotals totals;
  totals.add_dead({.generation = 1, .metrics = {counter("c", 5), gauge("g", 7), histogram("h", 2)}});
  CHECK(text(totals) == "c=5 h=2");
  totals.add_live({.generation = 1, .metrics = {counter("c", 3), gauge("g", 4), histogram("h", 1)}});
  totals.add_live({.generation = 1, .metrics = {gauge("g", -6), counter("new", 1)}});
  CHECK(text(totals) == "c=8 g=-2 h=3 new=1");
  CHECK_FALSE(totals.has_left_out());
}

TEST_CASE("each set of labels has a sum of its own") {
  OwnMetricTotals totals;
  totals.add_dead({.generation = 1, .metrics = {counter("c", 1, {{"x", "1"}}), counter("c", 2, {{"x", "2"}})}});
  totals.add_live({.generation = 1, .metrics = {counter("c", 10, {{"x", "2"}}), counter("c", 20)}});
  CHECK(text(totals) == R"(c=20 c{x="1"}=1 c{x="2"}=12)");
}

TEST_CASE("sums stop at the end of the numbers") {
  OwnMetricTotals totals;
  totals.add_live(
      {.generation = 1, .metrics = {counter("c", kMostCount), gauge("g", kMostLevel), gauge("h", -kMostLevel)}});
  totals.add_live({.generation = 1, .metrics = {counter("c", 2), gauge("g", 2), gauge("h", -2)}});
  CHECK(text(totals) == "c=18446744073709551615 g=9223372036854775807 h=-9223372036854775808");
}

TEST_CASE("a name that changes its kind at a reload has the new one, and is again what it was if that is undone") {
  OwnMetricTotals dead;
  dead.add_dead({.generation = 1, .metrics = {counter("a", 5), counter("b", 1)}});
  OwnMetricTotals totals = dead;
  totals.add_live({.generation = 2, .metrics = {gauge("a", 3)}});
  CHECK(text(totals) == "a=3 b=1");
  totals = dead;
  totals.add_live({.generation = 1, .metrics = {counter("a", 1)}});
  totals.add_live({.generation = 2, .metrics = {gauge("a", 3)}});
  CHECK(text(totals) == "a=3 b=1");
  dead.add_dead({.generation = 2, .metrics = {gauge("a", 3)}});
  dead.add_live({.generation = 3, .metrics = {counter("a", 2)}});
  CHECK(text(dead) == "a=7 b=1");
}

TEST_CASE("the help is that of the newest generation") {
  OwnMetricTotals totals;
  for (const std::uint32_t generation : {2U, 3U, 1U})
    totals.add_dead(
        {.generation = generation,
         .metrics = {{.name = "a", .labels = {}, .help = std::to_string(generation), .value = std::uint64_t{1}}}});
  REQUIRE(totals.metrics().size() == 1);
  CHECK(totals.metrics().front().help == "3");
  CHECK(text(totals) == "a=3");
}

TEST_CASE("names that no module has any more make room for those of a newer generation, and for no others") {
  OwnMetricTotals totals;
  totals.add_dead(many("old", 40, 1));
  totals.add_dead(many("kept", 20, 1));
  totals.add_dead(many("kept", 20, 2));
  totals.add_dead(many("new", 40, 2));
  CHECK(totals.metrics().size() == OwnMetricTotals::kMost);
  CHECK(count_of(totals, "kept") == 20);
  CHECK(count_of(totals, "new") == 40);
  CHECK(count_of(totals, "old") == 4);
  // Of the same generation: who comes first stays, and its sum only grows.
  totals.add_dead(many("other", 60, 2));
  CHECK(count_of(totals, "other") == 4);
  CHECK(count_of(totals, "new") == 40);
  // An older one takes no place.
  totals.add_dead(many("late", 60, 1));
  CHECK(count_of(totals, "late") == 0);
}

TEST_CASE("living workers that name more than there may be are told of, and lose nothing that has been told") {
  OwnMetricTotals totals;
  totals.add_dead(many("a", 64, 1));
  totals.add_live(many("a", 64, 1));
  CHECK_FALSE(totals.has_left_out());
  totals.add_live(many("b", 10, 1));
  CHECK(totals.has_left_out());
  CHECK(count_of(totals, "a") == 64);
  OwnMetricTotals reloaded;
  reloaded.add_dead(many("a", 64, 1));
  reloaded.add_live(many("b", 64, 2));
  CHECK_FALSE(reloaded.has_left_out());
  CHECK(count_of(reloaded, "b") == 64);
  reloaded.add_live(many("c", 64, 3));
  CHECK(reloaded.has_left_out());
  CHECK(count_of(reloaded, "b") == 64);
}

TEST_CASE(
    "whatever workers name, there are never more names than there may be, and no counter of one generation falls") {
  auto random = test::chance(4711);
  OwnMetricTotals totals;
  std::map<std::string, std::uint64_t> before;
  for (int round = 0; round < 2'000; ++round) {
    OwnReading reading{.generation = 1};
    for (std::size_t i = 0; i < random() % 64; ++i) {
      const std::string name = "n" + std::to_string(random() % 200);
      reading.metrics.push_back(random() % 3 == 0 ? histogram(name + "h", random() % 10)
                                                  : counter(name, random() % 4 == 0 ? kMostCount / 3 : random() % 10));
    }
    totals.add_dead(reading);
    const auto metrics = totals.metrics();
    REQUIRE(metrics.size() <= OwnMetricTotals::kMost);
    std::map<std::string, std::uint64_t> now;
    for (const ipc::OwnMetric& metric : metrics)
      now[metric.name] = metric.kind() == ipc::MetricKind::kCounter ? std::get<std::uint64_t>(metric.value)
                                                                    : std::get<ipc::Histogram>(metric.value).count();
    for (const auto& [name, value] : before) REQUIRE((now.contains(name) && now[name] >= value));
    before = std::move(now);
  }
  CHECK(before.size() == OwnMetricTotals::kMost);
}

TEST_CASE("what a worker that has overwritten its numbers has counted itself is not believed either") {
  PoolBook book;
  const DeathNote note{.worker = "a", .text = "left", .cause = "reload", .expected = true, .at = {}};
  const OwnReading own{.generation = 1, .metrics = {counter("c", 5)}};
  book.bury("shop", {}, own, 1s, note);
  book.bury("shop", {.counts = {.connections = kMostCount}, .service_time = {}, .queue_delay = {}}, own, 1s, note);
  CHECK(text(book.of("shop").own) == "c=5");
  PoolTotals live = book.of("shop");
  live.add_live({}, own, 1s);
  live.add_live({.counts = {.connections = kMostCount}, .service_time = {}, .queue_delay = {}}, own, 1s);
  CHECK(text(live.own) == "c=10");
  CHECK(text(book.of("shop").own) == "c=5");
}

}  // namespace prong::master
