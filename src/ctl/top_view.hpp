// What `prongctl top` shows, as lines of text: no terminal here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/enum_text.hpp"
#include "ctl/json_view.hpp"

namespace prong::ctl {

// By which column the workers are sorted; all but kWorker with the largest on top.
enum class TopSort : std::uint8_t { kWorker, kBusy, kConnections, kRate, kLatency, kMemory, kProcessor, kAge };
inline constexpr EnumText<TopSort, 8> kTopSortText{{{{TopSort::kWorker, "worker"},
                                                     {TopSort::kBusy, "busy"},
                                                     {TopSort::kConnections, "connections"},
                                                     {TopSort::kRate, "requests/s"},
                                                     {TopSort::kLatency, "p99"},
                                                     {TopSort::kMemory, "memory"},
                                                     {TopSort::kProcessor, "cpu"},
                                                     {TopSort::kAge, "age"}}}};
[[nodiscard]] TopSort next(TopSort sort);

// The operator's side of the screen.
struct TopView {
  std::size_t lines = 24;
  std::size_t columns = 80;
  TopSort sort = TopSort::kWorker;
  bool reversed = false;
  double picked_pid = 0;  // of the worker that is picked; 0: the first one
  bool holds = false;     // nothing new is asked
};

// What two answers of the daemon say, one a moment after the other.
struct TopData {
  std::optional<Json> now;      // nothing: none has come yet
  std::optional<Json> earlier;  // nothing: no rates yet
  std::string failure;          // why `now` is not fresh; empty: it is
};

enum class TopStyle : std::uint8_t { kPlain, kTitle, kPicked, kAlarm, kFaint };
struct TopLine {
  std::string text;  // never wider than the screen
  TopStyle style = TopStyle::kPlain;
};
// At most view.lines of them, the last one with the keys. The picked worker is always among them, with what each of its
// threads is doing.
[[nodiscard]] std::vector<TopLine> top_screen(const TopData& data, const TopView& view);

// The worker that is `step` rows below (above, if negative) the picked one, by its pid.
[[nodiscard]] double neighbour(const TopData& data, const TopView& view, int step);

}  // namespace prong::ctl
