// Goal: on this very machine the fence loses no wake-up, over a million cold rings. Method: in each
// round a consumer goes to sleep while a producer publishes and rings, at the same moment up to a
// few random instructions; the futex is replaced by a look whether the ring is over and nobody was
// woken. The variant without the fence runs beside it, to show how often it fails; that number is
// told and not required, since two threads that never run at the same moment cannot fail.
#include <sched.h>
#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "base/prng.h"
#include "shm/doorbell.h"
#include "shm/waiting.h"
#include "tests/from_environment.h"

namespace rayx::shm {
namespace {

struct NoFence {
  static void Fence() { std::atomic_signal_fence(std::memory_order_seq_cst); }
};

struct Board {
  alignas(64) std::atomic<uint32_t> word{kAwake};
  alignas(64) std::atomic<uint32_t> head{0};
  alignas(64) std::atomic<uint32_t> rung{0};   // rounds whose ring is over
  alignas(64) std::atomic<uint32_t> slept{0};  // rounds whose sleep is over
  alignas(64) std::atomic<uint32_t> parked{0};
};

template <typename FencePolicy>
struct LitmusOs {
  Board& board;
  uint32_t round;

  void Fence() { FencePolicy::Fence(); }
  void FutexWake(std::atomic<uint32_t>&) {}
  void WriteEvent() {}
  // Sleeps until woken. False: the ring is over and left us asleep.
  bool FutexWait(std::atomic<uint32_t>& word, uint32_t expected) {
    for (int spins = 0;; ++spins) {
      const bool over = board.rung.load(std::memory_order_acquire) == round;
      if (word.load(std::memory_order_acquire) != expected) return true;
      if (over) return false;
      if (spins > 1000) ::sched_yield();
    }
  }
};

void WaitUntil(const std::atomic<uint32_t>& counter, uint32_t value) {
  for (int spins = 0; counter.load(std::memory_order_acquire) != value; ++spins) {
    if (spins > 1000) ::sched_yield();
  }
}

void Jitter(base::RandomStream& random, uint64_t steps_max) {
  for (uint64_t i = random.NextBelow(steps_max); i > 0; --i) {
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }
}

struct Outcome {
  uint32_t rounds = 0;
  uint32_t lost = 0;
  uint32_t slept = 0;  // the consumer found no work at its recheck
};

std::string Describe(const Outcome& outcome) {
  return std::to_string(outcome.lost) + " lost of " + std::to_string(outcome.rounds) +
         " cold rings (" + std::to_string(outcome.slept) + " slept)";
}

template <typename FencePolicy>
Outcome Play(uint32_t rounds, std::chrono::seconds limit) {
  Board board;
  std::atomic<uint32_t> last{rounds};
  std::thread producer([&] {
    base::RandomStream random(1, 2, 3);
    for (uint32_t round = 1; round <= last.load(); ++round) {
      WaitUntil(board.slept, round - 1);
      Jitter(random, 32);
      LitmusOs<FencePolicy> os{board, round};
      board.head.store(round, std::memory_order_release);
      DoorbellProtocol::Ring(board.word, os);
      board.rung.store(round, std::memory_order_release);
    }
  });
  Outcome outcome;
  base::RandomStream random(4, 5, 6);
  const int64_t until = MonotonicNs() + std::chrono::nanoseconds(limit).count();
  for (uint32_t round = 1; round <= last.load(); ++round) {
    // The producer reads `last` only before a round that this thread has not ended.
    if (round % 1024 == 0 && MonotonicNs() > until) last = round;
    // Longer than the other's, which has to wait for a line to travel first.
    Jitter(random, 512);
    LitmusOs<FencePolicy> os{board, round};
    const auto recheck = [&] { return board.head.load(std::memory_order_acquire) == round; };
    const WaitResult result = DoorbellProtocol::WaitUser(board.word, board.parked, os, recheck);
    outcome.lost += result == WaitResult::kTimedOut;
    outcome.slept += result == WaitResult::kRung;
    outcome.rounds = round;
    WaitUntil(board.rung, round);
    board.slept.store(round, std::memory_order_release);
  }
  producer.join();
  return outcome;
}

#if defined(RAYX_TSAN)
constexpr uint32_t kRounds = 50'000;
#else
constexpr uint32_t kRounds = 2'000'000;
#endif

}  // namespace

TEST_CASE("Doorbell litmus: two million cold rings lose no wake-up") {
  // More of them have ten minutes.
  const auto rounds =
      static_cast<uint32_t>(testing::FromEnvironment("RAYX_LITMUS_ROUNDS", kRounds));
  const Outcome fenced = Play<FullFence>(rounds, std::chrono::seconds(rounds > kRounds ? 600 : 30));
  INFO("with the fence: " << Describe(fenced));
  CHECK(fenced.lost == 0);
  CHECK(fenced.rounds > 0);
  CHECK(fenced.slept > 0);  // else no ring was cold, and nothing was shown
  const Outcome bare = Play<NoFence>(kRounds, std::chrono::seconds(10));
  WARN("with the fence: " << Describe(fenced) << "; without it: " << Describe(bare)
                          << (bare.lost == 0 ? ": this run does not show that it is needed" : ""));
}

}  // namespace rayx::shm
