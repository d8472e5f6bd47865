// Goal: on this very machine nobody enters the baton beside its favoured thread. Method: that
// thread goes in and out while another asks; both write who is inside and look whether it stays so.
// The variant without the fence runs beside it, to show how often it fails; that number is told and
// not required, since two threads that never run at the same moment cannot fail.
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <string>
#include <thread>

#include "client/baton.h"

namespace rayx::client {
namespace {

struct NoFence {
  static bool CanFence() { return true; }
  static void FenceAllThreads() { std::atomic_signal_fence(std::memory_order_seq_cst); }
};

struct Outcome {
  uint64_t asked = 0;
  uint64_t turns = 0;
  uint64_t broken = 0;
};

std::string Describe(const Outcome& outcome) {
  return std::to_string(outcome.broken) + " times not alone, of " + std::to_string(outcome.asked) +
         " asked and " + std::to_string(outcome.turns) + " turns of the favoured thread";
}

// True: somebody else came in.
bool IsDisturbed(std::atomic<uint32_t>& inside, uint32_t self) {
  inside.store(self, std::memory_order_relaxed);
  bool disturbed = false;
  for (int i = 0; i < 20; ++i) {
    disturbed = disturbed || inside.load(std::memory_order_relaxed) != self;
  }
  return disturbed;
}

template <typename Kernel>
Outcome Play(uint64_t asks, std::chrono::seconds limit) {
  BasicBaton<Kernel> baton;
  alignas(64) std::atomic<uint32_t> inside{0};
  std::atomic<bool> over{false};
  std::atomic<bool> is_favoured{false};
  std::atomic<uint64_t> broken{0};
  Outcome outcome;
  std::thread favoured([&] {
    baton.Favour();
    is_favoured = true;
    while (!over.load(std::memory_order_relaxed)) {
      baton.lock();
      if (IsDisturbed(inside, 1)) broken.fetch_add(1, std::memory_order_relaxed);
      baton.unlock();
      ++outcome.turns;
    }
  });
  while (!is_favoured) std::this_thread::yield();
  baton.ComeRarely();
  const auto deadline = std::chrono::steady_clock::now() + limit;
  for (; outcome.asked < asks && std::chrono::steady_clock::now() < deadline; ++outcome.asked) {
    baton.lock();
    if (IsDisturbed(inside, 2)) broken.fetch_add(1, std::memory_order_relaxed);
    baton.unlock();
  }
  over = true;
  favoured.join();
  outcome.broken = broken;
  return outcome;
}

TEST_CASE("Baton: nobody is inside beside the favoured thread") {
  const Outcome outcome = Play<Membarrier>(1'000'000, std::chrono::seconds(20));
  WARN("with the fence: " << Describe(outcome));
  CHECK(outcome.broken == 0);
  const Outcome without = Play<NoFence>(1'000'000, std::chrono::seconds(20));
  WARN("without it: " << Describe(without));
}

}  // namespace
}  // namespace rayx::client
