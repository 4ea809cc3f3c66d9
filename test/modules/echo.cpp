// The echo service of RFC 862, in both styles: for tests of back-pressure, and for the bench.
#include <prong/module.hpp>

#include <array>

PRONG_STREAM_MODULE(echo) {
  prong::on_data([](prong::Connection& connection, std::string_view bytes) {
    if (connection.send(bytes) == 0) connection.want_data(false);
  });
  prong::on_writable([](prong::Connection& connection) { connection.want_data(true); });
  prong::on_connection([](prong::BlockingConnection& connection) {
    std::array<char, 16384> buffer{};
    while (const auto got = connection.read(buffer.data(), buffer.size()))
      if (!connection.write(got.bytes)) return;
  });
}
