// A descriptor that somebody makes readable.
#include <catch2/catch.hpp>

#include "os/event_fd.hpp"
#include "os/socket.hpp"

namespace prong::os {

TEST_CASE("what was signalled is readable until it is taken, once") {
  const auto event = EventFd::create();
  REQUIRE(event.has_value());
  CHECK_FALSE(is_readable(event->fd()));
  CHECK_FALSE(event->take());
  event->signal();
  event->signal();
  CHECK(is_readable(event->fd()));
  CHECK(event->take());
  CHECK_FALSE(event->take());
  CHECK_FALSE(is_readable(event->fd()));
}

TEST_CASE("there may be none") {
  const EventFd none{UniqueFd{}};
  CHECK_FALSE(none.valid());
  CHECK_FALSE(none.take());
}

}  // namespace prong::os
