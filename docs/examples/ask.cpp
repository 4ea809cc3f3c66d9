// A calculator to talk with: shows a stream module in the blocking style of `process` and `thread`, where a function
// talks with one client from its first word to its last, and a moment at which it may be told to end.
//
//   g++ -shared -fPIC $(pkg-config --cflags prong) ask.cpp -o ask.so
//   prongd --config modules.toml                                   # [pool.ask]
//   nc 127.0.0.1 7004                                              # 2 * (3 + 4), then an empty line
#include <prong/module.hpp>

#include <array>
#include <cctype>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace {

constexpr std::size_t kLongestLine = 200;            // so that no nesting of parentheses can overrun the stack
constexpr auto kPatience = std::chrono::minutes{2};  // less than stream.idle_timeout, which ends it without a word

// Lines of a client.
class Lines {
 public:
  explicit Lines(prong::BlockingConnection& connection) : connection_(connection) {}

  // The next one; nothing: there is none any more, and `why` says why.
  std::optional<std::string> next() {
    std::size_t end = 0;
    while ((end = unread_.find('\n')) == std::string::npos && unread_.size() <= kLongestLine) {
      // Between two questions the worker may end; in the middle of one the client gets its answer first.
      const auto got = unread_.empty() ? connection_.read_or_drain(buffer_.data(), buffer_.size(), kPatience)
                                       : connection_.read(buffer_.data(), buffer_.size(), kPatience);
      why = got.state;
      if (!got) return std::nullopt;
      unread_.append(got.bytes);
    }
    if (end > kLongestLine) return std::nullopt;  // or it has no end
    std::string line = unread_.substr(0, end);
    unread_.erase(0, end + 1);
    if (!line.empty() && line.back() == '\r') line.pop_back();
    return line;
  }
  prong::BlockingConnection::State why = prong::BlockingConnection::State::kData;

 private:
  prong::BlockingConnection& connection_;
  std::array<char, 512> buffer_ = {};
  std::string unread_;
};

// + - * / and parentheses. Throws std::invalid_argument.
class Calculator {
 public:
  explicit Calculator(const std::string& text) : at_(text.c_str()) {}
  double result() {
    const double value = sum();
    if (*at_ != '\0') throw std::invalid_argument("\"" + std::string(at_) + "\" is not understood");
    return value;
  }

 private:
  bool skip(char sign) {
    while (*at_ == ' ') ++at_;
    if (*at_ != sign) return false;
    ++at_;
    return true;
  }
  double sum() {
    double value = product();
    while (true) {
      if (skip('+'))
        value += product();
      else if (skip('-'))
        value -= product();
      else
        return value;
    }
  }
  double product() {
    double value = operand();
    while (true) {
      if (skip('*'))
        value *= operand();
      else if (skip('/'))
        value /= operand();
      else
        return value;
    }
  }
  double operand() {
    if (skip('-')) return -operand();
    if (skip('(')) {
      const double value = sum();
      if (!skip(')')) throw std::invalid_argument("a parenthesis is not closed");
      return value;
    }
    char* end = nullptr;
    const double value = std::strtod(at_, &end);
    if (end == at_) throw std::invalid_argument("a number is missing");
    at_ = end;
    return value;
  }

  const char* at_;
};

std::string answer(const std::string& line) {
  try {
    std::array<char, 64> text{};
    (void)std::snprintf(text.data(), text.size(), "= %.15g\n", Calculator{line}.result());
    return text.data();
  } catch (const std::invalid_argument& why) {
    return std::string("? ") + why.what() + "\n";
  }
}

}  // namespace

PRONG_STREAM_MODULE(ask, prong::Model::kProcess | prong::Model::kThread) {
  prong::on_connection([](prong::BlockingConnection& connection) {
    using State = prong::BlockingConnection::State;
    Lines lines{connection};
    while (connection.write("> ")) {
      const auto line = lines.next();
      if (line && !line->empty()) {
        (void)connection.write(answer(*line));
        continue;
      }
      if (lines.why == State::kTimeout) (void)connection.write("you seem to have left\n");
      if (lines.why == State::kDraining) (void)connection.write("closing down, please come back\n");
      if (lines.why == State::kData) (void)connection.write(line ? "goodbye\n" : "that line is too long\n");
      return;
    }
  });
}
