#include "master/event_list.hpp"

#include <algorithm>
#include <utility>

namespace prong::master {

void EventList::note(Event event) {
  if (events_.size() >= kMost) {
    // A reload ends as many workers as there are, and must not push out the crash that it came to mend.
    const auto dispensable = std::ranges::find_if(
        events_, [](const Event& old) { return old.expected && old.kind == ipc::EventReport::Kind::kDeath; });
    events_.erase(dispensable == events_.end() ? events_.begin() : dispensable);
  }
  if (event.text.size() > kMostText) event.text = event.text.substr(0, kMostText) + "...";
  events_.push_back(std::move(event));
}

void EventList::note_reload(Event reload) {
  ++(reload.expected ? reloads_done_ : reloads_failed_);
  reload.kind = ipc::EventReport::Kind::kReload;
  note(std::move(reload));
}

}  // namespace prong::master
