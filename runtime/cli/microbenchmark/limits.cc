#include "cli/microbenchmark/limits.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "base/check.h"
#include "cli/microbenchmark/quantile.h"
#include "shm/ring_round_trip.h"

namespace rayx::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kRuns = 2;   // of each limit in one measurement
constexpr int kTurns = 5;  // of copying and reading; the median counts
constexpr int kForks = 21;
constexpr std::chrono::seconds kRingTimeMax(5);
// Of a sample, when both processes always wait for others' turns on the CPUs.
constexpr uint32_t kRoundTripsWhenBusy = 100;

double MicrosecondsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

// GB/s of `work`, which goes over kLargeObjectBytes; its first turn warms up.
double Bandwidth(const std::function<void(int turn)>& work) {
  work(0);
  std::vector<double> rates;
  for (int turn = 1; turn <= kTurns; ++turn) {
    const auto start = Clock::now();
    work(turn);
    rates.push_back(static_cast<double>(kLargeObjectBytes) / MicrosecondsSince(start) / 1e3);
  }
  return Quantile(rates, 0.5);
}

double WarmCopy() {
  std::vector<uint8_t> from(kLargeObjectBytes, 1);
  std::vector<uint8_t> to(kLargeObjectBytes, 2);
  return Bandwidth([&](int turn) {
    from[static_cast<size_t>(turn)] = static_cast<uint8_t>(turn);
    std::memcpy(to.data(), from.data(), to.size());
    asm volatile("" ::"r"(to.data()) : "memory");  // the copy is not optimised away
  });
}

double WarmRead() {
  const std::vector<uint64_t> words(kLargeObjectBytes / sizeof(uint64_t), 1);
  return Bandwidth([&](int) {
    const uint64_t sum = ReadAll(words);
    asm volatile("" ::"r"(sum) : "memory");
  });
}

base::StatusOr<double> RingRoundTrip() {
  shm::RingRoundTripOptions options;
  options.time_max = kRingTimeMax;
  auto result = shm::MeasureRingRoundTrip(options);
  if (absl::IsDeadlineExceeded(result.status())) {
    options.round_trips = kRoundTripsWhenBusy;
    result = shm::MeasureRingRoundTrip(options);
  }
  RAYX_RETURN_IF_ERROR(result.status());
  return result->median_ns / 1000;
}

base::StatusOr<double> ForkTime() {
  std::vector<double> times;
  for (int i = 0; i < kForks; ++i) {
    const auto start = Clock::now();
    const pid_t child = ::fork();
    if (child == 0) ::_exit(0);
    if (child < 0) {
      return base::MakeStatus(base::StatusCode::kUnavailable,
                              std::string("fork: ") + std::strerror(errno));
    }
    while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
    times.push_back(MicrosecondsSince(start));
  }
  return Quantile(times, 0.5);
}

}  // namespace

const char* UnitName(Unit unit) {
  switch (unit) {
    case Unit::kMicroseconds:
      return "us";
    case Unit::kMilliseconds:
      return "ms";
    case Unit::kSeconds:
      return "s";
    case Unit::kBytes:
      return "B";
    case Unit::kMegabytes:
      return "MB";
    case Unit::kPerSecond:
      return "1/s";
    case Unit::kGigabytesPerSecond:
      return "GB/s";
  }
  RAYX_UNREACHABLE("a unit without a name");
}

bool LessIsBetter(Unit unit) {
  return unit != Unit::kPerSecond && unit != Unit::kGigabytesPerSecond;
}

base::Status MeasureLimits(Limits& limits) {
  if (const long line = ::sysconf(_SC_LEVEL1_DCACHE_LINESIZE); line > 0) {
    limits.cache_line_bytes = static_cast<double>(line);
  }
  for (int i = 0; i < kRuns; ++i) {
    RAYX_ASSIGN_OR_RETURN(const double ring_us, RingRoundTrip());
    limits.ring_us = std::min(limits.ring_us, ring_us);
    RAYX_ASSIGN_OR_RETURN(const double fork_us, ForkTime());
    limits.fork_us = std::min(limits.fork_us, fork_us);
    limits.copy_gbs = std::max(limits.copy_gbs, WarmCopy());
    limits.read_gbs = std::max(limits.read_gbs, WarmRead());
  }
  return base::OkStatus();
}

double LimitIn(Unit unit, Limit limit, double count, const Limits& limits) {
  RAYX_CHECK(limit != Limit::kBeside, "only its row knows it");
  if (limit == Limit::kCacheLine) return count * limits.cache_line_bytes;
  if (limit == Limit::kWarmCopy) return limits.copy_gbs;
  if (limit == Limit::kWarmRead) return limits.read_gbs;
  const double us = count * (limit == Limit::kFork ? limits.fork_us : limits.ring_us);
  switch (unit) {
    case Unit::kMilliseconds:
      return us / 1e3;
    case Unit::kSeconds:
      return us / 1e6;
    case Unit::kPerSecond:
      return 1e6 / us;
    default:
      return us;
  }
}

double RatioTo(double limit, double value, Unit unit) {
  return LessIsBetter(unit) ? value / limit : limit / value;
}

uint64_t ReadAll(std::span<const uint64_t> words) {
  constexpr size_t kSums = 8;  // additions that do not wait for one another
  uint64_t sums[kSums] = {};
  size_t i = 0;
  for (; i + kSums <= words.size(); i += kSums) {
    for (size_t k = 0; k < kSums; ++k) sums[k] += words[i + k];
  }
  for (; i < words.size(); ++i) sums[0] += words[i];
  uint64_t total = 0;
  for (const uint64_t sum : sums) total += sum;
  return total;
}

}  // namespace rayx::cli
