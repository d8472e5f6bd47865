// Goal: frames, claims and wake-ups hold under load between two processes and between two threads.
// Method: a forked echo process; warm calls, cold calls, bursts; every frame is checked. Prints
// what it measured; nothing here fails for being slow.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdio>
#include <thread>

#include "base/prng.h"
#include "shm/ring_round_trip.h"
#include "tests/stress/peer.h"

namespace rayx::shm {
namespace {

#if defined(RAYX_TSAN) || defined(__SANITIZE_ADDRESS__)
constexpr uint32_t kScale = 20;
#else
constexpr uint32_t kScale = 1;
#endif
constexpr uint32_t kLast = UINT32_MAX;  // the cookie_sequence that ends an echo
constexpr uint32_t kCork = 16;

uint32_t SeedOf(const model::FrameHeader& header) {
  return header.cookie_sequence + static_cast<uint32_t>(header.number);
}

// Answers every call with its own body, `corked` answers at a time while calls are there.
int Echo(Peer& peer, bool cold) {
  std::vector<model::FrameHeader> answered;
  ReceivedFrame frame;
  const auto flush = [&] {
    peer.Flush();
    for (const auto& call : answered) {
      peer.channel->MarkDone(call.claim_slot, call.cookie_sequence);
    }
    answered.clear();
  };
  for (;;) {
    if (peer.channel->Peek(Lane::kCalls, frame) != ReadResult::kFrame) {
      if (!peer.channel->corruption().empty()) return 3;
      if (!answered.empty()) flush();
      if (!(cold ? peer.SleepFor(Lane::kCalls) : peer.WaitFor(Lane::kCalls))) return 4;
      continue;
    }
    if (!IsBody(frame.body, SeedOf(frame.header))) return 5;
    if (peer.channel->TryClaim(frame)) {
      model::FrameHeader reply = frame.header;
      reply.kind = model::FrameKind::kReply;
      while (!peer.channel->TryWrite(reply, frame.body)) {
        flush();
        std::this_thread::yield();
      }
      answered.push_back(frame.header);
      if (frame.header.cookie_sequence == kLast) {
        flush();
        return peer.late == 0 ? 0 : 6;
      }
    }
    peer.channel->Pop(Lane::kCalls);
    if (answered.size() >= kCork) flush();
  }
}

// One call and its answer. True if the answer is right.
bool CallOnce(Peer& peer, uint32_t sequence, std::span<const std::byte> body, bool cold) {
  model::FrameHeader call = Call(sequence);
  call.number = 7;
  if (!peer.channel->TryWrite(call, body)) return false;
  peer.Flush();
  ReceivedFrame frame;
  if (!(cold ? peer.SleepFor(Lane::kReplies) : peer.WaitFor(Lane::kReplies))) return false;
  if (peer.channel->Peek(Lane::kReplies, frame) != ReadResult::kFrame) return false;
  const bool right = frame.header.cookie_sequence == sequence && frame.body.size() == body.size();
  peer.channel->Pop(Lane::kReplies);
  return right;
}

void Finish(Peer& peer, pid_t echo) {
  CHECK(CallOnce(peer, kLast, Body(8, kLast + 7), false));
  CHECK(Reap(echo) == 0);
  CHECK(peer.late == 0);
  CHECK(peer.channel->corruption().empty());
}

// Calls in a stream, as many at a time as fit, until the budget ends. False at the first wrong
// answer.
bool CallMany(Peer& peer, Budget& budget, size_t body_bytes, uint32_t revoke_every) {
  base::RandomStream random(9, 9, 9);
  std::vector<bool> revoked;  // of each call sent
  size_t over = 0;
  size_t expected = 0;  // answers come in the order of the calls, less the revoked ones
  ReceivedFrame frame;
  const auto drain = [&] {
    while (peer.channel->Peek(Lane::kReplies, frame) == ReadResult::kFrame) {
      while (revoked.at(expected)) ++expected;
      if (frame.header.cookie_sequence != expected++) return false;
      if (!IsBody(frame.body, SeedOf(frame.header))) return false;
      ++over;
      peer.channel->Pop(Lane::kReplies);
    }
    return true;
  };
  const auto send = [&] {
    const auto sequence = static_cast<uint32_t>(revoked.size());
    model::FrameHeader call = Call(sequence);
    const auto body = Body(body_bytes, sequence);
    for (int tries = 0; !peer.channel->TryWrite(call, body); ++tries) {
      peer.Flush();
      // No bell says that a full lane has room again: revoked calls, for one, are not answered.
      peer.WaitFor(Lane::kReplies, std::chrono::milliseconds(1));
      if (!drain() || tries == 60'000) return false;
    }
    revoked.push_back(false);
    if (revoke_every == 0 || random.NextBelow(revoke_every) != 0) return true;
    peer.channel->Publish();
    revoked.back() = peer.channel->TryRevoke(call.claim_slot, call.cookie_sequence);
    over += revoked.back();
    return true;
  };
  while (budget.Next()) {
    if (!send()) return false;
    if (revoked.size() % kCork == 0) peer.Flush();
    if (revoked.size() % 64 == 0 && !drain()) return false;
  }
  peer.Flush();
  while (over < revoked.size()) {
    if (!peer.WaitFor(Lane::kReplies) || !drain()) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("Channel stress: warm calls between two processes") {
  const PeerFds fds;
  const pid_t echo = Fork([&] {
    Peer peer(fds, Side::kSecond);
    return Echo(peer, /*cold=*/false);
  });
  Peer peer(fds, Side::kFirst);
  const auto body = Body(40, 7);
  std::vector<double> samples;
  uint32_t wrong = 0;
  for (int sample = 0; sample < 6; ++sample) {
    const int64_t start = MonotonicNs();
    Budget budget(200'000 / kScale, std::chrono::seconds(2));
    while (budget.Next()) wrong += !CallOnce(peer, 0, body, false);
    const auto elapsed = static_cast<double>(MonotonicNs() - start);
    if (sample > 0) samples.push_back(elapsed / static_cast<double>(budget.done()));
  }
  CHECK(wrong == 0);
  Finish(peer, echo);
  std::sort(samples.begin(), samples.end());
  RingRoundTripOptions options;
  options.round_trips = 100'000 / kScale;
  const auto line = MeasureRingRoundTrip(options);
  if (!line.ok()) return;  // a busy machine
  std::printf("frame round trip %.0f ns (%.0f to %.0f), ring round trip %.0f ns (%.0f to %.0f)\n",
              samples[2], samples.front(), samples.back(), line->median_ns, line->min_ns,
              line->max_ns);
}

TEST_CASE("Channel stress: cold calls between two processes, no wake-up lost") {
  const PeerFds fds;
  const pid_t echo = Fork([&] {
    Peer peer(fds, Side::kSecond);
    return Echo(peer, /*cold=*/true);
  });
  Peer peer(fds, Side::kFirst);
  const auto body = Body(40, 7);
  uint32_t wrong = 0;
  const int64_t start = MonotonicNs();
  Budget budget(100'000 / kScale, std::chrono::seconds(10));
  while (budget.Next()) wrong += !CallOnce(peer, 0, body, true);
  const auto elapsed = static_cast<double>(MonotonicNs() - start);
  CHECK(wrong == 0);
  Finish(peer, echo);
  std::printf("cold frame round trip %.1f us over %lu calls, %lu wakes, %lu sleeps\n",
              elapsed / 1000 / static_cast<double>(budget.done()),
              static_cast<unsigned long>(budget.done()), static_cast<unsigned long>(peer.wakes),
              static_cast<unsigned long>(peer.sleeps));
}

TEST_CASE("Channel stress: bursts of calls, small and large, with and without revocation") {
  struct Case {
    uint32_t count;
    size_t bytes;
    uint32_t revoke_every;
  };
  for (const Case& c : {Case{2'000'000, 40, 0}, Case{200'000, 40, 10}, Case{20'000, 30'000, 0},
                        Case{2'000, 400'000, 5}}) {
    const PeerFds fds;
    const pid_t echo = Fork([&] {
      Peer peer(fds, Side::kSecond);
      return Echo(peer, /*cold=*/false);
    });
    Peer peer(fds, Side::kFirst);
    const int64_t start = MonotonicNs();
    Budget budget(c.count / kScale, std::chrono::seconds(8));
    CHECK(CallMany(peer, budget, c.bytes, c.revoke_every));
    const double each =
        static_cast<double>(MonotonicNs() - start) / static_cast<double>(budget.done());
    std::printf("async, bodies of %zu bytes: %.0f ns a call and its answer, %.2f M/s\n", c.bytes,
                each, 1000 / each);
    Finish(peer, echo);
  }
}

TEST_CASE("Channel stress: two threads over one mapping") {
  // For ThreadSanitizer: both ends see the same addresses.
  const PeerFds fds;
  const ChannelPair pair;
  const auto over = [&](Side side) { return *Channel::OnMemory(pair.memory(), side); };
  Peer peer(fds, Side::kFirst, over(Side::kFirst));
  int result = -1;
  std::thread echo([&] {
    Peer other(fds, Side::kSecond, over(Side::kSecond));
    result = Echo(other, /*cold=*/false);
  });
  Budget small(200'000 / kScale, std::chrono::seconds(8));
  CHECK(CallMany(peer, small, 40, 10));
  Budget large(20'000 / kScale, std::chrono::seconds(8));
  CHECK(CallMany(peer, large, 6'000, 10));
  CHECK(CallOnce(peer, kLast, Body(8, kLast + 7), false));
  echo.join();
  CHECK(result == 0);
}

}  // namespace rayx::shm
