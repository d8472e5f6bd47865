// Goal:   whoever takes the baton is alone with what it guards, favoured or not, before and after
//         the favour has ended.
// Method: threads that count in plain memory; a kernel without fences; the real one.
#include "client/baton.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <thread>
#include <vector>

namespace rayx::client {
namespace {

struct NoFences {
  static bool CanFence() { return false; }
  static void FenceAllThreads() { FAIL("it cannot"); }
};

// Of threads that come one after another.
struct CountedFences {
  static bool CanFence() { return true; }
  static void FenceAllThreads() { ++asked; }
  static inline std::atomic<int> asked{0};
};

// Two numbers that are equal whenever nobody is inside.
template <typename Lock>
struct Guarded {
  Lock baton;
  uint64_t first = 0;
  uint64_t second = 0;
  std::atomic<uint64_t> torn{0};

  void Count() {
    if (first != second) ++torn;
    ++first;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    ++second;
  }
  void CountLocked(uint64_t times) {
    for (uint64_t i = 0; i < times; ++i) {
      const std::lock_guard lock(baton);
      Count();
    }
  }
  uint64_t CountTried(uint64_t times) {
    uint64_t counted = 0;
    for (uint64_t i = 0; i < times; ++i) {
      if (!baton.try_lock()) continue;
      Count();
      ++counted;
      baton.unlock();
    }
    return counted;
  }
};

}  // namespace

TEST_CASE("Baton: a favoured thread and one that comes rarely are never inside together") {
  Guarded<Baton> guarded;
  constexpr uint64_t kTimes = 1'000'000, kRareTimes = 2000;
  std::atomic<bool> over{false};
  std::thread rare([&] {
    guarded.baton.ComeRarely();
    for (uint64_t i = 0; i < kRareTimes; ++i) guarded.CountLocked(1);
    over = true;
  });
  guarded.baton.Favour();
  uint64_t counted = 0;
  while (!over || counted < kTimes) {
    guarded.CountLocked(1000);
    counted += 1000;
  }
  rare.join();
  CHECK(guarded.torn == 0);
  CHECK(guarded.first == counted + kRareTimes);
  CHECK(guarded.second == guarded.first);
}

TEST_CASE("Baton: the favour ends where others come as often, not where they come rarely") {
  for (const bool rarely : {false, true}) {
    INFO(rarely);
    Guarded<BasicBaton<CountedFences>> guarded;
    guarded.baton.Favour();
    CountedFences::asked = 0;
    std::thread([&] {
      if (rarely) guarded.baton.ComeRarely();
      guarded.CountLocked(10'000);
    }).join();
    CHECK((CountedFences::asked == 10'000) == rarely);
    if (!rarely) CHECK(CountedFences::asked < 1000);
  }
}

TEST_CASE("Baton: without the favour it stays a lock") {
  Guarded<Baton> guarded;
  guarded.baton.Favour();
  guarded.CountLocked(10);
  std::thread([&] { guarded.CountLocked(10'000); }).join();  // nobody is favoured any more
  std::vector<std::thread> threads;
  std::atomic<uint64_t> tried{0};
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      guarded.baton.Favour();  // too late
      guarded.CountLocked(50'000);
      tried += guarded.CountTried(50'000);
    });
  }
  guarded.CountLocked(50'000);
  for (std::thread& thread : threads) thread.join();
  CHECK(guarded.torn == 0);
  CHECK(guarded.first == 10 + 10'000 + 4 * 50'000 + tried);
  CHECK(guarded.second == guarded.first);
}

TEMPLATE_TEST_CASE("Baton: try_lock takes what is free and waits for nobody", "", Baton,
                   BasicBaton<NoFences>) {
  TestType baton;
  baton.Favour();
  const auto is_free = [&] {
    bool taken = false;
    std::thread([&] {
      taken = baton.try_lock();
      if (taken) baton.unlock();
    }).join();
    return taken;
  };
  CHECK(is_free());
  baton.lock();
  CHECK_FALSE(is_free());
  baton.unlock();
  CHECK(is_free());
  REQUIRE(baton.try_lock());
  CHECK_FALSE(is_free());
  baton.unlock();
  CHECK(is_free());
}

TEST_CASE("Baton: a thread that waits for a condition gives it away") {
  Baton baton;
  baton.Favour();
  BatonCondition condition;
  bool is_waiting = false, is_told = false;
  std::thread waiter([&] {
    std::unique_lock lock(baton);
    is_waiting = true;
    while (!is_told) condition.Wait(lock);
  });
  for (bool seen = false; !seen;) {
    const std::lock_guard lock(baton);
    seen = is_waiting;
  }
  {
    const std::lock_guard lock(baton);
    is_told = true;
    condition.NotifyAll();
  }
  waiter.join();
  std::unique_lock lock(baton);
  condition.WaitFor(lock, std::chrono::milliseconds(1));  // ends by itself
  CHECK(lock.owns_lock());
}

}  // namespace rayx::client
