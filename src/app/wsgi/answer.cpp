#include "app/wsgi/answer.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace prong::app::wsgi {
namespace {

constexpr const char* kNotStarted = "the application returned without calling start_response()";

// What the application returned, with the end that is owed to it: close() is called exactly once, whatever happens
// (PEP 3333, "Specification Details").
class Iterable {
 public:
  explicit Iterable(Ref object) : object_(std::move(object)) {}
  Iterable(const Iterable&) = delete;
  Iterable& operator=(const Iterable&) = delete;
  // With the lock.
  ~Iterable() { close(); }

  [[nodiscard]] PyObject* get() const { return object_.get(); }
  // A failure of it is told and changes nothing: the answer is out.
  void close() {
    if (std::exchange(closed_, true)) return;
    if (PyObject_HasAttrString(object_.get(), "close") == 0) return;
    const Ref done{PyObject_CallMethod(object_.get(), "close", nullptr)};
    if (!done) (void)report_exception();
  }

 private:
  Ref object_;
  bool closed_ = false;
};

std::string_view part_of(PyObject* part) {
  if (PyBytes_Check(part) != 0) return bytes_view(part);
  PyErr_Format(PyExc_TypeError, "the application's answer must be made of bytes, not %R", part);
  throw PythonError{report_exception()};
}

[[noreturn]] void refuse(PyObject* type, const char* text) {
  PyErr_SetString(type, text);
  throw PythonError{report_exception()};
}

// A body of which only the size is said: the answer to HEAD.
class NoBody final : public http::BodySource {
 public:
  explicit NoBody(std::uint64_t size) : size_(size) {}
  [[nodiscard]] State read(std::string& /*into*/, std::size_t /*most*/) override { return State::kFailed; }
  [[nodiscard]] std::optional<std::uint64_t> size() const noexcept override { return size_; }

 private:
  std::uint64_t size_;
};

// A body that is shorter than its Content-Length: what there is is sent, and then the connection is cut.
class ShortBody final : public http::BodySource {
 public:
  ShortBody(std::string text, std::uint64_t size) : text_(std::move(text)), size_(size) {}
  [[nodiscard]] State read(std::string& into, std::size_t /*most*/) override {
    into += std::exchange(text_, {});
    if (!into.empty() && !std::exchange(told_, true)) return State::kMore;
    throw std::runtime_error("the application's answer is shorter than its Content-Length");
  }
  [[nodiscard]] std::optional<std::uint64_t> size() const noexcept override { return size_; }

 private:
  std::string text_;
  std::uint64_t size_;
  bool told_ = false;
};

// The rest of an answer whose first bytes are known.
class Iteration final : public http::BodySource {
 public:
  Iteration(std::unique_ptr<Iterable> result, Ref iterator, Ref callable, std::unique_ptr<Started> started,
            std::string first, Lent& lent)
      : result_(std::move(result)),
        iterator_(std::move(iterator)),
        callable_(std::move(callable)),
        started_(std::move(started)),
        lent_(&lent),
        text_(std::move(first)) {}
  Iteration(const Iteration&) = delete;
  Iteration& operator=(const Iteration&) = delete;
  ~Iteration() override {
    const Locked locked;
    StartResponseType::release(callable_.get());
    result_.reset();
    iterator_ = {};
    callable_ = {};
  }

  [[nodiscard]] State read(std::string& into, std::size_t most) override {
    if (is_empty() && !fetch()) return State::kEnd;
    if (text_.empty()) {
      into.append(large_.text.substr(0, most));
      large_.text.remove_prefix(std::min(most, large_.text.size()));
      return State::kMore;
    }
    const std::size_t size = std::min(most, text_.size() - taken_);
    into.append(text_, taken_, size);
    taken_ += size;
    if (taken_ == text_.size()) {
      text_.clear();
      taken_ = 0;
    }
    return State::kMore;
  }
  [[nodiscard]] http::SharedText lend() override {
    if (is_empty() && !fetch()) return {};
    return text_.empty() ? std::exchange(large_, {}) : http::SharedText{};
  }
  [[nodiscard]] std::optional<std::uint64_t> size() const noexcept override { return started_->content_length; }

