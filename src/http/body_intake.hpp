// Where the bytes of a request's body go while they arrive: to a RequestBody for the application, to a BodySink of the
// application, or nowhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "base/error.hpp"
#include "http/handler.hpp"
#include "http/limits.hpp"
#include "http/request_body.hpp"

namespace prong::http {

struct BodyIntake {
  enum class Verdict : std::uint8_t {
    kFine,
    kTooLargeToDrop,  // nobody wants it, and it is more than is read for nothing
    kTooLarge,        // beyond max_body
    kEnough,          // the application wants no more of it
  };

  explicit BodyIntake(const Limits* limits_of_session) : limits(limits_of_session) {}

  // Of the body when that many bytes more have come. A chunk is judged before its data comes, which may be never. The
  // first verdict stands: with it the request is over, and what else is in the same buffer might as well come later.
  void judge(std::uint64_t more) {
    if (failure || verdict != Verdict::kFine) return;
    const std::uint64_t most = limits->max_body.bytes;
    if (size > most || more > most - size)
      verdict = Verdict::kTooLarge;
    else if (!kept && sink == nullptr && size + more > limits->max_dropped_body.bytes)
      verdict = Verdict::kTooLargeToDrop;
  }

  void take(std::span<const char> bytes) {
    size += bytes.size();
    judge(0);
    // A body that is not whole is of no use.
    if (failure || verdict != Verdict::kFine) return;
    if (sink != nullptr) return pass(bytes);
    if (!kept) return;
    auto done = kept->append(bytes, static_cast<std::size_t>(limits->body_buffer.bytes), limits->body_dir);
    if (!done) failure = std::move(done.error());
  }

  // Runs inside the parser, which is C: no exception may get out.
  void pass(std::span<const char> bytes) {
    if (bytes.empty()) return;
    try {
      if (sink->take({bytes.data(), bytes.size()}) == BodySink::Wants::kNothing) verdict = Verdict::kEnough;
    } catch (const std::exception& exception) {
      failure = Error{.message = exception.what()};
    } catch (...) {
      failure = Error{.message = "an exception that is no std::exception"};
    }
  }

  const Limits* limits;
  Verdict verdict = Verdict::kFine;
  std::uint64_t size = 0;                // of the data so far, kept or not
  std::optional<RequestBody> kept = {};  // nothing: the data is dropped
  std::unique_ptr<BodySink> sink = {};   // the same
  std::optional<Error> failure = {};     // why it could not be kept, or taken
};

}  // namespace prong::http
