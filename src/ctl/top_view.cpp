#include "ctl/top_view.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "ctl/figures.hpp"
#include "ctl/rows.hpp"
#include "ctl/table.hpp"

namespace prong::ctl {
namespace {

// The rows that threads of the picked worker take at the most.
constexpr std::size_t kMostThreadLines = 12;

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

// Never in the middle of a character of UTF-8.
void cut_to(std::string& text, std::size_t size) {
  if (text.size() <= size) return;
  constexpr unsigned kContinuationMask = 0xC0;
  constexpr unsigned kContinuation = 0x80;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & kContinuationMask) == kContinuation) --size;
  text.resize(size);
}

using Earlier = std::optional<Json>;

double sort_value(const Json& worker, const Json& now, const Earlier& earlier, TopSort sort) {
  const auto figures = [&] { return worker_figures(worker, now, earlier); };
  switch (sort) {
    case TopSort::kWorker:
      return 0;
    case TopSort::kBusy:
      return number_of(worker, "inside");
    case TopSort::kConnections:
      return number_of(worker, "open_connections");
    case TopSort::kRate:
      return figures().requests_per_second.value_or(0);
    case TopSort::kLatency:
      return figures().service_99.value_or(0);
    case TopSort::kMemory:
      return number_of(worker, "resident_bytes");
    case TopSort::kProcessor:
      return figures().processor_share.value_or(0);
    case TopSort::kAge:
      return number_of(worker, "age_seconds");
  }
  return 0;
}

// As they come, by pool and slot, when they are equal.
std::vector<const Json*> sorted_workers(const Json& now, const Earlier& earlier, const TopView& view) {
  std::vector<std::pair<double, const Json*>> keyed;
  for (const Json* worker : entries(now, "workers"))
    keyed.emplace_back(sort_value(*worker, now, earlier, view.sort), worker);
  std::ranges::stable_sort(keyed, [](const auto& a, const auto& b) { return a.first > b.first; });
  if (view.reversed) std::ranges::reverse(keyed);
  std::vector<const Json*> workers;
  workers.reserve(keyed.size());
  for (const auto& [key, worker] : keyed) workers.push_back(worker);
  return workers;
}

std::size_t picked_row(const std::vector<const Json*>& workers, double pid) {
  const auto found = std::ranges::find_if(workers, [pid](const Json* w) { return number_of(*w, "pid") == pid; });
  return found == workers.end() ? 0 : static_cast<std::size_t>(found - workers.begin());
}

// At most `most` pools.
std::vector<TopLine> pool_lines(const Json& now, const Earlier& earlier, std::size_t most) {
  std::vector<std::vector<std::string>> rows;
  for (const Json* pool : entries(now, "pools")) rows.push_back(pool_row(*pool, now, earlier));
  std::vector<TopLine> lines;
  for (std::string& line : lines_of(to_table(pool_columns(), rows))) lines.push_back({.text = std::move(line)});
  lines.front().style = TopStyle::kTitle;
  if (lines.size() <= most + 1) return lines;
  const std::size_t hidden = lines.size() - most;  // with the one whose line is taken for saying so
  lines.resize(most);
  lines.push_back({.text = fmt::format("and {} pools more", hidden), .style = TopStyle::kFaint});
  return lines;
}

std::vector<TopLine> detail_lines(const Json& worker, std::size_t most) {
  std::vector<TopLine> lines;
  lines.push_back({.text = fmt::format("{}/{}, pid {}, {}", text_of(worker, "pool"), count_of(worker, "slot"),
                                       count_of(worker, "pid"), text_of(worker, "state")),
                   .style = TopStyle::kTitle});
  for (const Threads which : {Threads::kAll, Threads::kBusy}) {
    // With many threads those that do something are worth the lines.
    const std::vector<std::string> threads = thread_lines(worker, which);
    if (which == Threads::kAll && threads.size() > most) continue;
    for (const std::string& line : threads) lines.push_back({.text = "  " + line});
    break;
  }
  if (lines.size() > most + 1) lines.resize(most + 1);
  return lines;
}

