#include "cli/microbenchmark/rows.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <stdexcept>

#include "rayx/rayx.h"

namespace rayx::cli {

int64_t AddOne(int64_t value) {
  return value + 1;
}

class Counter {
 public:
  static Counter* Create() { return new Counter; }
  int64_t Add(int64_t amount) { return total_ += amount; }

 private:
  int64_t total_ = 0;
};

namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Every call of a run has an argument of its own, so that no result can stand for another.
int64_t next_argument = 0;

void Expect(int64_t got, int64_t wanted, const char* row) {
  if (got == wanted) return;
  throw std::runtime_error(std::string(row) + ": got " + std::to_string(got) + ", expected " +
                           std::to_string(wanted));
}

double TasksSync(size_t calls) {
  const auto start = Clock::now();
  for (size_t i = 0; i < calls; ++i) {
    const int64_t argument = next_argument++;
    Expect(*rayx::Task<&AddOne>().Remote(argument).Get(), argument + 1, "tasks sync");
  }
  return SecondsSince(start) / static_cast<double>(calls) * 1e6;
}

// In batches of 1,000, as Ray's benchmark does it.
double TasksAsync(size_t calls) {
  constexpr size_t kBatch = 1000;
  const size_t batches = std::max<size_t>(calls / kBatch, 1);
  std::vector<ObjectRef<int64_t>> refs(kBatch);
  const auto start = Clock::now();
  for (size_t batch = 0; batch < batches; ++batch) {
    const int64_t first = next_argument;
    next_argument += kBatch;
    for (size_t i = 0; i < kBatch; ++i)
      refs[i] = rayx::Task<&AddOne>().Remote(first + static_cast<int64_t>(i));
    for (size_t i = 0; i < kBatch; ++i)
      Expect(*refs[i].Get(), first + static_cast<int64_t>(i) + 1, "tasks async");
  }
  return static_cast<double>(batches * kBatch) / SecondsSince(start);
}

double ActorAsync(size_t calls) {
  constexpr size_t kBatch = 1000;
  // One actor for all samples of the run; it ends with the job.
  static auto actor = rayx::Actor<&Counter::Create>().Remote();
  static int64_t total = 0;
  const size_t batches = std::max<size_t>(calls / kBatch, 1);
  std::vector<ObjectRef<int64_t>> refs(kBatch);
  const auto start = Clock::now();
  for (size_t batch = 0; batch < batches; ++batch) {
    for (size_t i = 0; i < kBatch; ++i) {
      refs[i] = actor.Task<&Counter::Add>().Remote(static_cast<int64_t>(i % 7 + 1));
    }
    for (size_t i = 0; i < kBatch; ++i) {
      total += static_cast<int64_t>(i % 7 + 1);
      Expect(*refs[i].Get(), total, "1:1 actor calls async");
    }
  }
  return static_cast<double>(batches * kBatch) / SecondsSince(start);
}

double PutGetSmall(size_t calls) {
  const auto start = Clock::now();
  for (size_t i = 0; i < calls; ++i) {
    const int64_t value = next_argument++;
    Expect(*rayx::Put(value).Get(), value, "put + get small");
  }
  return SecondsSince(start) / static_cast<double>(calls) * 1e6;
}

double PutLarge(size_t calls) {
  static std::vector<uint8_t> value(kLargeObjectBytes, 1);
  double seconds = 0;
  for (size_t i = 0; i < calls; ++i) {
    value[static_cast<size_t>(next_argument) % value.size()] ^= static_cast<uint8_t>(next_argument);
    ++next_argument;
    const auto start = Clock::now();
    const auto ref = rayx::Put(value);
    seconds += SecondsSince(start);
    // Outside the measured time: what was put is what is there.
    if (i == 0 && *ref.Get() != value)
      throw std::runtime_error("put 80 MiB: read back other bytes");
  }
  return static_cast<double>(calls * kLargeObjectBytes) / seconds / 1e9;
}

}  // namespace

std::vector<Row> AllRows() {
  return {
      {"single client tasks sync", "us", Limit::kRingRoundTrip, TasksSync, 100},
      {"single client tasks async", "1/s", Limit::kRingRoundTrip, TasksAsync, 1000},
      {"1:1 actor calls async", "1/s", Limit::kRingRoundTrip, ActorAsync, 1000},
      {"single client put + get small", "us", Limit::kRingRoundTrip, PutGetSmall, 1000},
      {"single client put gigabytes", "GB/s", Limit::kWarmCopy, PutLarge, 2},
  };
}

double MeasureWarmCopy(size_t bytes) {
  std::vector<uint8_t> from(bytes, 1);
  std::vector<uint8_t> to(bytes, 2);
  std::vector<double> rates;
  for (int i = 0; i < 5; ++i) {
    from[static_cast<size_t>(i)] = static_cast<uint8_t>(i);
    const auto start = Clock::now();
    std::memcpy(to.data(), from.data(), bytes);
    asm volatile("" ::"r"(to.data()) : "memory");  // the copy is not optimised away
    rates.push_back(static_cast<double>(bytes) / SecondsSince(start) / 1e9);
  }
  std::nth_element(rates.begin(), rates.begin() + 2, rates.end());
  return rates[2];
}

}  // namespace rayx::cli
