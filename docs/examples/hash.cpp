// A hash service: shows an upload that is taken piece by piece, so that a body of any size needs no memory, work that
// keeps a core busy, a histogram, and why `process` exists: the old parser below overruns its buffer when a client
// lies, which ends the worker that is inside it, and nobody else notices.
//
//   g++ -O2 -shared -fPIC $(pkg-config --cflags prong) hash.cpp -o hash.so
//   prongd --config modules.toml                                   # [pool.hash]
//   curl --data-binary @/etc/services http://127.0.0.1:7002/       # its SHA-256 and its size
//   curl -d hello -H 'Tag: 5 hello' http://127.0.0.1:7002/         # with a tag, and with one that lies:
//   curl -d hello -H 'Tag: 9999999 hello' http://127.0.0.1:7002/   # prongctl status tells of it
#include <prong/module.hpp>

#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

namespace {

// FIPS 180-4, section 6.2. Its constants are the fractions of square and cube roots of the first primes (4.2.2, 5.3.3).
std::uint32_t fraction(long double root) {
  return static_cast<std::uint32_t>((root - std::floor(root)) * 4294967296.0L);
}
struct Constants {
  std::array<std::uint32_t, 8> begin = {};
  std::array<std::uint32_t, 64> rounds = {};
  Constants() {
    std::size_t found = 0;
    for (unsigned prime = 2; found < rounds.size(); ++prime) {
      bool is_prime = true;
      for (unsigned divisor = 2; divisor * divisor <= prime; ++divisor) is_prime = is_prime && prime % divisor != 0;
      if (!is_prime) continue;
      if (found < begin.size()) begin[found] = fraction(std::sqrt(static_cast<long double>(prime)));
      rounds[found++] = fraction(std::cbrt(static_cast<long double>(prime)));
    }
  }
};
const Constants kConstants;

constexpr std::uint32_t rotate(std::uint32_t word, unsigned bits) {
  return word >> bits | word << (32 - bits);
}

class Sha256 {
 public:
  void add(std::string_view bytes) {
    for (const char byte : bytes) {
      block_[size_++ % block_.size()] = static_cast<std::uint8_t>(byte);
      if (size_ % block_.size() == 0) mix();
    }
  }
  std::uint64_t size() const { return size_; }
  // The end; 64 hexadecimal digits.
  std::string digest() {
    const std::uint64_t bits = size_ * 8;
    add("\x80");
    while (size_ % 64 != 56) add(std::string_view("\0", 1));
    for (int shift = 56; shift >= 0; shift -= 8) {
      const char byte = static_cast<char>(bits >> shift & 0xff);
      add({&byte, 1});
    }
    std::string text;
    for (const std::uint32_t word : state_)
      for (int shift = 28; shift >= 0; shift -= 4) text += "0123456789abcdef"[word >> shift & 0xf];
    return text;
  }

 private:
  void mix() {
    std::array<std::uint32_t, 64> w{};
    for (std::size_t i = 0; i < 16; ++i)
      for (std::size_t byte = 0; byte < 4; ++byte) w[i] = w[i] << 8 | block_[4 * i + byte];
    for (std::size_t i = 16; i < 64; ++i)
      w[i] = w[i - 16] + (rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3) + w[i - 7] +
             (rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10);
    auto [a, b, c, d, e, f, g, h] = state_;
    for (std::size_t i = 0; i < 64; ++i) {
      const std::uint32_t first =
          h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) + kConstants.rounds[i] + w[i];
      const std::uint32_t second = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
      h = g, g = f, f = e, e = d + first, d = c, c = b, b = a, a = first + second;
    }
    const std::array<std::uint32_t, 8> after = {a, b, c, d, e, f, g, h};
    for (std::size_t i = 0; i < after.size(); ++i) state_[i] += after[i];
  }

  std::array<std::uint32_t, 8> state_ = kConstants.begin;
  std::array<std::uint8_t, 64> block_ = {};
  std::uint64_t size_ = 0;
};

// "5 hello" -> "hello". Twenty years old, and believes what it is told.
std::string legacy_tag(std::string_view header) {
  std::array<char, 32> tag{};
  const auto size = static_cast<std::size_t>(std::atoi(std::string(header).c_str()));
  std::memcpy(tag.data(), header.data() + header.find(' ') + 1, size);
  return std::string(tag.data(), size);
}

struct Service {
  std::int64_t rounds = prong::options::integer("rounds", 1, 1, 100'000'000);  // how often: what it costs
  prong::Histogram seconds = prong::histogram("hash_seconds", "how long the rounds of a request took");
};

class Hash : public prong::Upload {
 public:
  explicit Hash(std::shared_ptr<const Service> service) : service_(std::move(service)) {}

  bool piece(std::string_view bytes) override {
    body_.add(bytes);
    return true;
  }
  void finish(const prong::Request& request, prong::Response& response) override {
    const auto begin = std::chrono::steady_clock::now();
    const std::uint64_t size = body_.size();
    std::string digest = body_.digest();
    for (std::int64_t round = 1; round < service_->rounds; ++round) {
      Sha256 again;
      again.add(digest);
      digest = again.digest();
    }
    service_->seconds.observe(std::chrono::steady_clock::now() - begin);
    if (const auto tag = request.header("Tag")) response.header("Tag", legacy_tag(*tag));
    response.text(200, digest + " " + std::to_string(size) + "\n");
  }

 private:
  std::shared_ptr<const Service> service_;
  Sha256 body_;
};

}  // namespace

PRONG_HTTP_MODULE(hash, prong::Model::kProcess | prong::Model::kThread) {
  const auto service = std::make_shared<const Service>();
  prong::on_upload([service](const prong::Request&) { return std::make_unique<Hash>(service); });
  prong::on_request([service](const prong::Request& request, prong::Response& response) {
    Hash{service}.finish(request, response);  // no body: that of nothing
  });
}
