// The one table of signals and the page that is made of it.
#include <catch2/catch.hpp>

#include <algorithm>
#include <csignal>
#include <set>
#include <string>

#include "master/signal_table.hpp"
#include "os/signals.hpp"

namespace prong::master {

TEST_CASE("each signal stands once in the table") {
  std::set<int> seen;
  for (const SignalEntry& entry : kSignalTable) CHECK(seen.insert(entry.number).second);
  for (const int number : {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGTTIN, SIGTTOU, SIGCHLD})
    CHECK(seen.contains(number));
}

TEST_CASE("signals do what the design says") {
  const auto reaction = [](int number) {
    return std::ranges::find(kSignalTable, number, &SignalEntry::number)->reaction;
  };
  for (const int number : {SIGTERM, SIGINT, SIGQUIT}) CHECK(reaction(number) == SignalReaction::kStop);
  CHECK(reaction(SIGHUP) == SignalReaction::kReload);
  CHECK(reaction(SIGUSR1) == SignalReaction::kReopenLogs);
  CHECK(reaction(SIGUSR2) == SignalReaction::kUpgrade);
  CHECK(reaction(SIGTTIN) == SignalReaction::kOneMore);
  CHECK(reaction(SIGTTOU) == SignalReaction::kOneFewer);
  CHECK(reaction(SIGCHLD) == SignalReaction::kReap);
}

TEST_CASE("the page has a row for each entry, with what the master and a worker do") {
  const std::string page = signals_markdown();
  for (const SignalEntry& entry : kSignalTable) {
    CHECK_FALSE(entry.master.empty());
    CHECK_FALSE(entry.worker.empty());
    // A bar inside a cell would break the table.
    CHECK(entry.master.find('|') == std::string_view::npos);
    CHECK(entry.worker.find('|') == std::string_view::npos);
    const std::string row = "\n| " + std::string{os::signal_name(entry.number).substr(3)} + " | " +
                            std::string{entry.master} + " | " + std::string{entry.worker} + " |\n";
    CHECK_THAT(page, Catch::Contains(row));
  }
  const auto rows = std::ranges::count(page, '|');
  CHECK(rows == static_cast<long>(4 * (kSignalTable.size() + 2)));
}

}  // namespace prong::master
