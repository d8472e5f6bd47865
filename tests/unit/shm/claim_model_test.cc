// Goal: a call runs or is revoked, never both, never twice, also when its claim word is used again
// for another call with the same tag. Method: the protocol's own steps (ClaimProtocol) in every
// interleaving of an owner and a worker, with store buffers.
#include <catch2/catch.hpp>

#include "shm/claim_words.h"
#include "tests/unit/shm/interleaving.h"

namespace rayx::shm {
namespace {

using sim::Explorer;
using sim::SimAtomic;
using Word = SimAtomic<uint64_t>;

// One claim word, two frames that use it one after the other. `fate` counts runs and revocations.
enum Cell : uint32_t { kClaim, kHead, kTail, kNext, kFate0, kFate1, kCells };

constexpr uint32_t kTag = 7;  // the same for both calls: the worst case

void Decide(uint32_t frame, const char* how) {
  Word fate{kFate0 + frame};
  if (fate.fetch_add(1, std::memory_order_acq_rel) != 0) {
    Explorer::Fail("frame " + std::to_string(frame) + " was decided before it " + how);
  }
}

bool Move(ClaimState from, ClaimState to) {
  Word claim{kClaim};
  return ClaimProtocol::Move(claim, kTag, from, to);
}

void Send(uint32_t frame) {
  Word claim{kClaim};
  Word head{kHead};
  ClaimProtocol::Queue(claim, kTag);
  head.store(frame + 1, std::memory_order_release);
}

// Sends frame 0, perhaps takes it back, and sends frame 1 with the same word when it may.
template <bool kWaitForTail>
void Owner() {
  Word claim{kClaim};
  Word tail{kTail};
  Send(0);
  if (Move(ClaimState::kQueued, ClaimState::kRevoked)) Decide(0, "was revoked");
  const bool passed = tail.load(std::memory_order_acquire) >= 1;
  if (!ClaimProtocol::Reusable(claim, passed || !kWaitForTail)) return;
  Send(1);
  if (Move(ClaimState::kQueued, ClaimState::kRevoked)) Decide(1, "was revoked");
}

// Once around: the next frame if there is one. The frame is popped before it is done, or after.
template <bool kPopFirst>
void Worker() {
  Word head{kHead};
  Word tail{kTail};
  Word next{kNext};
  const uint64_t frame = next.load(std::memory_order_relaxed);
  if (frame == 2 || head.load(std::memory_order_acquire) <= frame) return;
  if (Move(ClaimState::kQueued, ClaimState::kRunning)) {
    Decide(static_cast<uint32_t>(frame), "ran");
    if (kPopFirst) tail.store(frame + 1, std::memory_order_release);
    if (!Move(ClaimState::kRunning, ClaimState::kDone)) Explorer::Fail("a running call was lost");
  }
  if (!kPopFirst || tail.load(std::memory_order_relaxed) == frame) {
    tail.store(frame + 1, std::memory_order_release);
  }
  next.store(frame + 1, std::memory_order_relaxed);
}

Explorer::Result Explore(void (*owner)(), void (*worker)()) {
  Explorer explorer({{owner}, {worker, true}}, std::vector<uint64_t>(kCells, 0), {});
  Explorer::Goals goals;
  // Every frame that was sent can still be decided.
  goals.reachable = [](const std::vector<uint64_t>& memory) {
    return memory[kHead] > 0 && memory[kFate0] + memory[kFate1] == memory[kHead];
  };
  return explorer.Explore(goals);
}

void RequireSound(const Explorer::Result& result) {
  INFO(result.states << " states");
  for (const std::string& failure : result.failures) UNSCOPED_INFO(failure);
  CHECK(result.failures.empty());
  CHECK(result.complete);
  CHECK(result.states > 100);
}

}  // namespace

TEST_CASE("Claim word: a call runs or is revoked, once, when the frame is popped after the run") {
  RequireSound(Explore(Owner<true>, Worker<false>));
}

TEST_CASE("Claim word: a call runs or is revoked, once, when the frame is popped before the run") {
  RequireSound(Explore(Owner<true>, Worker<true>));
}

TEST_CASE("Claim word: used again before the consumer passed the frame, a revoked call runs") {
  // Why Reusable() asks for the tail: the walk finds the stale frame that claims the next call.
  const auto result = Explore(Owner<false>, Worker<false>);
  REQUIRE_FALSE(result.failures.empty());
  CHECK(result.failures[0].find("decided before") != std::string::npos);
}

TEST_CASE("Claim word: an unknown value or another tag is nobody's") {
  std::atomic<uint64_t> word{0};
  CHECK(ClaimProtocol::Look(word, 0) == ClaimState::kUnknown);
  word = ClaimProtocol::Word(3, ClaimState::kQueued);
  CHECK(ClaimProtocol::Look(word, 3) == ClaimState::kQueued);
  CHECK(ClaimProtocol::Look(word, 4) == ClaimState::kUnknown);
  CHECK_FALSE(ClaimProtocol::Move(word, 4, ClaimState::kQueued, ClaimState::kRunning));
  word = uint64_t{3} << 32 | 99;
  CHECK(ClaimProtocol::Look(word, 3) == ClaimState::kUnknown);
  CHECK_FALSE(ClaimProtocol::Reusable(word, true));
}

}  // namespace rayx::shm
