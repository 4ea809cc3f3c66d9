// The latest deaths and reloads, for whoever looks at the daemon later than they happened. Bounded: the log has all.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "ipc/control.hpp"
#include "os/clock.hpp"

namespace prong::master {

struct Event {
  ipc::EventReport::Kind kind = ipc::EventReport::Kind::kDeath;
  std::string subject;  // who; "shop/worker[0] gen=1 pid=77", "generation 2"
  std::string text;
  bool expected = false;  // nothing that somebody must look after
  os::TimePoint at;
};

class EventList {
 public:
  static constexpr std::size_t kMost = 32;
  static constexpr std::size_t kMostText = 2048;  // bytes of one; the rest is cut

  // When it is full, the oldest death that was expected makes room, else the oldest event.
  void note(Event event);
  // As note(), and counts it. `expected`: it is done, else it has failed.
  void note_reload(Event reload);

  [[nodiscard]] const std::deque<Event>& events() const { return events_; }  // the newest last
  [[nodiscard]] std::uint64_t reloads_done() const { return reloads_done_; }
  [[nodiscard]] std::uint64_t reloads_failed() const { return reloads_failed_; }

 private:
  std::deque<Event> events_;
  std::uint64_t reloads_done_ = 0;
  std::uint64_t reloads_failed_ = 0;
};

}  // namespace prong::master
