// A chat relay: shows clients that send to each other, what belongs to a connection, timers, a slow client, and the end
// of a worker. The first line of a client is its name; each later one goes to all others.
//
//   g++ -shared -fPIC $(pkg-config --cflags prong) chat.cpp -o chat.so
//   prongd --config modules.toml                                   # [pool.chat]
//   nc 127.0.0.1 7003                                              # in two terminals
//
// Clients of one worker hear each other: use workers = 1. At a reload the old worker says goodbye, and clients that
// come back find the new one.
#include <prong/module.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <set>
#include <string>
#include <string_view>

namespace {

constexpr std::size_t kLongestLine = 1000;

struct Guest {
  std::string name = {};    // empty: not told yet
  std::string unread = {};  // no whole line yet
  bool slow = false;        // does not take what it is sent
  std::size_t missed = 0;   // messages since then
  bool asked = false;       // whether it is still there
  prong::Timer idle = {};
};

class Room {
 public:
  void enter(prong::Connection connection) {
    guests_.insert(connection);
    connection.attach<Guest>();
    wait_for(connection);
    connection.send("your name? ");
  }

  void hear(prong::Connection connection, std::string_view bytes) {
    Guest& guest = connection.attached<Guest>();
    guest.asked = false;
    wait_for(connection);
    guest.unread.append(bytes);
    for (std::size_t end = 0; (end = guest.unread.find('\n')) != std::string::npos;) {
      std::string line = guest.unread.substr(0, end);
      guest.unread.erase(0, end + 1);
      if (!line.empty() && line.back() == '\r') line.pop_back();
      if (line.size() <= kLongestLine && !line.empty()) say(connection, guest, line);
    }
    if (guest.unread.size() > kLongestLine) connection.cut();
  }

  // A slow one has taken everything: it is told what it has missed, and hears the others again.
  void go_on(prong::Connection connection) {
    Guest& guest = connection.attached<Guest>();
    guest.slow = false;
    if (guest.missed > 0) tell(connection, "* you have missed " + std::to_string(guest.missed) + " messages");
    guest.missed = 0;
  }

  void leave(prong::Connection connection) {
    guests_.erase(connection);
    const std::string name = connection.attached<Guest>().name;
    if (!name.empty()) tell_others(connection, "* " + name + " has left");
  }

  void say_goodbye() {
    const std::set<prong::Connection> all = guests_;
    for (const prong::Connection& connection : all) {
      connection.send("* this server is going down, come back at once\n");
      connection.close();
    }
  }

 private:
  void say(prong::Connection connection, Guest& guest, const std::string& line) {
    if (!guest.name.empty()) return tell_others(connection, guest.name + ": " + line);
    guest.name = line;
    tell(connection, "* hello " + line + ", " + std::to_string(guests_.size() - 1) + " others are here");
    tell_others(connection, "* " + line + " has come");
  }
  void tell_others(prong::Connection from, const std::string& text) {
    for (const prong::Connection& other : guests_)
      if (other != from && !other.attached<Guest>().name.empty()) tell(other, text);
  }
  void tell(prong::Connection connection, const std::string& text) {
    Guest& guest = connection.attached<Guest>();
    if (guest.slow)
      ++guest.missed;
    else
      guest.slow = connection.send(text + "\n") == 0;  // until on_writable()
  }
  // Asks a client that says nothing, and ends it when it does not answer either.
  void wait_for(prong::Connection connection) {
    connection.attached<Guest>().idle = prong::after(patience_, [this, connection] {
      Guest& guest = connection.attached<Guest>();
      if (guest.asked) {
        connection.send("* goodbye\n");
        return connection.close();
      }
      guest.asked = true;
      tell(connection, "* are you still there?");
      wait_for(connection);
    });
  }

  std::chrono::nanoseconds patience_ = prong::options::duration("patience", std::chrono::minutes{2});
  std::set<prong::Connection> guests_;
};

}  // namespace

PRONG_STREAM_MODULE(chat, prong::Model::kEvent) {
  const auto room = std::make_shared<Room>();
  prong::on_open([room](prong::Connection& connection) { room->enter(connection); });
  prong::on_data([room](prong::Connection& connection, std::string_view bytes) { room->hear(connection, bytes); });
  prong::on_writable([room](prong::Connection& connection) { room->go_on(connection); });
  prong::on_close([room](prong::Connection& connection) { room->leave(connection); });
  prong::on_drain([room] { room->say_goodbye(); });
}
