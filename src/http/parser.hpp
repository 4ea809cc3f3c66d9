// The only room of llhttp: finds where the parts of a request stand, and where it ends, byte by byte if need be.
//
// It copies nothing. The bytes of a head must lie in one piece, but may move between two calls; those of a body are
// handed on and forgotten. What llhttp does not check is checked in request_head and, between the chunks of a body,
// in chunk_framing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "http/body_intake.hpp"
#include "http/request_head.hpp"

namespace prong::http {

class Parser {
 public:
  enum class State : std::uint8_t {
    kBlank,     // nothing of a request has come, at most empty lines
    kHead,      // in the head
    kHeadDone,  // the head is whole and a body follows: parse() goes on with it
    kBody,      // in the body
    kComplete,  // the request is whole: reset() before the next
    kFailed,    // not HTTP: failure() says how to refuse it; reset() before the next
  };

  explicit Parser(std::size_t max_fields);
  Parser(Parser&&) noexcept;
  Parser& operator=(Parser&&) noexcept;
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;
  ~Parser();

  // Looks at request[next] and what follows, where `request` begins with the first byte of the request as long as its
  // head is not whole; in the body only what follows `next` has to be there. Returns how far it came: behind the head
  // at kHeadDone, behind the request at kComplete, else the end.
  // What it finds of the body goes to `intake`, which is needed from kHeadDone on.
  [[nodiscard]] std::size_t parse(std::span<const char> request, std::size_t next, BodyIntake* intake);

  [[nodiscard]] State state() const;
  // The status to refuse the request with, at kFailed.
  [[nodiscard]] std::uint16_t failure() const;
  // Whether the request line has not ended yet.
  [[nodiscard]] bool in_request_line() const;
  // Whether the version of the request has been read, and is 1.0 or 1.1.
  [[nodiscard]] bool knows_version() const;
  // Whole from kHeadDone on, but for what check_head() adds.
  [[nodiscard]] RequestHead& head();
  [[nodiscard]] const RequestHead& head() const;

  // Ready for the first byte of a request.
  void reset();

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace prong::http
