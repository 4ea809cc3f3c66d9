// Who wants to know of each answer of a session: access logs and counters. The session itself keeps neither.
#pragma once

#include <cstdint>

#include "http/handler.hpp"

namespace prong::http {

// Places are those of Output::sent_total(), so that the observer sees when a byte has been sent. Called on the
// session's thread; must not call the session.
class Observer {
 public:
  Observer() = default;
  Observer(const Observer&) = delete;
  Observer& operator=(const Observer&) = delete;
  Observer(Observer&&) = delete;
  Observer& operator=(Observer&&) = delete;
  virtual ~Observer() = default;

  // The head of a request is whole and good, and it will be answered.
  virtual void request_begins() = 0;
  // An answer has been queued: its head from `begin` to `body_begin`. Of a request that could not be read whole,
  // `request` has what is known, the rest is empty. Both live until it returns.
  virtual void answer_begins(const Request& request, const Response& response, std::uint64_t begin,
                             std::uint64_t body_begin) = 0;
  // All of it is queued, up to `end`. Not called for an answer that broke off.
  virtual void answer_ends(std::uint64_t end) = 0;
};

}  // namespace prong::http
