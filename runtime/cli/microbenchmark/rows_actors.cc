// Rows of one client that calls actors.
#include <algorithm>
#include <stdexcept>

#include "cli/microbenchmark/rows.h"

namespace rayx::cli {
namespace {

constexpr int kConcurrency = 16;  // as in Ray's row
constexpr int kCreationSamples = 5;

auto MakeCounter() {
  return EndsWithRow(rayx::Actor<&Counter::Create>().Remote());
}

// What the actor is told to add: the sum shows that every call ran once, and in order.
int64_t AmountOf(size_t i) {
  return static_cast<int64_t>(i % 7 + 1);
}

Sampler ActorSync() {
  return [actor = MakeCounter(), total = int64_t{0}](size_t calls) mutable {
    const auto start = RowClock::now();
    for (size_t i = 0; i < calls; ++i) {
      total += AmountOf(i);
      Expect(*actor->Task<&Counter::Add>().Remote(AmountOf(i)).Get(), total);
    }
    return std::vector{SecondsSince(start) / static_cast<double>(calls) * 1e6};
  };
}

Sampler ActorAsync() {
  return [actor = MakeCounter(), total = int64_t{0}](size_t calls) mutable {
    const size_t batches = std::max<size_t>(calls / kBatch, 1);
    std::vector<ObjectRef<int64_t>> refs(kBatch);
    const auto start = RowClock::now();
    for (size_t batch = 0; batch < batches; ++batch) {
      for (size_t i = 0; i < kBatch; ++i) {
        refs[i] = actor->Task<&Counter::Add>().Remote(AmountOf(i));
      }
      for (size_t i = 0; i < kBatch; ++i) {
        total += AmountOf(i);
        Expect(*refs[i].Get(), total);
      }
    }
    return std::vector{static_cast<double>(batches * kBatch) / SecondsSince(start)};
  };
}

Sampler ActorConcurrent() {
  const auto actor =
      EndsWithRow(rayx::Actor<&Counter::Create>().SetMaxConcurrency(kConcurrency).Remote());
  return RateOfBatches(kBatch, [actor](int64_t argument) {
    return actor->Task<&Counter::PlusOne>().Remote(argument);
  });
}

void ExpectDead(const ActorHandle<Counter>& actor) {
  try {
    actor.Task<&Counter::Add>().Remote(1).Get();
  } catch (const ActorDied&) {
    return;
  }
  throw std::runtime_error("an actor that was killed has answered");
}

}  // namespace

double CreateCallKill() {
  const int64_t first = TakeArguments(kCreatedActors);
  std::vector<std::shared_ptr<const ActorHandle<Counter>>> actors;
  std::vector<ObjectRef<int64_t>> refs;
  const auto start = RowClock::now();
  for (size_t i = 0; i < kCreatedActors; ++i) {
    actors.push_back(MakeCounter());
    refs.push_back(actors[i]->Task<&Counter::Add>().Remote(first + static_cast<int64_t>(i)));
  }
  for (size_t i = 0; i < kCreatedActors; ++i) {
    Expect(*refs[i].Get(), first + static_cast<int64_t>(i));
  }
  for (const auto& actor : actors) actor->Kill();
  for (const auto& actor : actors) ExpectDead(*actor);
  return SecondsSince(start);
}

std::vector<Row> ActorRows() {
  const auto ring = Limit::kRingRoundTrip;
  return {
      {{{"1:1 actor calls sync", Unit::kMicroseconds, ring}}, ActorSync, 100},
      {{{"1:1 actor calls async", Unit::kPerSecond, ring}}, ActorAsync, kBatch},
      {{{"1:1 actor calls concurrent", Unit::kPerSecond, ring}}, ActorConcurrent, kBatch},
      {{{"100 actors created, called and killed", Unit::kSeconds, Limit::kFork,
         static_cast<double>(kCreatedActors)}},
       [] { return [](size_t) { return std::vector{CreateCallKill()}; }; },
       1,
       kCreationSamples},
  };
}

}  // namespace rayx::cli
