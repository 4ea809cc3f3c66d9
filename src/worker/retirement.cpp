#include "worker/retirement.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <random>
#include <string_view>
#include <utility>

#include "os/memory.hpp"

namespace prong::worker {
namespace {

// A peak is no leak: what one large request needed is mostly given back within seconds.
constexpr std::uint32_t kTimesAbove = 3;
constexpr std::chrono::seconds kMeasureInterval{1};
// The message to the master did not fit into the channel.
constexpr std::chrono::seconds kRetry{1};

std::uint64_t draw(std::mt19937_64& random, std::uint64_t most) {
  return std::uniform_int_distribution<std::uint64_t>{0, most}(random);
}

// For people: "41.3MiB".
std::string rough_size(ByteSize size) {
  constexpr double kMebibyte = 1U << 20U;
  return fmt::format("{:.1f}MiB", static_cast<double>(size.bytes) / kMebibyte);
}

std::string with_jitter(std::string_view key, const std::string& limit, const std::string& own, bool has_jitter) {
  return has_jitter ? fmt::format("{} = {}, with jitter {}", key, limit, own) : fmt::format("{} = {}", key, limit);
}

}  // namespace

Retirement::Retirement(const config::PoolConfig& pool, MeasureMemory measure, os::TimePoint started, std::uint64_t seed)
    : pool_(&pool), started_(started) {
  std::mt19937_64 random{seed};
  if (pool.max_requests > 0) most_requests_ = pool.max_requests + draw(random, pool.max_requests_jitter);
  if (pool.max_lifetime > Duration::zero()) {
    const auto jitter = draw(random, static_cast<std::uint64_t>(pool.max_lifetime_jitter.count()));
    end_of_life_ = started + pool.max_lifetime + Duration{static_cast<Duration::rep>(jitter)};
  }
  if (!pool.max_memory) return;
  measure_ = std::move(measure);
  most_memory_ = *pool.max_memory;
}

Retirement Retirement::of(const config::PoolConfig& pool, os::TimePoint now) {
  const auto measure =
      pool.memory_measure == config::MemoryMeasure::kRss ? &os::resident_memory : &os::proportional_memory;
  // Workers that are forked in the same instant differ by their pids.
  std::seed_seq mix{static_cast<std::uint64_t>(::getpid()), static_cast<std::uint64_t>(now.time_since_epoch().count())};
  std::uint64_t seed = 0;
  mix.generate(&seed, &seed + 1);
  return Retirement{pool, measure, now, seed};
}

Retirement::Finding Retirement::look(const Served& served, os::TimePoint now) {
  if (asked_ || (retry_at_ && now < *retry_at_)) return {};
  Finding found;
  if (most_requests_ > 0 && served.requests >= most_requests_)
    found.reason = fmt::format("{} requests served ({})", served.requests,
                               with_jitter("max_requests", fmt::format("{}", pool_->max_requests),
                                           fmt::format("{}", most_requests_), pool_->max_requests_jitter > 0));
  else if (end_of_life_ && now >= *end_of_life_)
    found.reason = fmt::format("{} old ({})", to_rough_text(now - started_),
                               with_jitter("max_lifetime", to_text(pool_->max_lifetime),
                                           to_text(std::chrono::duration_cast<Duration>(*end_of_life_ - started_)),
                                           pool_->max_lifetime_jitter > Duration::zero()));
  else if (measure_)
    found = look_at_memory(served, now);
  if (!found.reason.empty()) retry_at_ = now + kRetry;
  return found;
}

Retirement::Finding Retirement::look_at_memory(const Served& served, os::TimePoint now) {
  const std::uint64_t work = served.requests + served.connections;
  if (work == measured_after_ || (measured_at_ && now < *measured_at_ + kMeasureInterval)) return {};
  measured_after_ = work;
  measured_at_ = now;
  const Result<ByteSize> memory = measure_();
  if (!memory) {
    measure_ = nullptr;
    return {.reason = {},
            .warning = fmt::format("max_memory does nothing: {}", memory.error().text()),
            .warning_code = MessageCode::kMemoryNotMeasured};
  }
  times_above_ = *memory > most_memory_ ? times_above_ + 1 : 0;
  if (times_above_ < kTimesAbove) return {};
  const std::string text = fmt::format("{} of memory ({}), more than max_memory = {}", rough_size(*memory),
                                       config::kMemoryMeasureText.text(pool_->memory_measure), to_text(most_memory_));
  if (now - started_ >= pool_->memory_grace) return {.reason = text, .warning = {}, .warning_code = {}};
  // A limit below what every worker needs must not make a loop of restarts.
  if (std::exchange(warned_, true)) return {};
  return {.reason = {},
          .warning = fmt::format("has {} after only {}; it retires when it is older than memory_grace = {}", text,
                                 to_rough_text(now - started_), to_text(pool_->memory_grace)),
          .warning_code = MessageCode::kMemoryLimitTooLow};
}

std::optional<os::TimePoint> Retirement::next_look() const {
  if (asked_) return std::nullopt;
  if (retry_at_) return retry_at_;
  return end_of_life_;
}

}  // namespace prong::worker
