// A body that an application thread makes and the I/O thread sends: what is made and not yet sent is bounded, and who
// makes it waits while the bound is reached.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "http/handler.hpp"

namespace prong::worker {

class BodyPipe {
 public:
  explicit BodyPipe(std::size_t most) : most_(most) {}

  // On the application thread: takes the source's bytes until it ends or nobody wants them. `tell` is called when the
  // I/O thread, which had found nothing, has something to send. The text of an exception, or empty.
  [[nodiscard]] std::string fill(http::BodySource& source, const std::function<void()>& tell);

  // On the I/O thread.
  [[nodiscard]] http::BodySource::State read(std::string& into, std::size_t most);
  // The client is gone.
  void abandon();

 private:
  [[nodiscard]] std::optional<std::size_t> wait_for_room();
  [[nodiscard]] bool put(std::string_view part, http::BodySource::State state);

  std::mutex mutex_;
  std::condition_variable has_room_;
  std::size_t most_;
  std::string waiting_;
  http::BodySource::State state_ = http::BodySource::State::kWait;  // of what is behind `waiting_`
  bool reader_waits_ = true;  // the I/O thread has found nothing, and is to be told
  bool abandoned_ = false;
};

// The I/O thread's end. Its session destroys it when the client is gone or the body has ended.
[[nodiscard]] std::unique_ptr<http::BodySource> make_reader(std::shared_ptr<BodyPipe> pipe,
                                                            std::optional<std::uint64_t> size);

}  // namespace prong::worker
