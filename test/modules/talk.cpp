// A stream module that does what each line of its client says, in both styles; the system tests talk with it
// (test/system/test_module_streams.py).
#include <prong/module.hpp>

#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>

namespace {

std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  (void)std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

struct Client {
  std::string unread = {};
  std::uint64_t flood = 0;  // bytes still to be sent
  std::uint64_t sent = 0;   // bytes of floods
  prong::Timer timer = {};
};

class Talk {
 public:
  void open(prong::Connection connection) {
    all_.insert(connection);
    connection.attach<Client>();
    connection.send("welcome\n");
  }
  void data(prong::Connection connection, std::string_view bytes) {
    auto& client = connection.attached<Client>();
    client.unread.append(bytes);
    for (std::size_t end = 0; (end = client.unread.find('\n')) != std::string::npos;) {
      const std::string line = client.unread.substr(0, end);
      client.unread.erase(0, end + 1);
      obey(connection, client, line);
    }
  }
  void flood(prong::Connection connection) {
    auto& client = connection.attached<Client>();
    std::size_t room = 1;
    while (client.flood > 0 && room > 0) {
      const std::uint64_t size = std::min<std::uint64_t>(client.flood, 16384);
      client.flood -= size;
      client.sent += size;
      room = connection.send(std::string(size, 'f'));
    }
    if (client.flood > 0) prong::info("flood waits after " + std::to_string(client.sent) + " bytes");
  }
  void end(prong::Connection connection) {
    connection.send("end\n");
    connection.close();
  }
  void close(prong::Connection connection) {
    all_.erase(connection);
    prong::info("closed after a flood of " + std::to_string(connection.attached<Client>().sent) + " bytes");
  }
  void drain() {
    const std::set<prong::Connection> all = all_;
    for (const prong::Connection& connection : all) connection.send("draining\n");
  }

 private:
  void obey(prong::Connection connection, Client& client, const std::string& line) {
    const std::string word = line.substr(0, line.find(' '));
    const std::string rest = line.size() > word.size() ? line.substr(word.size() + 1) : "";
    if (word == "say") connection.send(rest + "\n");
    if (word == "close") connection.close();
    if (word == "cut") connection.cut();
    if (word == "throw") throw std::runtime_error("thrown in on_data");
    if (word == "push") connection.send(std::string(number(rest), 'p'));
    if (word == "peer") connection.send(std::string(connection.peer().address) + "\n");
    if (word == "count") connection.send(std::to_string(all_.size()) + "\n");
    if (word == "others") {
      for (const prong::Connection& other : all_)
        if (other != connection) other.send(rest + "\n");
    }
    if (word == "flood") {
      client.flood = number(rest);
      flood(connection);
    }
    if (word == "hold") {
      connection.want_data(false);
      connection.send("holding\n");
      client.timer = prong::after(std::chrono::milliseconds{number(rest)}, [connection] {
        connection.send("listening\n");
        connection.want_data(true);
      });
    }
  }
  std::set<prong::Connection> all_;
};

std::string state_text(prong::BlockingConnection::State state) {
  using State = prong::BlockingConnection::State;
  switch (state) {
    case State::kData:
      return "data";
    case State::kEnd:
      return "end";
    case State::kTimeout:
      return "timeout";
    case State::kDraining:
      return "draining";
    case State::kGone:
      return "gone";
  }
  return "unknown";
}

void talk(prong::BlockingConnection& connection) {
  using State = prong::BlockingConnection::State;
  std::array<char, 4096> buffer{};
  (void)connection.write("welcome\n");
  std::string unread;
  while (true) {
    const auto got = connection.read_or_drain(buffer.data(), buffer.size());
    if (!got) {
      prong::info("reading ended: " + state_text(got.state));
      if (got.state != State::kGone) (void)connection.write(state_text(got.state) + "\n");
      return;
    }
    unread.append(got.bytes);
    for (std::size_t end = 0; (end = unread.find('\n')) != std::string::npos;) {
      const std::string line = unread.substr(0, end);
      unread.erase(0, end + 1);
      const std::string word = line.substr(0, line.find(' '));
      const std::string rest = line.size() > word.size() ? line.substr(word.size() + 1) : "";
      if (word == "say") (void)connection.write(rest + "\n");
      if (word == "close") return;
      if (word == "cut") return connection.cut();
      if (word == "throw") throw std::runtime_error("thrown in on_connection");
      if (word == "peer") (void)connection.write(std::string(connection.peer().address) + "\n");
      if (word == "push" || word == "flood") {
        const bool whole = connection.write(std::string(number(rest), word[0]));
        prong::info(whole ? "write was taken" : "write failed: gone");
      }
      if (word == "wait") {
        const auto waited = connection.read(buffer.data(), buffer.size(), std::chrono::milliseconds{number(rest)});
        (void)connection.write("waited: " + state_text(waited.state) + "\n");
      }
    }
  }
}

}  // namespace

PRONG_STREAM_MODULE(talk) {
  const auto talker = std::make_shared<Talk>();
  prong::on_open([talker](prong::Connection& connection) { talker->open(connection); });
  prong::on_data([talker](prong::Connection& connection, std::string_view bytes) { talker->data(connection, bytes); });
  prong::on_writable([talker](prong::Connection& connection) { talker->flood(connection); });
  prong::on_end([talker](prong::Connection& connection) { talker->end(connection); });
  prong::on_close([talker](prong::Connection& connection) { talker->close(connection); });
  prong::on_drain([talker] { talker->drain(); });
  prong::on_connection(talk);
}