 private:
  [[nodiscard]] bool is_empty() const { return text_.empty() && large_.text.empty(); }

  // False: that was all.
  [[nodiscard]] bool fetch() {
    if (ended_) return false;
    const Locked locked;
    lent_->release();
    while (is_empty()) {
      Ref part{PyIter_Next(iterator_.get())};
      text_ += std::exchange(started_->written, {});
      if (!part) {
        ended_ = true;
        if (PyErr_Occurred() != nullptr) throw PythonError{report_exception()};
        return !text_.empty();
      }
      const std::string_view bytes = part_of(part.get());
      if (bytes.size() > http::kMostBorrowedAndCopied)
        large_ = lent_->lend(std::move(part));
      else
        text_ += bytes;
    }
    return true;
  }

  std::unique_ptr<Iterable> result_;
  Ref iterator_;
  Ref callable_;
  std::unique_ptr<Started> started_;
  Lent* lent_;
  std::string text_;        // what comes next
  std::size_t taken_ = 0;   // of it
  http::SharedText large_;  // what comes behind it
  bool ended_ = false;
};

// All of it is there: fits it to what its Content-Length says.
http::Body fitted(std::string text, const Started& started, const AnswerContext& context) {
  const std::optional<std::uint64_t>& said = started.content_length;
  if (!said || *said == text.size()) return text;
  if (context.is_head) return std::make_unique<NoBody>(*said);
  if (text.size() < *said) return std::make_unique<ShortBody>(std::move(text), *said);
  // More than was announced is not sent: the client would take it for the next answer (RFC 9112 section 6.3).
  text.resize(static_cast<std::size_t>(*said));
  return text;
}

// A list or tuple: everything is there, nothing has to be called for it.
http::Response answer_of_parts(const Ref& result, Started& started, const AnswerContext& context) {
  const bool is_list = PyList_Check(result.get()) != 0;
  const Py_ssize_t count = is_list ? PyList_Size(result.get()) : PyTuple_Size(result.get());
  const auto part_at = [&](Py_ssize_t i) {
    return is_list ? PyList_GetItem(result.get(), i) : PyTuple_GetItem(result.get(), i);
  };
  if (!started.called) refuse(PyExc_RuntimeError, kNotStarted);
  if (count == 1 && started.written.empty()) {
    const std::string_view text = part_of(part_at(0));
    const bool fits = !started.content_length || *started.content_length == text.size();
    if (fits && text.size() > http::kMostBorrowedAndCopied) {
      http::Response response = head_of(started);
      response.body = context.lent->lend(Ref::borrowed(part_at(0)));
      return response;
    }
  }
  std::string text = std::exchange(started.written, {});
  for (Py_ssize_t i = 0; i < count; ++i) text += part_of(part_at(i));
  http::Response response = head_of(started);
  response.body = fitted(std::move(text), started, context);
  return response;
}

std::optional<http::Response> answer_of_file(const Iterable& result, Started& started, const AnswerContext& context) {
  if (!context.file_wrappers->made(result.get()) || !started.called || !started.written.empty()) return std::nullopt;
  auto file = FileWrapperType::file_of(result.get());
  if (!file) return std::nullopt;
  if (started.content_length) {
    if (*started.content_length > file->size && !context.is_head) return std::nullopt;  // an Iteration cuts it
    file->size = std::min(file->size, *started.content_length);
  }
  http::Response response = head_of(started);
  if (context.is_head && started.content_length)
    response.body = std::make_unique<NoBody>(*started.content_length);
  else if (file->size > 0)
    response.body = std::move(*file);
  return response;
}

// Whether an iterable that has given all that was announced may be run to its end at once: a generator may do work
// after its last bytes, for which the client need not wait.
bool is_generator(PyObject* object) {
  return PyObject_HasAttrString(object, "gi_frame") != 0;
}

// What it gives up to its first bytes: the head goes out no earlier (PEP 3333, "The start_response() Callable").
// False: it has ended.
bool first_bytes(PyObject* iterator, Started& started, std::string& text) {
  text = std::exchange(started.written, {});
  while (text.empty()) {
    const Ref part{PyIter_Next(iterator)};
    if (!part && PyErr_Occurred() != nullptr) throw PythonError{report_exception()};
    text += std::exchange(started.written, {});
    if (!part) return false;
    text += part_of(part.get());
  }
  return true;
}

// Runs an iterable to its end whose bytes are all there. What it gives beyond them is not sent.
void exhaust(PyObject* iterator) {
  while (const Ref part{PyIter_Next(iterator)}) (void)part_of(part.get());
  if (PyErr_Occurred() != nullptr) throw PythonError{report_exception()};
}

http::Response answer_of_iterable(std::unique_ptr<Iterable> result, std::unique_ptr<Started> started, Ref callable,
                                  const AnswerContext& context) {
  Ref iterator{PyObject_GetIter(result->get())};
  if (!iterator) throw PythonError{report_exception()};
  std::string text;
  const bool goes_on = first_bytes(iterator.get(), *started, text);
  if (!started->called) refuse(PyExc_RuntimeError, kNotStarted);
  const std::optional<std::uint64_t> announced = started->content_length;
  const bool is_whole = announced && text.size() >= *announced;
  if (!goes_on || (is_whole && !is_generator(iterator.get()))) {
    if (goes_on) exhaust(iterator.get());
    StartResponseType::release(callable.get());
    http::Response response = head_of(*started);
    response.body = fitted(std::move(text), *started, context);
    return response;
  }
  http::Response response = head_of(*started);
  response.body = std::make_unique<Iteration>(std::move(result), std::move(iterator), std::move(callable),
                                              std::move(started), std::move(text), *context.lent);
  return response;
}

// The rest of an answer whose beginning write() has sent.
void send_rest(const Iterable& result, Started& started) {
  const Ref iterator{PyObject_GetIter(result.get())};
  if (!iterator) throw PythonError{report_exception()};
  while (const Ref part{PyIter_Next(iterator.get())})
    if (!send_early(started, part_of(part.get()))) return;
  if (PyErr_Occurred() != nullptr) throw PythonError{report_exception()};
}

}  // namespace

