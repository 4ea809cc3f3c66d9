#include "app/wsgi/wsgi_handler.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "http/origin.hpp"
#include "net/ip_address.hpp"

namespace prong::app::wsgi {
namespace {

// How soon a thread that has nothing else to do lets go of what was lent for answers.
constexpr std::chrono::seconds kReleaseInterval{1};

constexpr std::uint16_t kInternalError = 500;

bool is_loopback(const net::IpAddress& address) {
  switch (address.family) {
    case net::IpAddress::Family::kNone:
      return false;
    case net::IpAddress::Family::kV4:
      return address.bytes.front() == 127;
    case net::IpAddress::Family::kV6:
      break;
  }
  return address == net::IpAddress::parse("::1");
}

// A proxy on this machine, which asks for the whole world, may be one that nobody has called trusted.
bool names_a_proxy(const http::Request& request) {
  constexpr std::array<std::string_view, 7> kFields{
      "forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-server", "x-real-ip",
      "via"};
  return std::ranges::any_of(kFields, [&](std::string_view field) { return request.headers.find(field).has_value(); });
}

// What a traceback shows is for whoever develops the application.
bool is_from_this_machine(const http::Request& request) {
  if (!is_loopback(request.peer.address)) return false;
  if (request.proxies == nullptr) return !names_a_proxy(request);
  return is_loopback(http::origin_of(request).client.address);
}

http::Response page_of(const std::string& page) {
  http::Response response{.status = kInternalError};
  response.headers.add("Content-Type", "text/html; charset=utf-8");
  response.headers.add("Cache-Control", "no-store");
  response.body = page;
  return response;
}

}  // namespace

http::Answer WsgiHandler::handle(const http::Request& request) {
  const Locked locked;
  try {
    return call(request);
  } catch (const PythonError& error) {
    // Whoever made the exception has told the operator.
    const bool is_out = request.early != nullptr && request.early->has_begun;
    if (error.page() == nullptr || is_out || !is_from_this_machine(request)) throw;
    return page_of(*error.page());
  }
}

http::Answer WsgiHandler::call(const http::Request& request) {
  host_->lent.release();
  const Ref environ = environs_->build(request);
  auto started = std::make_unique<Started>();
  started->early = request.early;
  Ref callable = host_->start_responses.make(*started);
  Ref result{PyObject_CallFunctionObjArgs(host_->application.get(), environ.get(), callable.get(), nullptr)};
  if (!result) {
    StartResponseType::release(callable.get());
    throw PythonError{report_exception()};
  }
  const Ref kept = Ref::borrowed(callable.get());
  try {
    return make_answer(
        std::move(result), std::move(started), std::move(callable),
        {.file_wrappers = &host_->file_wrappers, .lent = &host_->lent, .is_head = request.method == "HEAD"});
  } catch (...) {
    StartResponseType::release(kept.get());  // the application may have kept it
    throw;
  }
}

std::optional<os::TimePoint> WsgiHandler::do_housekeeping(os::TimePoint now) {
  if (!host_->lent.any()) return std::nullopt;
  {
    const Locked locked;
    host_->lent.release();
  }
  if (!host_->lent.any()) return std::nullopt;
  return now + kReleaseInterval;
}

}  // namespace prong::app::wsgi
