// Rows of one client that calls tasks.
#include <algorithm>
#include <list>

#include "cli/microbenchmark/rows.h"

namespace rayx::cli {
namespace {

constexpr size_t kLargeBatch = 100'000;

std::vector<double> TasksSync(size_t calls) {
  const int64_t first = TakeArguments(calls);
  const auto start = RowClock::now();
  for (size_t i = 0; i < calls; ++i) {
    const int64_t argument = first + static_cast<int64_t>(i);
    Expect(*rayx::Task<&AddOne>().Remote(argument).Get(), argument + 1);
  }
  return {SecondsSince(start) / static_cast<double>(calls) * 1e6};
}

ObjectRef<int64_t> CallAddOne(int64_t argument) {
  return rayx::Task<&AddOne>().Remote(argument);
}

std::vector<ObjectRef<int64_t>> SubmitBatch(int64_t first) {
  std::vector<ObjectRef<int64_t>> refs(kBatch);
  SubmitEach(refs, first, CallAddOne);
  return refs;
}

// As RateOfBatches, but one Get for all; milliseconds a batch.
std::vector<double> TasksAndGetBatch(size_t calls) {
  const auto start = RowClock::now();
  for (size_t done = 0; done < calls; ++done) {
    const int64_t first = TakeArguments(kBatch);
    const auto values = rayx::Get(SubmitBatch(first));
    for (size_t i = 0; i < kBatch; ++i) {
      Expect(*values[i], first + static_cast<int64_t>(i) + 1);
    }
  }
  return {SecondsSince(start) / static_cast<double>(calls) * 1e3};
}

// Waits for one more again and again, as Ray's row. Milliseconds a batch.
std::vector<double> WaitForBatch(size_t calls) {
  double seconds = 0;
  for (size_t done = 0; done < calls; ++done) {
    const int64_t first = TakeArguments(kBatch);
    std::list<ObjectRef<int64_t>> ready;
    const auto start = RowClock::now();
    auto waited = rayx::Wait(SubmitBatch(first), 1, -1);
    ready.splice(ready.end(), waited.ready);
    while (!waited.unready.empty()) {
      waited = rayx::Wait(std::move(waited.unready), 1, -1);
      Expect(static_cast<int64_t>(waited.ready.size()), 1);
      ready.splice(ready.end(), waited.ready);
    }
    seconds += SecondsSince(start);
    Expect(static_cast<int64_t>(ready.size()), static_cast<int64_t>(kBatch));
    // They come in any order, and each value once.
    std::vector<int64_t> values;
    for (const auto& ref : ready) values.push_back(*ref.Get());
    std::sort(values.begin(), values.end());
    for (size_t i = 0; i < kBatch; ++i) Expect(values[i], first + static_cast<int64_t>(i) + 1);
  }
  return {seconds / static_cast<double>(calls) * 1e3};
}

}  // namespace

std::vector<Row> TaskRows() {
  const auto ring = Limit::kRingRoundTrip;
  const auto batch = static_cast<double>(kBatch);
  return {
      {{{"single client tasks sync", Unit::kMicroseconds, ring}}, [] { return TasksSync; }, 100},
      {{{"single client tasks async", Unit::kPerSecond, ring}},
       [] { return RateOfBatches(kBatch, CallAddOne); },
       kBatch},
      {{{"single client tasks async, batches of 100,000", Unit::kPerSecond, ring}},
       [] { return RateOfBatches(kLargeBatch, CallAddOne); },
       kLargeBatch},
      {{{"single client tasks and get batch", Unit::kMilliseconds, ring, batch}},
       [] { return TasksAndGetBatch; }},
      {{{"single client wait 1k refs", Unit::kMilliseconds, ring, batch}},
       [] { return WaitForBatch; }},
  };
}

}  // namespace rayx::cli