// The rows around the picked one that fit.
void add_workers(const Json& now, const Earlier& earlier, const TopView& view, std::vector<TopLine>& screen,
                 std::size_t room) {
  const std::vector<const Json*> workers = sorted_workers(now, earlier, view);
  if (workers.empty() || room < 2) return;
  std::vector<std::vector<std::string>> rows;
  rows.reserve(workers.size());
  for (const Json* worker : workers) rows.push_back(worker_row(*worker, now, earlier));
  std::vector<std::string> lines = lines_of(to_table(worker_columns(), rows));
  const std::size_t picked = picked_row(workers, view.picked_pid);
  const std::vector<TopLine> details = detail_lines(*workers[picked], std::min(kMostThreadLines, room / 3));
  screen.push_back({.text = std::move(lines.front()), .style = TopStyle::kTitle});
  const std::size_t fits = std::max<std::size_t>(1, room - std::min(room - 1, details.size() + 2));
  const std::size_t shown = std::min(fits, workers.size());
  const std::size_t first = std::min(picked - std::min(picked, shown / 2), workers.size() - shown);
  for (std::size_t i = first; i < first + shown; ++i)
    screen.push_back({.text = std::move(lines[i + 1]), .style = i == picked ? TopStyle::kPicked : TopStyle::kPlain});
  screen.push_back({});
  screen.insert(screen.end(), details.begin(), details.end());
}

std::string keys_of(const TopView& view) {
  return fmt::format("q quit   up/down pick   s sort: {}{}   r reverse   space {}", kTopSortText.text(view.sort),
                     view.reversed ? " (reversed)" : "", view.holds ? "go on" : "hold");
}

}  // namespace

TopSort next(TopSort sort) {
  const auto& all = kTopSortText.entries;
  const auto* const found = std::ranges::find(all, sort, [](const auto& entry) { return entry.first; });
  return found == all.end() || found + 1 == all.end() ? all.front().first : (found + 1)->first;
}

double neighbour(const TopData& data, const TopView& view, int step) {
  if (!data.now) return 0;
  const std::vector<const Json*> workers = sorted_workers(*data.now, data.earlier, view);
  if (workers.empty()) return 0;
  const auto row = static_cast<int>(picked_row(workers, view.picked_pid)) + step;
  return number_of(*workers[static_cast<std::size_t>(std::clamp(row, 0, static_cast<int>(workers.size()) - 1))], "pid");
}

std::vector<TopLine> top_screen(const TopData& data, const TopView& view) {
  std::vector<TopLine> screen;
  if (!data.failure.empty()) screen.push_back({.text = data.failure, .style = TopStyle::kAlarm});
  if (data.now) {
    TopStyle style = TopStyle::kPlain;
    for (std::string& line : lines_of(daemon_lines(*data.now))) {
      screen.push_back({.text = std::move(line), .style = style});
      style = TopStyle::kAlarm;  // the last reload has failed
    }
    // A small terminal has no line to spare, and the workers need theirs.
    constexpr std::size_t kRoomy = 16;
    if (view.lines >= kRoomy) screen.push_back({});
    for (TopLine& line : pool_lines(*data.now, data.earlier, std::max<std::size_t>(view.lines / 3, 1)))
      screen.push_back(std::move(line));
    if (view.lines >= kRoomy) screen.push_back({});
    const std::size_t used = screen.size() + 1;
    add_workers(*data.now, data.earlier, view, screen, view.lines > used ? view.lines - used : 0);
  } else if (data.failure.empty()) {
    screen.push_back({.text = "asking the daemon ...", .style = TopStyle::kFaint});
  }
  const std::size_t room = std::max<std::size_t>(view.lines, 1) - 1;
  screen.resize(room);
  screen.push_back({.text = keys_of(view), .style = TopStyle::kFaint});
  for (TopLine& line : screen) cut_to(line.text, view.columns);
  return screen;
}

}  // namespace prong::ctl
