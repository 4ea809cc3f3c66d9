// A key-value store over a small text protocol: shows a stream module in `event`, its options, and metrics of its own.
// Memory is bounded: each line, all entries together, and the answers that wait for a client who does not read.
//
//   g++ -shared -fPIC $(pkg-config --cflags prong) key_value.cpp -o key_value.so
//   prongd --config modules.toml                                   # [pool.key_value]
//   printf 'SET color dark blue\nGET color\nQUIT\n' | nc 127.0.0.1 7001
//
// One command a line, ended by LF or CRLF; as many as one likes without waiting for the answers:
//   SET KEY VALUE -> OK | GET KEY -> VALUE the value, NONE | DEL KEY -> OK, NONE | COUNT -> COUNT 1 | QUIT -> BYE
//
// Each worker has a store of its own, and a reload begins with an empty one: use workers = 1.
#include <prong/module.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

namespace {

struct Client {
  std::string unread = {};  // no whole line yet, or it waits until the client has taken more of its answers
  bool ended = false;       // it will send no more
};

// Takes the first word off the text.
std::string_view take_word(std::string_view& text) {
  const std::string_view word = text.substr(0, text.find(' '));
  text.remove_prefix(word.size() < text.size() ? word.size() + 1 : word.size());
  return word;
}

class Store {
 public:
  Store()
      : max_line_(prong::options::size("max_line", 4096)), max_memory_(prong::options::size("max_memory", 64 << 20)) {
    if (max_line_ < 16) prong::options::refuse("max_line", "has to be at least \"16B\"");
  }

  // Answers the lines that are there, as far as the client takes the answers.
  void answer(const prong::Connection& connection, Client& client) {
    std::size_t begin = 0;
    bool room = true;
    for (std::size_t end = 0; room && (end = client.unread.find('\n', begin)) != std::string::npos; begin = end + 1) {
      std::string_view line = std::string_view(client.unread).substr(begin, end - begin);
      if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
      if (line.size() > max_line_) return refuse_line(connection);
      if (line == "QUIT") {
        connection.send("BYE\n");
        return connection.close();
      }
      room = connection.send(run(line)) > 0;
    }
    client.unread.erase(0, begin);
    connection.want_data(room);
    if (!room) return;  // on_writable() goes on
    if (client.unread.size() > max_line_) return refuse_line(connection);
    if (client.ended) connection.close();
  }

 private:
  std::string run(std::string_view line) {
    const std::string_view command = take_word(line);
    const std::string key(take_word(line));
    if (command == "COUNT") return "COUNT " + std::to_string(entries_.size()) + "\n";
    if (command == "SET" && !key.empty()) return set(key, line);
    if (command == "GET" && !key.empty()) return get(key);
    if (command == "DEL" && !key.empty()) return remove(key);
    errors_.add();
    return "ERROR use SET KEY VALUE, GET KEY, DEL KEY, COUNT or QUIT\n";
  }
  std::string set(const std::string& key, std::string_view value) {
    const auto found = entries_.find(key);
    const std::size_t before = found == entries_.end() ? 0 : key.size() + found->second.size();
    if (memory_ - before + key.size() + value.size() > max_memory_) {
      errors_.add();
      return "ERROR no room for more\n";
    }
    memory_ += key.size() + value.size() - before;
    entries_.insert_or_assign(key, std::string(value));
    sets_.add();
    size_.set(static_cast<std::int64_t>(entries_.size()));
    return "OK\n";
  }
  std::string get(const std::string& key) {
    gets_.add();
    const auto found = entries_.find(key);
    return found == entries_.end() ? "NONE\n" : "VALUE " + found->second + "\n";
  }
  std::string remove(const std::string& key) {
    const auto found = entries_.find(key);
    if (found == entries_.end()) return "NONE\n";
    memory_ -= key.size() + found->second.size();
    entries_.erase(found);
    size_.set(static_cast<std::int64_t>(entries_.size()));
    return "OK\n";
  }
  void refuse_line(const prong::Connection& connection) {
    errors_.add();
    connection.send("ERROR line too long\n");
    connection.close();
  }

  std::uint64_t max_line_;
  std::uint64_t max_memory_;  // of keys and values
  std::size_t memory_ = 0;
  std::unordered_map<std::string, std::string> entries_;
  prong::Counter sets_ = prong::counter("key_value_commands_total", "commands", R"(command="set")");
  prong::Counter gets_ = prong::counter("key_value_commands_total", "commands", R"(command="get")");
  prong::Counter errors_ = prong::counter("key_value_errors_total", "commands that were refused");
  prong::Gauge size_ = prong::gauge("key_value_entries", "entries in the stores of all workers");
};

}  // namespace

PRONG_STREAM_MODULE(key_value, prong::Model::kEvent) {
  const auto store = std::make_shared<Store>();
  prong::on_open([](prong::Connection& connection) { connection.attach<Client>(); });
  prong::on_data([store](prong::Connection& connection, std::string_view bytes) {
    auto& client = connection.attached<Client>();
    client.unread.append(bytes);
    store->answer(connection, client);
  });
  prong::on_writable(
      [store](prong::Connection& connection) { store->answer(connection, connection.attached<Client>()); });
  prong::on_end([store](prong::Connection& connection) {
    auto& client = connection.attached<Client>();
    client.ended = true;  // it may have half closed, and still wants what it has asked for
    store->answer(connection, client);
  });
}
