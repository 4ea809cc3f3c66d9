#include "http/owned_request.hpp"

#include <functional>
#include <utility>

namespace prong::http {

OwnedRequest::OwnedRequest(const Request& request)
    : head_(request.headers.head()),
      positions_(request.headers.positions().begin(), request.headers.positions().end()),
      original_(request.headers.head().data()),
      request_(request),
      has_body_(request.body != nullptr) {
  if (has_body_) body_ = std::move(*request.body);
}

std::string_view OwnedRequest::moved(std::string_view part) const {
  // std::less: the comparison of pointers into different objects is otherwise unspecified.
  const std::less<> before;
  if (before(part.data(), original_) || !before(part.data(), original_ + head_.size())) return part;
  return std::string_view(head_).substr(static_cast<std::size_t>(part.data() - original_), part.size());
}

Request OwnedRequest::view() {
  Request request = request_;
  request.method = moved(request_.method);
  request.target = moved(request_.target);
  request.host = moved(request_.host);
  request.path = moved(request_.path);
  request.prefix = moved(request_.prefix);
  request.query = moved(request_.query);
  request.headers = RequestHeaders(head_, positions_);
  request.body = has_body_ ? &body_ : nullptr;
  return request;
}

}  // namespace prong::http
