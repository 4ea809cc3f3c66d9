// The supervisor's part for workers that become the user's program: what it hears of them on the way, their output, and
// what they say about themselves. A program knows nothing of prongd, so whatever it does is a fact and never a bug.
#include <fmt/format.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <csignal>
#include <utility>

#include "base/escape.hpp"
#include "log/log.hpp"
#include "master/program_notice.hpp"
#include "master/python_stack.hpp"
#include "master/supervisor.hpp"
#include "os/bounded_file.hpp"
#include "os/process.hpp"
#include "os/signals.hpp"

namespace prong::master {
namespace {

// An IPv6 address with a scope is shorter (RFC 4007, section 11).
constexpr std::size_t kLongestClient = 64;
// Datagrams of one program in one turn of the loop.
constexpr int kMostNotices = 16;
constexpr std::chrono::seconds kRefusalInterval{1};

}  // namespace

// The master's ends are the slot's; the program's end of the pipe is returned, to be closed after the fork.
Result<os::UniqueFd> Supervisor::open_program_ends(const Place& place, ipc::Inheritance& inheritance) {
  const config::ExecConfig* exec = exec_of(*place.pool);
  if (exec == nullptr && !std::holds_alternative<config::WsgiConfig>(place.pool->config->app)) return os::UniqueFd{};
  Program& program = place.slot->program;
  auto pipe = os::make_pipe();
  if (!pipe) return failure(std::move(pipe.error()));
  program.output.emplace(std::move(pipe->reader));
  auto key = watch(program.output->fd(), place, Source::kOutput);
  if (!key) return failure(std::move(key.error()));
  program.output_key = *key;
  inheritance.stderr_fd = pipe->writer.get();
  if (exec == nullptr) {
    auto stack = os::make_bounded_file("prongd-python-stack", PythonStack::kMostBytes);
    if (!stack) return failure(std::move(stack.error()));
    program.stack = std::move(*stack);
    inheritance.stack_fd = program.stack.get();
  }
  if (exec != nullptr && exec->style == config::ExecStyle::kListener && !exec->ready) {
    auto notify = os::NotifySocket::create();
    if (!notify) return failure(std::move(notify.error()));
    program.notify = std::move(*notify);
    key = watch(program.notify.fd(), place, Source::kNotify);
    if (!key) return failure(std::move(key.error()));
    program.notify_key = *key;
    inheritance.notify_address = program.notify.address();
  }
  return std::move(pipe->writer);
}

void Supervisor::close_program_ends(Program& program) {
  if (program.output) unwatch(program.output->fd(), program.output_key);
  if (program.notify.valid()) unwatch(program.notify.fd(), program.notify_key);
}

void Supervisor::note_taken(const Place& place, const ipc::Taken& taken, os::TimePoint now) {
  if (!serves_by_spares(*place.pool)) return;
  Slot& slot = *place.slot;
  if (slot.state == SlotState::kTaken) {
    // It did not wait for our answer, gave its connection up, and has another one.
    slot.program.kind = ProgramKind::kNone;
    apply(place, SlotEvent::kReturned, {}, now);
  }
  if (slot.state != SlotState::kServing && slot.state != SlotState::kDraining) return;
  std::string client = escaped(taken.address, kLongestClient, Quotes::kKeep);
  if (const std::uint32_t most = exec_of(*place.pool)->max_per_address; most > 0) {
    const bool allowed = client.empty() || programs_in(place.pool->config->name, &client) < most;
    (void)slot.channel.send(ipc::Proceed{.allowed = allowed});  // without an answer it gives the connection up
    if (!allowed) return report_refusal(place, client, now);
  }
  slot.program.kind = ProgramKind::kConnection;
  slot.program.since = now;
  slot.program.client = std::move(client);
  slot.let_go_due.reset();  // its listeners go with the exec
  apply(place, SlotEvent::kTaken, {}, now);
}

void Supervisor::note_executing(const Place& place, os::TimePoint now) {
  Slot& slot = *place.slot;
  if (exec_of(*place.pool) == nullptr || serves_by_spares(*place.pool)) return;
  slot.program.kind = ProgramKind::kListener;
  slot.program.since = now;
}

// The channel is close-on-exec: its end after Taken or Executing is the exec, unless the worker said that it failed.
void Supervisor::note_channel_end(const Place& place, os::TimePoint now) {
  Slot& slot = *place.slot;
  if (slot.program.kind == ProgramKind::kNone || !slot.start_failure.empty()) return;
  slot.exit_due.reset();
  slot.channel.close();
  slot.channel_ended = false;  // nothing is wrong with it
  if (slot.program.kind != ProgramKind::kListener) return;
  if (const auto& ready = exec_of(*place.pool)->ready) slot.program.ready_due = now + *ready;
  // Told to stop before it was a program: that signal may have met a worker that ignores it.
  if (slot.program.asked_by != 0) (void)os::send_signal(slot.pid, slot.program.asked_by);
}

void Supervisor::read_output(const Place& place, os::TimePoint now) {
  Program& program = place.slot->program;
  if (!program.output) return;
  ProgramOutput& output = *program.output;
  const ProgramOutput::Lines came = output.read(now);
  log_output(place, came.lines);
  switch (came.state) {
    case ProgramOutput::State::kOpen:
      return;
    case ProgramOutput::State::kPaused:
      unwatch(output.fd(), program.output_key);
      program.output_resume = output.resume_at();
      return;
    case ProgramOutput::State::kEnded:
      unwatch(output.fd(), program.output_key);
      program.output.reset();
      return;
  }
}

void Supervisor::resume_output(const Place& place, os::TimePoint now) {
  Program& program = place.slot->program;
  program.output_resume.reset();
  if (!program.output) return;
  auto key = watch(program.output->fd(), place, Source::kOutput);
  if (!key) {  // no memory in the kernel: tried again
    program.output_resume = now + ProgramOutput::kInterval;
    return;
  }
  program.output_key = *key;
}

void Supervisor::log_output(const Place& place, const std::vector<std::string>& lines) {
  for (const std::string& line : lines)
    log::write(log::Plain::kInfo, subject(place), fmt::format("output: {}", escaped(line, line.size(), Quotes::kKeep)));
}

// What the interpreter was at, from its last words: a line for each of theirs, and for the obituary the innermost.
std::string Supervisor::log_python_stack(const Place& place) {
  const Program& program = place.slot->program;
  if (!program.stack.valid()) return {};
  auto text = os::read_bounded_file(program.stack.get(), PythonStack::kMostBytes);
  if (!text) {
    log::write(log::Coded::kWarn, MessageCode::kPythonStackUnreadable, subject(place),
               fmt::format("cannot read its Python stack: {}", text.error().text()));
    return {};
  }
  const PythonStack stack = parse_python_stack(*text);
  for (const std::string& line : stack.lines)
    log::write(log::Plain::kInfo, subject(place), fmt::format("stack: {}", line));
  return stack.innermost;
}

void Supervisor::read_notices(const Place& place, os::TimePoint now) {
  Slot& slot = *place.slot;
  for (int i = 0; i < kMostNotices; ++i) {
    const auto datagram = slot.program.notify.receive();
    if (!datagram) return;
    const auto sender = datagram->sender;
    const auto& identity = place.pool->identity;
    const bool is_program = identity && sender == identity->user.uid;
    if (!sender || (*sender != 0 && *sender != ::geteuid() && !is_program)) continue;
    ProgramNotice notice = parse_notice(datagram->text);
    if (notice.status && *notice.status != slot.program.status) {
      slot.program.status = std::move(*notice.status);
      log::write(log::Plain::kInfo, subject(place), fmt::format("status: {}", slot.program.status));
    }
    if (!notice.ready) continue;
    drain_channel(place, now);  // what it said as a worker came first
    if (slot.state == SlotState::kStarting) apply(place, SlotEvent::kReady, {}, now);
  }
}

std::size_t Supervisor::programs_in(const std::string& pool, const std::string* client) const {
  std::size_t count = 0;
  for (const auto& generation : generations_) {
    for (const Pool& other : generation->pools) {
      if (other.config->name != pool) continue;
      for (const Slot& slot : other.slots)
        if (slot.program.kind == ProgramKind::kConnection && (client == nullptr || slot.program.client == *client))
          ++count;
    }
  }
  return count;
}

void Supervisor::report_refusal(const Place& place, const std::string& client, os::TimePoint now) {
  Pool& pool = *place.pool;
  if (pool.refusal_logged && now - *pool.refusal_logged < kRefusalInterval) {
    ++pool.refusals_untold;
    return;
  }
  pool.refusal_logged = now;
  const std::uint32_t untold = std::exchange(pool.refusals_untold, 0);
  log::warn(MessageCode::kClientRefused,
            "pool {}: refused a connection from {}, which has max_per_address = {} already{}", pool.config->name,
            client, exec_of(pool)->max_per_address,
            untold > 0 ? fmt::format(" ({} more refused since the last such line)", untold) : std::string{});
}

int Supervisor::stop_signal(const Place& place) {
  const config::ExecConfig* exec = exec_of(*place.pool);
  if (exec == nullptr) return SIGTERM;
  return os::signal_number(exec->stop_signal).value_or(SIGTERM);
}

}  // namespace prong::master