net::SharedText Lent::lend(Ref bytes) {
  const std::string_view text = bytes_view(bytes.get());
  count_.fetch_add(1, std::memory_order_relaxed);
  std::shared_ptr<const void> owner{bytes.release(), [this](const void* object) {
                                      const std::lock_guard lock(mutex_);
                                      returned_.push_back(static_cast<PyObject*>(const_cast<void*>(object)));
                                    }};
  return {.owner = std::move(owner), .text = text};
}

void Lent::release() {
  if (!any()) return;
  std::vector<PyObject*> returned;
  {
    const std::lock_guard lock(mutex_);
    returned.swap(returned_);
  }
  for (PyObject* const object : returned) Py_DECREF(object);
  count_.fetch_sub(returned.size(), std::memory_order_relaxed);
}

http::Response make_answer(Ref result, std::unique_ptr<Started> started, Ref callable, const AnswerContext& context) {
  if (started->sent) {
    const Iterable kept{std::move(result)};
    send_rest(kept, *started);
    StartResponseType::release(callable.get());
    return {};
  }
  started->early = nullptr;  // it ends with the call
  // Exactly these: what is derived from them may have a close().
  const PyTypeObject* const type = Py_TYPE(result.get());
  if (type == &PyList_Type || type == &PyTuple_Type) {
    StartResponseType::release(callable.get());
    return answer_of_parts(result, *started, context);
  }
  auto kept = std::make_unique<Iterable>(std::move(result));
  if (auto response = answer_of_file(*kept, *started, context)) {
    StartResponseType::release(callable.get());
    return *std::move(response);
  }
  return answer_of_iterable(std::move(kept), std::move(started), std::move(callable), context);
}

}  // namespace prong::app::wsgi
