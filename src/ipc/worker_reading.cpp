#include "ipc/worker_reading.hpp"

#include <algorithm>

namespace prong::ipc {
namespace {

// What no worker does: ten events in a microsecond, or ten gigabytes in a millisecond. Some more, so that one that has
// lived for no time at all may have done something.
constexpr std::uint64_t kMostEventsPerMicrosecond = 10;
constexpr std::uint64_t kMostBytesPerMicrosecond = 10'000'000;
constexpr std::uint64_t kGrace = 1'000;  // microseconds
// What belongs together is written one after the other, and a worker may be killed in between.
constexpr std::uint64_t kHalfWritten = 8;

template <std::size_t N>
void merge(std::array<std::uint64_t, N>& into, const std::array<std::uint64_t, N>& other) {
  std::ranges::transform(into, other, into.begin(), saturating_sum);
}

}  // namespace

void WorkerCounts::merge(const WorkerCounts& other) {
  for (const auto number :
       {&WorkerCounts::connections, &WorkerCounts::open_connections, &WorkerCounts::begun, &WorkerCounts::requests,
        &WorkerCounts::cut, &WorkerCounts::refused, &WorkerCounts::received_bytes, &WorkerCounts::sent_bytes})
    this->*number = saturating_sum(this->*number, other.*number);
  ipc::merge(classes, other.classes);
  ipc::merge(statuses, other.statuses);
}

// A request is counted as begun before it is counted as over: read the other way round, no reading finds more that are
// over than have begun.
WorkerCounts counts_of(const WorkerCounters& counters) {
  WorkerCounts counts{.connections = value_of(counters.connections),
                      .open_connections = value_of(counters.open_connections),
                      .requests = counters.requests.load(std::memory_order_acquire),
                      .cut = value_of(counters.cut),
                      .refused = value_of(counters.refused),
                      .received_bytes = value_of(counters.received_bytes),
                      .sent_bytes = value_of(counters.sent_bytes)};
  counts.begun = value_of(counters.begun);
  std::ranges::transform(counters.classes, counts.classes.begin(), value_of);
  std::ranges::transform(counters.statuses, counts.statuses.begin(), value_of);
  return counts;
}

WorkerCounts counts_of(const WorkerCell& cell) {
  return {.connections = value_of(cell.connections), .open_connections = value_of(cell.open_connections)};
}

void WorkerTotals::merge(const WorkerTotals& other) {
  counts.merge(other.counts);
  service_time.merge(other.service_time);
  queue_delay.merge(other.queue_delay);
}

WorkerTotals totals_of(const WorkerBoard& board) {
  // First what is counted last, so that no histogram has more than the counts say.
  WorkerTotals totals{
      .counts = {}, .service_time = Histogram::of(board.service_time), .queue_delay = Histogram::of(board.queue_delay)};
  totals.counts = counts_of(board.counters);
  return totals;
}

bool is_plausible(const WorkerTotals& totals, std::chrono::nanoseconds lived) {
  const auto whole = std::chrono::duration_cast<std::chrono::microseconds>(lived).count();
  const std::uint64_t microseconds = static_cast<std::uint64_t>(std::max<std::int64_t>(0, whole)) + kGrace;
  const WorkerCounts& counts = totals.counts;
  const std::uint64_t events = std::max(
      {counts.connections, counts.begun, counts.refused, totals.service_time.count(), totals.queue_delay.count()});
  const std::uint64_t bytes = std::max(counts.received_bytes, counts.sent_bytes);
  if (events / kMostEventsPerMicrosecond > microseconds || bytes / kMostBytesPerMicrosecond > microseconds)
    return false;
  if (counts.requests > counts.begun + kHalfWritten || counts.cut > counts.requests + kHalfWritten ||
      counts.open_connections > counts.connections + kHalfWritten)
    return false;
  // Each answer has one status; one that is not between 100 and 599 has none here.
  const std::uint64_t most_answers = counts.requests + counts.refused + kHalfWritten;
  const auto sum = [](const auto& numbers) {
    std::uint64_t all = 0;
    for (const std::uint64_t number : numbers) all = saturating_sum(all, number);
    return all;
  };
  return sum(counts.classes) <= most_answers && sum(counts.statuses) <= most_answers;
}

std::vector<std::optional<ThreadReading>> read_threads(const Scoreboard& scoreboard, os::TimePoint now) {
  std::vector<std::optional<ThreadReading>> readings;
  readings.reserve(scoreboard.threads().size());
  for (const ThreadCell& cell : scoreboard.threads()) readings.push_back(cell.read(now));
  return readings;
}

WorkerReading read(const Scoreboard& scoreboard, os::TimePoint now) {
  return {.totals = totals_of(scoreboard.board()), .threads = read_threads(scoreboard, now)};
}

}  // namespace prong::ipc
