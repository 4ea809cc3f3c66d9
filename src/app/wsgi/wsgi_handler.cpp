#include "app/wsgi/wsgi_handler.hpp"

#include <chrono>
#include <utility>

namespace prong::app::wsgi {
namespace {

// How soon a thread that has nothing else to do lets go of what was lent for answers.
constexpr std::chrono::seconds kReleaseInterval{1};

}  // namespace

http::Answer WsgiHandler::handle(const http::Request& request) {
  const Locked locked;
  host_->lent.release();
  const Ref environ = environs_->build(request, host_->inputs);
  auto started = std::make_unique<Started>();
  Ref callable = host_->start_responses.make(*started);
  Ref result{PyObject_CallFunctionObjArgs(host_->application.get(), environ.get(), callable.get(), nullptr)};
  if (!result) {
    StartResponseType::release(callable.get());
    throw PythonError{report_exception()};
  }
  return make_answer(
      std::move(result), std::move(started), std::move(callable),
      {.file_wrappers = &host_->file_wrappers, .lent = &host_->lent, .is_head = request.method == "HEAD"});
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
