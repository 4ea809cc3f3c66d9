// Whether accept() on a listener waits, over boots, reloads and reloads that fail.
#include <catch2/catch.hpp>
#include <fcntl.h>

#include <memory>
#include <string>
#include <utility>

#include "master/accept_mode.hpp"

namespace prong::master {
namespace {

// Its only pool has the world's only listener.
Generation generation(config::AppConfig app) {
  auto config = std::make_shared<config::Config>();
  config->pools.push_back({});
  config->pools.back().app = std::move(app);
  Generation made;
  made.config = config;
  Pool pool;
  pool.config = &config->pools.back();
  pool.listeners = {"127.0.0.1:0"};
  made.pools.push_back(std::move(pool));
  return made;
}

class World {
 public:
  World() { REQUIRE(listeners_.ensure(*net::parse_address("127.0.0.1:0"), {})); }

  [[nodiscard]] bool accept_waits() const { return (::fcntl(fd(), F_GETFL) & O_NONBLOCK) == 0; }
  // What a program may do with its socket.
  void make_nonblocking() const { REQUIRE(::fcntl(fd(), F_SETFL, O_NONBLOCK) == 0); }

 private:
  [[nodiscard]] int fd() const { return listeners_.find("127.0.0.1:0")->descriptors().front(); }
  net::ListenerSet listeners_{{}};

 public:
  AcceptModes modes{listeners_};
};

config::ExecConfig program(std::string name, bool nonblocking = false) {
  config::ExecConfig exec;
  exec.style = config::ExecStyle::kListener;
  exec.command = {std::move(name)};
  exec.nonblocking = nonblocking;
  return exec;
}

}  // namespace

TEST_CASE("a program that accepts by itself finds its sockets blocking, or not, as its pool says") {
  const bool nonblocking = GENERATE(false, true);
  World world;
  const Generation first = generation(program("server", nonblocking));
  world.modes.prepare(first, nullptr);
  CHECK(world.accept_waits() == !nonblocking);
  world.modes.commit(first);
  CHECK(world.accept_waits() == !nonblocking);
}

TEST_CASE("what a program has made of its sockets holds for the next generation of the same program") {
  World world;
  const Generation first = generation(program("server"));
  world.modes.prepare(first, nullptr);
  world.modes.commit(first);
  world.make_nonblocking();
  config::ExecConfig elsewhere = program("server");
  elsewhere.cwd = "/srv/release-2";
  const Generation second = generation(elsewhere);
  world.modes.prepare(second, &first);
  CHECK_FALSE(world.accept_waits());
  world.modes.commit(second);
  CHECK_FALSE(world.accept_waits());
  const Generation third = generation(program("another"));
  world.modes.prepare(third, &second);
  CHECK(world.accept_waits());
}

TEST_CASE("a generation that will not serve leaves the sockets as they were") {
  World world;
  const Generation first = generation(program("server"));
  world.modes.prepare(first, nullptr);
  world.modes.commit(first);
  world.make_nonblocking();
  world.modes.prepare(generation(program("another")), &first);
  CHECK(world.accept_waits());
  world.modes.roll_back();
  CHECK_FALSE(world.accept_waits());
  world.modes.roll_back();  // once
  CHECK_FALSE(world.accept_waits());
}

TEST_CASE("prongd's own workers never wait in accept, from the commit on") {
  World world;
  const Generation first = generation(program("server"));
  world.modes.prepare(first, nullptr);
  world.modes.commit(first);
  config::ExecConfig by_connection;
  by_connection.command = {"cat"};
  const auto own = GENERATE_COPY(config::AppConfig{config::EchoConfig{}}, config::AppConfig{by_connection});
  const Generation second = generation(own);
  world.modes.prepare(second, &first);
  CHECK(world.accept_waits());  // those who serve may rely on it
  world.modes.commit(second);
  CHECK_FALSE(world.accept_waits());
  world.modes.roll_back();
  CHECK_FALSE(world.accept_waits());
}

}  // namespace prong::master
