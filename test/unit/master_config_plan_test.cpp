// From the text of a configuration to listeners, and every mistake at its place.
#include <catch2/catch.hpp>
#include <sys/socket.h>

#include <string>
#include <vector>

#include "config/builder.hpp"
#include "config/reader.hpp"
#include "master/config_plan.hpp"

namespace prong::master {
namespace {

using Texts = std::vector<std::string>;

Planned plan_of(const std::string& text) {
  return plan_config([&] { return config::load_text(text, "t.toml"); });
}

Texts errors_of(const std::string& text) {
  Texts texts;
  for (const config::Diagnostic& diagnostic : plan_of(text).diagnostics) texts.push_back(config::to_text(diagnostic));
  return texts;
}

std::string pool(const std::string& name, const std::string& listen) {
  return "[pool." + name + "]\nlisten = [" + listen + "]\nstatic.root = \"/\"\n";
}

}  // namespace

TEST_CASE("a good configuration becomes listeners, pool by pool, in the order of the text") {
  const Planned planned = plan_of(pool("a", R"("127.0.0.1:80", "unix:/run/a.sock")") + pool("b", "\"systemd:web\""));
  REQUIRE(planned.diagnostics.empty());
  REQUIRE(planned.plan.config != nullptr);
  REQUIRE(planned.plan.listeners.size() == 2);
  REQUIRE(planned.plan.listeners[0].size() == 2);
  REQUIRE(planned.plan.listeners[1].size() == 1);
  CHECK(planned.plan.listeners[0][0].address.text == "127.0.0.1:80");
  CHECK(planned.plan.listeners[0][1].address.kind == net::AddressKind::kUnixPath);
  CHECK(planned.plan.listeners[1][0].address.kind == net::AddressKind::kSystemd);
}

TEST_CASE("a listener's keys reach its options") {
  const Planned planned = plan_of(
      pool("a",
           "{ address = \"[::]:80\", backlog = 7, reuse_address = false, v6only = false, defer_accept = \"0\", "
           "keepalive = false, nodelay = false, free_bind = true, receive_buffer = \"64KiB\", send_buffer = \"32KiB\" "
           "}, { address = \"unix:/run/a.sock\", mode = \"0640\", owner = \"root\", group = \"4711\" }"));
  REQUIRE(planned.diagnostics.empty());
  const net::ListenOptions tcp = planned.plan.listeners.at(0).at(0).options;
  CHECK(tcp.backlog == 7);
  CHECK_FALSE(tcp.reuse_address);
  CHECK_FALSE(tcp.v6only);
  CHECK(tcp.defer_accept == Duration{0});
  CHECK_FALSE(tcp.keepalive);
  CHECK_FALSE(tcp.nodelay);
  CHECK(tcp.free_bind);
  CHECK(tcp.receive_buffer == ByteSize{64U << 10U});
  CHECK(tcp.send_buffer == ByteSize{32U << 10U});
  CHECK_FALSE(tcp.owner.has_value());
  const net::ListenOptions unix_options = planned.plan.listeners.at(0).at(1).options;
  CHECK(unix_options.mode == 0640);
  CHECK(unix_options.owner == 0U);
  CHECK(unix_options.group == 4711U);
}

TEST_CASE("connections that speak no HTTP are accepted at once, unless the configuration says otherwise") {
  const auto deferred = [](const std::string& listener) {
    const Planned planned = plan_of("[pool.a]\nlisten = [" + listener + "]\necho = {}\n");
    REQUIRE(planned.diagnostics.empty());
    return planned.plan.listeners.at(0).at(0).options.defer_accept;
  };
  CHECK(deferred("\"127.0.0.1:80\"") == Duration::zero());
  CHECK(deferred("{ address = \"127.0.0.1:80\", defer_accept = \"auto\" }") == Duration::zero());
  CHECK(deferred("{ address = \"127.0.0.1:80\", defer_accept = \"5s\" }") == std::chrono::seconds{5});
}

TEST_CASE("the defaults of a listener are those of the configuration") {
  const Planned planned = plan_of(pool("a", "\"127.0.0.1:80\""));
  REQUIRE(planned.diagnostics.empty());
  const config::ListenerConfig defaults;
  const net::ListenOptions options = planned.plan.listeners.at(0).at(0).options;
  CHECK(options.backlog == defaults.backlog);
  CHECK(options.reuse_address == defaults.reuse_address);
  CHECK(options.v6only == defaults.v6only);
  CHECK(options.keepalive == defaults.keepalive);
  CHECK(options.nodelay == defaults.nodelay);
  CHECK(options.mode == defaults.mode);
}

TEST_CASE("a program may speak first, so its connections are not held back unless the listener says so") {
  const auto defer_accept = [](const std::string& listen, const std::string& app) {
    const Planned planned = plan_of("[pool.a]\nlisten = [" + listen + "]\n" + app);
    REQUIRE(planned.diagnostics.empty());
    return planned.plan.listeners.at(0).at(0).options.defer_accept;
  };
  const std::string exec = "exec.command = [\"/bin/date\"]";
  CHECK(defer_accept("\"127.0.0.1:80\"", "respond = {}") == Duration{1'000});
  CHECK(defer_accept("\"127.0.0.1:80\"", exec) == Duration{0});
  CHECK(defer_accept("{ address = \"127.0.0.1:80\", defer_accept = \"2s\" }", exec) == Duration{2'000});
}

TEST_CASE("a trusted proxy that is no network is told at its place, with what to write") {
  const auto errors = [](const std::string& proxies) {
    return errors_of(pool("a", "\"127.0.0.1:80\"") + "trusted_proxies = [" + proxies + "]\n");
  };
  CHECK(errors(R"("10.0.0.0/8", "::1", "unix", "192.0.2.7")").empty());
  CHECK(errors(R"("unix", "10.0.0.1/8")") ==
        Texts{"t.toml:4:28: error: pool.a.trusted_proxies: \"10.0.0.1/8\" has bits that are not those of the network; "
              "write \"10.0.0.0/8\" for the network, or \"10.0.0.1\" for the one address"});
  const Texts found = errors(R"("proxy.example")");
  REQUIRE(found.size() == 1);
  CHECK_THAT(found[0],
             Catch::StartsWith("t.toml:4:20: error: pool.a.trusted_proxies: \"proxy.example\" is no IP address"));
  CHECK(
      errors_of(pool("a", "\"127.0.0.1:80\"") + "forwarded = \"forwarded\"\n") ==
      Texts{"t.toml:4:13: error: pool.a.forwarded does nothing without trusted_proxies; write trusted_proxies too, or "
            "leave it out"});
}

TEST_CASE("an address that is none is told at its place, with what to write") {
  const Texts errors = errors_of(pool("a", R"("localhost:80", "127.0.0.1:80")"));
  CAPTURE(errors);
  REQUIRE(errors.size() == 1);
  CHECK_THAT(errors[0],
             Catch::StartsWith("t.toml:2:11: error: \"localhost\" is not an IP address; host names are not"));
}

TEST_CASE("equal addresses that are written differently are told with both places") {
  CHECK(
      errors_of(pool("a", "\"*:80\"") + pool("b", "\"0.0.0.0:80\"")) ==
      Texts{"t.toml:5:11: error: \"0.0.0.0:80\" is the same address as \"*:80\" at t.toml:2:11; a listener belongs to "
            "one pool"});
  CHECK(errors_of(pool("a", "\"[::1]:80\", \"[0:0::1]:80\"")).size() == 1);
}

TEST_CASE("equal addresses that are written alike are told once") {
  const Texts errors = errors_of(pool("a", "\"*:80\"") + pool("b", "\"*:80\""));
  CAPTURE(errors);
  REQUIRE(errors.size() == 1);
  CHECK_THAT(errors[0], Catch::StartsWith("t.toml:5:11: error: "));
  CHECK_THAT(errors[0], Catch::Contains("twice"));
}

TEST_CASE("the same port of different addresses is fine") {
  CHECK(errors_of(pool("a", "\"127.0.0.1:80\", \"127.0.0.2:80\", \"[::1]:80\", \"127.0.0.1:81\"")).empty());
}

TEST_CASE("an owner or group that nobody knows is told") {
  const Texts errors =
      errors_of(pool("a", R"({ address = "unix:/run/a.sock", owner = "nobody-here", group = "no-group-here" })"));
  CAPTURE(errors);
  REQUIRE(errors.size() == 2);
  CHECK_THAT(errors[0], Catch::EndsWith("error: there is no user \"nobody-here\""));
  CHECK_THAT(errors[1], Catch::EndsWith("error: there is no group \"no-group-here\""));
}

TEST_CASE("all mistakes are told at once, in the order of the text, whoever finds them") {
  const Texts errors =
      errors_of("[pool.a]\nlisten = [\"nowhere\"]\nworkerz = 4\nstatic.root = \"/there/is/no/such\"\n" +
                pool("b", R"("127.0.0.1:99999", "127.0.0.1:80")") + "max_connections = 0\n");
  CAPTURE(errors);
  REQUIRE(errors.size() == 5);
  CHECK_THAT(errors[0], Catch::StartsWith("t.toml:2:11: error: \"nowhere\" is not an address"));
  CHECK_THAT(errors[1], Catch::StartsWith("t.toml:3:1: error: "));
  CHECK_THAT(errors[1], Catch::Contains("workerz"));
  CHECK_THAT(errors[2], Catch::StartsWith("t.toml:4:15: error: cannot serve \"/there/is/no/such\""));
  CHECK_THAT(errors[3], Catch::StartsWith("t.toml:6:11: error: \"127.0.0.1:99999\" is not an address"));
  CHECK_THAT(errors[4], Catch::StartsWith("t.toml:8:19: error: "));
}

TEST_CASE("a listener whose address was of the wrong type is told once") {
  const Texts errors = errors_of("[pool.a]\nlisten = [{ address = 80 }]\nstatic.root = \"/\"\n");
  CAPTURE(errors);
  REQUIRE(errors.size() == 1);
  CHECK_THAT(errors[0], Catch::Contains("address"));
}

TEST_CASE("text that is no TOML has its error and no plan") {
  const Planned planned = plan_of("[pool.a\n");
  REQUIRE(planned.diagnostics.size() == 1);
  CHECK(planned.diagnostics[0].position.line == 1);
}

TEST_CASE("a configuration of the command line is planned like any other") {
  const Planned planned = plan_config([] {
    return config::Loaded{.config = std::make_shared<config::Config>(config::for_static("/", "*:0")),
                          .diagnostics = {}};
  });
  REQUIRE(planned.diagnostics.empty());
  CHECK(planned.plan.listeners.at(0).at(0).address.text == "0.0.0.0:0");
}

TEST_CASE("the format of an access log that is none is told at its place") {
  const auto with_format = [](const std::string& format) {
    return pool("a", "\"*:0\"") + "access_log = { path = \"/tmp/a.log\", format = " + format + " }\n";
  };
  CHECK(errors_of(with_format("\"json\"")).empty());
  CHECK(errors_of(with_format("'{client} \"{request}\" {status}'")).empty());
  const Texts errors = errors_of(with_format("\"{client} {stauts}\""));
  REQUIRE(errors.size() == 1);
  CHECK_THAT(errors[0], Catch::StartsWith(
                            "t.toml:4:46: error: pool.a.access_log.format: character 10 of the format: unknown field "
                            "\"stauts\"; did you mean {status}? the fields are time, "));
  // What was of the wrong type is told by the reader alone.
  CHECK(errors_of(with_format("1")).size() == 1);
  CHECK(errors_of(with_format("\"\"")).size() == 1);
}

}  // namespace prong::master
