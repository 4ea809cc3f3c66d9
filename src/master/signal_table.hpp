// What each signal does to the master: the one table that makes the code and docs/signals.md.
#pragma once

#include <array>
#include <csignal>
#include <cstdint>
#include <string>
#include <string_view>

namespace prong::master {

enum class SignalReaction : std::uint8_t {
  kStop,    // graceful; a second one: fast
  kReload,  // as a transaction
  kReopenLogs,
  kUpgrade,  // not in this version
  kOneMore,
  kOneFewer,
  kReap,
};

struct SignalEntry {
  int number;
  SignalReaction reaction;
  std::string_view master;  // what the master does, for the documentation
  std::string_view worker;  // what a worker does with it
};

inline constexpr std::array kSignalTable{
    SignalEntry{SIGTERM, SignalReaction::kStop, "graceful stop; a second one: fast stop",
                "drains: accepts no more, answers what it has, exits; the master replaces it"},
    SignalEntry{SIGINT, SignalReaction::kStop, "graceful stop; a second one: fast stop",
                "ignored: the terminal's Ctrl-C is the master's business"},
    SignalEntry{SIGQUIT, SignalReaction::kStop, "graceful stop; a second one: fast stop", "ignored"},
    SignalEntry{SIGHUP, SignalReaction::kReload, "reload of the configuration, whole or not at all", "ignored"},
    SignalEntry{SIGUSR1, SignalReaction::kReopenLogs,
                "opens the log file and all access logs again, in every worker too", "ignored"},
    SignalEntry{SIGUSR2, SignalReaction::kUpgrade, "nothing yet (kept for the upgrade in place); logs a warning",
                "ignored"},
    SignalEntry{SIGTTIN, SignalReaction::kOneMore, "one worker more in every pool, until the next reload", "ignored"},
    SignalEntry{SIGTTOU, SignalReaction::kOneFewer,
                "one worker fewer in every pool (at least one stays), until the next reload", "ignored"},
    SignalEntry{SIGCHLD, SignalReaction::kReap, "reaps workers that ended", "default"},
};

// docs/signals.md.
[[nodiscard]] std::string signals_markdown();

}  // namespace prong::master
