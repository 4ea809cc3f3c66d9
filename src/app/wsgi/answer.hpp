// What an application has returned, as an answer: whole where its size is known, else made while it is sent.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "app/wsgi/file_wrapper.hpp"
#include "app/wsgi/python.hpp"
#include "app/wsgi/start_response.hpp"
#include "http/handler.hpp"

namespace prong::app::wsgi {

// Objects whose bytes are being sent. The I/O thread is the last to need them, and never takes the interpreter lock, so
// they wait here until an application thread has it. Shared by all threads of a worker.
class Lent {
 public:
  // With the lock: text that lives as long as anybody holds it.
  [[nodiscard]] net::SharedText lend(Ref bytes);
  // With the lock: lets go of what nobody needs any more.
  void release();
  // Whether something is lent, or waits to be let go of.
  [[nodiscard]] bool any() const { return count_.load(std::memory_order_relaxed) > 0; }

 private:
  std::atomic<std::size_t> count_ = 0;
  std::mutex mutex_;
  std::vector<PyObject*> returned_;
};

struct AnswerContext {
  const FileWrapperType* file_wrappers = nullptr;
  Lent* lent = nullptr;  // lives as long as the process
  bool is_head = false;
};

// With the lock. `result` is what the application returned, `started` what it told `callable`, which is released when
// it cannot be called any more, or by the caller after a PythonError, with the result's close() called. Once write()
// has sent something the rest is sent too, and nothing is in the answer.
[[nodiscard]] http::Response make_answer(Ref result, std::unique_ptr<Started> started, Ref callable,
                                         const AnswerContext& context);

}  // namespace prong::app::wsgi
