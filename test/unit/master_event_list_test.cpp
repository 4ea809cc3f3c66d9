// The latest deaths and reloads.
#include <catch2/catch.hpp>

#include <string>

#include "master/event_list.hpp"

namespace prong::master {
namespace {

constexpr auto kDeath = ipc::EventReport::Kind::kDeath;

Event death(const std::string& text, bool expected) {
  return {.kind = kDeath, .subject = "s", .text = text, .expected = expected, .at = {}};
}

}  // namespace

TEST_CASE("events stand in the order in which they came, and reloads are counted by outcome") {
  EventList list;
  list.note(death("first", false));
  list.note_reload({.subject = "generation 2", .text = "done", .expected = true, .at = {}});
  list.note_reload({.subject = "generation 2", .text = "failed", .expected = false, .at = {}});
  REQUIRE(list.events().size() == 3);
  CHECK(list.events()[0].text == "first");
  CHECK(list.events()[1].kind == ipc::EventReport::Kind::kReload);
  CHECK(list.events()[2].text == "failed");
  CHECK(list.reloads_done() == 1);
  CHECK(list.reloads_failed() == 1);
}

TEST_CASE("a list that is full loses expected deaths first, and then what is oldest") {
  EventList list;
  list.note(death("crash", false));
  for (std::size_t i = 0; i < 10 * EventList::kMost; ++i) list.note(death("left " + std::to_string(i), true));
  REQUIRE(list.events().size() == EventList::kMost);
  CHECK(list.events().front().text == "crash");
  CHECK(list.events().back().text == "left 319");
  for (std::size_t i = 0; i < EventList::kMost; ++i) list.note(death("crash " + std::to_string(i), false));
  REQUIRE(list.events().size() == EventList::kMost);
  CHECK(list.events().front().text == "crash 0");
}

TEST_CASE("a long text is cut") {
  EventList list;
  list.note(death(std::string(1'000'000, 'x'), false));
  CHECK(list.events().front().text.size() == EventList::kMostText + 3);
}

}  // namespace prong::master
