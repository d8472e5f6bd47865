// Goal: a process killed at any moment leaves whole frames, and claim words that say the truth
// about every call it was given. Method: kill -9 at random moments, many times; then drain and
// judge.
//
//   RAYX_KILL_ROUNDS=10000 RAYX_KILL_SECONDS=600 shm_stress 'kill -9*'
#include <catch2/catch.hpp>
#include <csignal>
#include <cstdio>
#include <thread>

#include "base/prng.h"
#include "tests/from_environment.h"
#include "tests/stress/peer.h"

namespace rayx::shm {
namespace {

#if defined(RAYX_TSAN) || defined(__SANITIZE_ADDRESS__)
constexpr uint64_t kRounds = 20;
#else
constexpr uint64_t kRounds = 150;
#endif

using testing::FromEnvironment;

// As many rounds as there is time for.
Budget Rounds() {
  return Budget(FromEnvironment("RAYX_KILL_ROUNDS", kRounds),
                std::chrono::seconds(FromEnvironment("RAYX_KILL_SECONDS", 10)), /*stride=*/1);
}

// Writes frames of all sizes on both lanes until it is killed.
[[noreturn]] void WriteForEver(const PeerFds& fds) {
  Peer peer(fds, Side::kSecond);
  base::RandomStream random(1, 1, 1);
  for (uint32_t sequence = 0;; ++sequence) {
    model::FrameHeader header = random.NextBelow(2) == 0 ? Call(sequence) : Reply(sequence);
    const size_t bytes = random.NextBelow(random.NextBelow(10) == 0 ? 60'000 : 3'000);
    while (!peer.channel->TryWrite(header, Body(bytes, sequence))) peer.Flush();
    if (random.NextBelow(3) == 0) peer.Flush();
  }
}

// Takes what is there. False if any frame is torn.
bool Drain(Channel& channel, uint64_t& frames) {
  ReceivedFrame frame;
  for (const Lane lane : {Lane::kCalls, Lane::kReplies}) {
    // Bounded: a live writer never stops.
    for (int i = 0; i < 1000 && channel.Peek(lane, frame) == ReadResult::kFrame; ++i) {
      if (!IsBody(frame.body, frame.header.cookie_sequence)) return false;
      if (lane == Lane::kCalls && channel.TryClaim(frame)) {
        channel.MarkDone(frame.header.claim_slot, frame.header.cookie_sequence);
      }
      channel.Pop(lane);
      ++frames;
    }
  }
  return channel.corruption().empty();
}

// Answers calls until it is killed.
[[noreturn]] void AnswerForEver(const PeerFds& fds) {
  Peer peer(fds, Side::kSecond);
  ReceivedFrame frame;
  for (;;) {
    if (!peer.WaitFor(Lane::kCalls)) ::_exit(1);
    while (peer.channel->Peek(Lane::kCalls, frame) == ReadResult::kFrame) {
      const auto call = frame.header;
      peer.channel->Pop(Lane::kCalls);
      if (!peer.channel->TryClaim(call.claim_slot, call.cookie_sequence)) continue;
      model::FrameHeader reply = call;
      reply.kind = model::FrameKind::kReply;
      while (!peer.channel->TryWrite(reply, {})) std::this_thread::yield();
      peer.Flush();
      peer.channel->MarkDone(call.claim_slot, call.cookie_sequence);
    }
  }
}

}  // namespace

TEST_CASE("kill -9 of a writer in mid-write: no torn frame is accepted") {
  base::RandomStream random(3, 3, 3);
  uint64_t frames = 0;
  Budget budget = Rounds();
  while (budget.Next()) {
    const PeerFds fds;
    const pid_t writer = Fork([&]() -> int { WriteForEver(fds); });
    Peer peer(fds, Side::kFirst);
    const uint64_t enough = frames + 1 + random.NextBelow(3000);
    bool sound = true;
    while (sound && frames < enough) sound = Drain(*peer.channel, frames);
    ::kill(writer, SIGKILL);
    REQUIRE(Reap(writer) == -SIGKILL);
    for (int i = 0; i < 10; ++i) sound = sound && Drain(*peer.channel, frames);
    REQUIRE(sound);
    REQUIRE_FALSE(peer.channel->HasWork());
  }
  CHECK(frames > 0);
}

TEST_CASE("kill -9 of a worker: a call that is done was answered, one still queued never ran") {
  base::RandomStream random(4, 4, 4);
  uint64_t queued = 0;
  uint64_t running = 0;
  Budget budget = Rounds();
  while (budget.Next()) {
    const PeerFds fds;
    const pid_t worker = Fork([&]() -> int { AnswerForEver(fds); });
    Peer peer(fds, Side::kFirst);
    std::vector<uint32_t> slots;  // of call i
    std::vector<bool> answered;
    ReceivedFrame frame;
    const auto drain = [&] {
      while (peer.channel->Peek(Lane::kReplies, frame) == ReadResult::kFrame) {
        answered.at(frame.header.cookie_sequence) = true;
        peer.channel->Pop(Lane::kReplies);
      }
    };
    const uint64_t enough = 1 + random.NextBelow(5000);
    while (slots.size() < enough) {
      model::FrameHeader call = Call(static_cast<uint32_t>(slots.size()));
      if (peer.channel->TryWrite(call, {})) {
        slots.push_back(call.claim_slot);
        answered.push_back(false);
      }
      peer.Flush();
      drain();
    }
    ::kill(worker, SIGKILL);
    REQUIRE(Reap(worker) == -SIGKILL);
    drain();
    uint64_t wrong = 0;
    uint64_t running_here = 0;
    for (uint32_t i = 0; i < slots.size(); ++i) {
      const ClaimState state = peer.channel->ClaimOf(slots[i], i);
      if (answered[i]) {
        wrong += state == ClaimState::kQueued;
      } else if (state == ClaimState::kQueued) {
        wrong += !peer.channel->TryRevoke(slots[i], i);
        ++queued;
      } else {
        wrong += state != ClaimState::kRunning;
        ++running_here;
      }
    }
    REQUIRE(wrong == 0);
    REQUIRE(running_here <= 1);
    running += running_here;
  }
  std::printf("killed workers left %lu calls queued and %lu running\n",
              static_cast<unsigned long>(queued), static_cast<unsigned long>(running));
}

}  // namespace rayx::shm
