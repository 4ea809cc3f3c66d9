#include "ipc/control_link.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <utility>

#include "os/socket.hpp"

namespace prong::ipc {
namespace {

// The scoreboards of more workers than a pool may have.
constexpr std::size_t kMostAnswer = std::size_t{64} << 20U;
constexpr std::size_t kRead = std::size_t{64} << 10U;

}  // namespace

Result<std::string> ControlLink::ask(const ControlRequest& request, Duration patience) {
  const std::lock_guard turn{turn_};
  if (owed_) {
    auto late = take_line(os::now());
    if (!late) return late;
    if (late->empty()) return failure("the master has not answered the question before");
    owed_ = false;
  }
  if (!fd_.valid()) return failure("the master has ended the connection");
  const std::string line = to_line(request);
  const iovec part{.iov_base = const_cast<char*>(line.data()), .iov_len = line.size()};
  // Nothing waits in the socket, so a line fits.
  if (const os::IoResult sent = os::send(fd_.get(), std::span{&part, 1}, os::More::kNo); sent.bytes != line.size())
    return broken("the question cannot be sent");
  auto answer = take_line(os::now() + patience);
  if (answer && answer->empty()) {
    owed_ = true;
    return failure(fmt::format("the master did not answer within {}", to_text(patience)));
  }
  return answer;
}

Result<std::string> ControlLink::take_line(os::TimePoint deadline) {
  std::array<char, kRead> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init): receive() fills it
  std::size_t searched = 0;
  while (fd_.valid()) {
    if (const std::size_t end = input_.find('\n', searched); end != std::string::npos) {
      std::string line = input_.substr(0, end + 1);
      input_.erase(0, end + 1);
      return line;
    }
    searched = input_.size();
    if (input_.size() > kMostAnswer) return broken("its answer is too long");
    const os::IoResult got = os::receive(fd_.get(), buffer);
    if (got.error != 0 || got.end) return broken("the master has ended the connection");
    input_.append(buffer.data(), got.bytes);
    if (!got.would_block) continue;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - os::now());
    if (left <= Duration::zero()) return std::string{};
    (void)os::wait_readable(fd_.get(), left);
  }
  return failure("the master has ended the connection");
}

// Who is out of step once cannot know what an answer belongs to.
Result<std::string> ControlLink::broken(std::string_view why) {
  fd_.reset();
  input_.clear();
  return failure(std::string{why});
}

}  // namespace prong::ipc
