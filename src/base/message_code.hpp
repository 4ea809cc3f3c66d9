// The codes of the log: every warning and every error line ends in one, such as [PR0101]. A code stands for a cause
// that an operator treats in one way, and stays the same while texts are improved, so that it can be looked up
// (`prongctl explain`, docs/messages.md) and alerted on.
//
// A number is never given away again. A message that is no more moves its number to kRetiredMessageCodes. A new one
// gets an entry in message_table.cpp; test/messages.py holds code, table and use together.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace prong {

enum class MessageCode : std::uint16_t {
  // The start, and what a reload has in common with it
  kCannotStart = 101,
  kConfigurationWrong = 102,
  kCannotListen = 103,
  kCannotOpenLog = 104,
  kSocketsUnused = 105,
  // What the master is asked to do
  kReloadFailed = 201,
  kReloadIgnored = 202,
  kUpgradeUnknown = 203,
  kAdjustmentIgnored = 204,
  // Deaths of workers
  kWorkerCrashed = 301,
  kWorkerKilled = 302,
  kWorkerEndedBySignal = 303,
  kWorkerExited = 304,
  kWorkerCannotStart = 305,
  kWorkerDiedInStart = 306,
  kWorkerStartTooSlow = 307,
  kWorkerStopTooSlow = 308,
  kWorkerLost = 309,
  kWorkerHung = 310,
  kProgramNotExecuted = 311,
  // The life of workers
  kStopNeedsTerm = 401,
  kKillWithoutEffect = 402,
  kCannotSignalWorker = 403,
  kForkFailed = 404,
  kForkWorksAgain = 405,
  kReplacementFailed = 406,
  kLauncherFailed = 407,
  kConnectionsCut = 408,
  kMasterNotTold = 409,
  kMasterGone = 410,
  kReadyNotTold = 411,
  kChannelNotRead = 412,
  kMemoryNotMeasured = 413,
  kMemoryLimitTooLow = 414,
  kPythonStackUnreadable = 415,
  // Requests and connections
  kRequestOverran = 501,
  kRequestWaitedTooLong = 502,
  kApplicationFailed = 503,
  kAnswerNotSpooled = 504,
  kClientRefused = 505,
  kModuleFailed = 506,
  kModuleWarns = 507,
  kModuleComplains = 508,
  kAnswerOverdue = 509,
  kStreamTooSlow = 510,
  kFileCutShort = 511,
  // Listeners
  kBacklogCut = 601,
  kListenerOptionsKept = 602,
  kAcceptModeNotSet = 603,
  kCannotAccept = 604,
  kDescriptorsSpent = 605,
  kConnectionsAtLimit = 606,
  kCannotWatchListener = 607,
  // The control socket
  kNoControlSocket = 701,
  kControlOptionsKept = 702,
  kControlSocketFailed = 703,
  // Logs
  kLogNotReopened = 801,
  kAccessLogNotReopened = 802,
  kAccessLogNotWritten = 803,
  kLogNotWritten = 804,
  kLogLinesLost = 805,
  kAccessLogLinesLost = 806,
  // prongd itself
  kSlotEventUnexpected = 901,
  kEventLoopFailed = 902,
};

// As the log has it: "PR0101".
[[nodiscard]] std::string to_text(MessageCode code);

enum class MessageLevel : std::uint8_t { kWarn, kError };

// What an operator is told about a code: each one or two sentences.
struct Message {
  MessageCode code{};
  MessageLevel level = MessageLevel::kWarn;
  std::string_view summary;  // half a line, lower case, no full stop
  std::string_view cause;
  std::string_view effect;
  std::string_view action;  // what to do
};

// All of them, in the order of their numbers.
[[nodiscard]] std::span<const Message> all_messages();

// What the hundreds of the numbers stand for: "Deaths of workers" for 301 to 399.
[[nodiscard]] std::string_view topic_of(MessageCode code);

// Of a code as people write it: "PR0101", "pr0101", "0101" or "101".
[[nodiscard]] std::optional<Message> find_message(std::string_view written);

// Numbers that had a message once. None yet.
inline constexpr std::span<const std::uint16_t> kRetiredMessageCodes{};

// docs/messages.md.
[[nodiscard]] std::string messages_markdown();

}  // namespace prong
