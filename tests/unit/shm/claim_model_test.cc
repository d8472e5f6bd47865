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

// One claim word, two frames that use it one after the other. `fate` counts runs and revocations;
// `done` says which frames the worker is done with.
enum Cell : uint32_t { kClaim, kHead, kFate0, kFate1, kDone0, kDone1, kCells };

// Both calls have the same cookie_sequence: the worst case.
template <bool kUseInTag>
constexpr uint64_t TagOf(uint32_t frame) {
  return ClaimProtocol::Tag(kUseInTag ? frame : 0, 7);
}

void Decide(uint32_t frame, const char* how) {
  Word fate{kFate0 + frame};
  if (fate.fetch_add(1, std::memory_order_acq_rel) != 0) {
    Explorer::Fail("frame " + std::to_string(frame) + " was decided before it " + how);
  }
}

bool Move(uint64_t tag, ClaimState from, ClaimState to) {
  Word claim{kClaim};
  return ClaimProtocol::Move(claim, tag, from, to);
}

// Sends frame 0, perhaps takes it back, and sends frame 1 with the same word when it may.
template <bool kUseInTag>
void Owner() {
  Word claim{kClaim};
  Word head{kHead};
  for (uint32_t frame = 0; frame < 2; ++frame) {
    ClaimProtocol::Queue(claim, TagOf<kUseInTag>(frame));
    head.store(frame + 1, std::memory_order_release);
    if (Move(TagOf<kUseInTag>(frame), ClaimState::kQueued, ClaimState::kRevoked)) {
      Decide(frame, "was revoked");
    }
    if (!ClaimProtocol::Reusable(claim)) return;
  }
}

// Once around, for each of the frames it has read (it may hold both, and claim them in any order).
template <bool kUseInTag>
void Worker(uint32_t frame) {
  Word head{kHead};
  Word done{kDone0 + frame};
  const uint64_t tag = TagOf<kUseInTag>(frame);
  if (done.load(std::memory_order_relaxed) != 0) return;
  if (head.load(std::memory_order_acquire) <= frame) return;
  if (Move(tag, ClaimState::kQueued, ClaimState::kRunning)) {
    Decide(frame, "ran");
    Word claim{kClaim};
    ClaimProtocol::Finish(claim, tag);
    if (ClaimProtocol::Look(claim, tag) == ClaimState::kRunning) Explorer::Fail("a run was lost");
  }
  done.store(1, std::memory_order_relaxed);
}

template <bool kUseInTag>
Explorer::Result Explore() {
  // Two workers over one ring stand for every order in which one may claim its frames.
  Explorer explorer({{Owner<kUseInTag>},
                     {[] { Worker<kUseInTag>(0); }, true},
                     {[] { Worker<kUseInTag>(1); }, true}},
                    std::vector<uint64_t>(kCells, 0), {});
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

TEST_CASE("Claim word: a call runs or is revoked, once, however long its frame waits") {
  RequireSound(Explore<true>());
}

TEST_CASE("Claim word: without the use in its tag a stale frame claims the next call") {
  const auto result = Explore<false>();
  REQUIRE_FALSE(result.failures.empty());
}

TEST_CASE("Claim word: an unknown value or another tag is nobody's") {
  std::atomic<uint64_t> word{0};
  const uint64_t tag = ClaimProtocol::Tag(2, 3);
  CHECK(ClaimProtocol::Look(word, tag) == ClaimState::kUnknown);
  ClaimProtocol::Queue(word, tag);
  CHECK(ClaimProtocol::Look(word, tag) == ClaimState::kQueued);
  for (const uint64_t other : {ClaimProtocol::Tag(2, 4), ClaimProtocol::Tag(1, 3)}) {
    CHECK(ClaimProtocol::Look(word, other) == ClaimState::kUnknown);
    CHECK_FALSE(ClaimProtocol::Move(word, other, ClaimState::kQueued, ClaimState::kRunning));
  }
  word = tag | 9;
  CHECK(ClaimProtocol::Look(word, tag) == ClaimState::kUnknown);
  CHECK_FALSE(ClaimProtocol::Reusable(word));
}

}  // namespace rayx::shm
