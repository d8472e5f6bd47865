// Goal: what is written behind other frames is shown to its peer in groups, at the latest when it
// is rung for, and a call counts as done no earlier than its reply can be read.
// Method: two processes' links over one channel, in one test.
#include "client/peer_links.h"

#include <catch2/catch.hpp>

namespace rayx::client {
namespace {

using model::FrameHeader;
using model::FrameKind;
using model::ProcessId;
using shm::ClaimState;
using shm::Lane;
using shm::ReadResult;

const ProcessId kDriver = ProcessId::Make(model::NodeNumber{1}, 1);
const ProcessId kWorker = ProcessId::Make(model::NodeNumber{1}, 2);

const auto kNoGuess = [](uint32_t, bool) {};

base::UniqueFd Duplicate(const base::UniqueFd& fd) {
  return base::UniqueFd(::dup(fd.get()));
}

struct Pair {
  PeerLinks driver{kDriver};
  PeerLinks worker{kWorker};

  Pair() {
    base::UniqueFd channel = *shm::Channel::CreateMemory();
    Join(driver, kWorker, true, channel);
    Join(worker, kDriver, false, channel);
  }
  static void Join(PeerLinks& links, ProcessId peer, bool first, const base::UniqueFd& channel) {
    base::UniqueFd page = *shm::ProcessPage::CreateMemory(peer, 0);
    base::UniqueFd event = *shm::CreateDoorbellEvent();
    REQUIRE(links
                .AddPeer(peer, first, Duplicate(channel), std::move(page), std::move(event),
                         base::UniqueFd())
                .ok());
  }
  shm::Channel& WorkersEnd() { return *worker.Route(kDriver)->channel; }
  shm::Channel& DriversEnd() { return *driver.Route(kWorker)->channel; }

  FrameHeader Send(uint32_t number, bool at_once) {
    FrameHeader header;
    header.kind = FrameKind::kTask;
    header.source = kDriver;
    header.destination = kWorker;
    header.cookie_slot = number;
    header.cookie_sequence = number;
    REQUIRE(driver.SendCall(header, {}, at_once));
    return header;
  }
  // How many calls the worker sees, claimed and taken.
  uint32_t Take() {
    uint32_t count = 0;
    shm::ReceivedFrame frame;
    while (WorkersEnd().Peek(Lane::kCalls, frame) == ReadResult::kFrame) {
      REQUIRE(WorkersEnd().TryClaim(frame));
      WorkersEnd().Pop(Lane::kCalls);
      ++count;
    }
    return count;
  }
  void Reply(const FrameHeader& call, bool at_once) {
    FrameHeader reply = call;
    reply.kind = FrameKind::kReply;
    reply.source = kWorker;
    reply.destination = kDriver;
    worker.SendReply(kDriver, call, reply, {}, at_once);
  }
  ClaimState StateOf(const FrameHeader& call) {
    return DriversEnd().ClaimOf(call.claim_slot, call.cookie_sequence);
  }
};

}  // namespace

TEST_CASE("PeerLinks: a call that may wait is shown with the next that may not") {
  Pair pair;
  pair.Send(1, /*at_once=*/false);
  CHECK(pair.Take() == 0);
  CHECK(pair.driver.HasCorked());
  pair.Send(2, /*at_once=*/true);
  CHECK(pair.Take() == 2);
}

TEST_CASE("PeerLinks: what is corked stays so while others are rung for, and no longer than that") {
  Pair pair;
  pair.Send(1, /*at_once=*/false);
  pair.driver.RingDue();
  CHECK(pair.Take() == 0);
  pair.driver.RingAll();
  CHECK(pair.Take() == 1);
  CHECK_FALSE(pair.driver.HasCorked());
}

TEST_CASE("PeerLinks: a full group is shown without being asked for") {
  Pair pair;
  for (uint32_t i = 0; i < kCorkedMax; ++i) pair.Send(i, /*at_once=*/false);
  CHECK(pair.Take() == kCorkedMax);
}

TEST_CASE("PeerLinks: a call is done when its reply can be read, and no earlier") {
  Pair pair;
  const FrameHeader first = pair.Send(1, true);
  const FrameHeader second = pair.Send(2, true);
  REQUIRE(pair.Take() == 2);
  pair.Reply(first, /*at_once=*/false);
  CHECK(pair.StateOf(first) == ClaimState::kRunning);
  CHECK_FALSE(pair.DriversEnd().HasWork(Lane::kReplies));
  pair.Reply(second, /*at_once=*/true);
  CHECK(pair.StateOf(first) == ClaimState::kDone);
  CHECK(pair.StateOf(second) == ClaimState::kDone);
  uint32_t replies = 0;
  pair.driver.DrainReplies([&](const FrameHeader&, std::span<const std::byte>) { ++replies; },
                           kNoGuess);
  CHECK(replies == 2);
}

TEST_CASE("PeerLinks: a lane that is full shows what is in it, before anybody waits for room") {
  Pair pair;
  const std::vector<std::byte> body(2000);
  uint32_t sent = 0;
  for (;; ++sent) {
    FrameHeader header;
    header.kind = FrameKind::kTask;
    header.source = kDriver;
    header.destination = kWorker;
    header.cookie_sequence = sent;
    if (!pair.driver.SendCall(header, body, /*at_once=*/false)) break;
  }
  REQUIRE(sent > 0);
  REQUIRE(sent < kCorkedMax);
  CHECK(pair.Take() == sent);
}

TEST_CASE("PeerLinks: while replies are drained, those that come next are guessed") {
  Pair pair;
  std::vector<FrameHeader> calls;
  for (uint32_t i = 1; i <= 4; ++i) calls.push_back(pair.Send(i, true));
  REQUIRE(pair.Take() == 4);
  for (const FrameHeader& call : calls) pair.Reply(call, /*at_once=*/true);
  std::vector<std::pair<uint32_t, bool>> guesses;
  pair.driver.DrainReplies(
      [](const FrameHeader&, std::span<const std::byte>) {},
      [&](uint32_t slot, bool is_next) { guesses.emplace_back(slot, is_next); });
  CHECK(guesses == std::vector<std::pair<uint32_t, bool>>{
                       {2, true}, {3, false}, {3, true}, {4, false}, {4, true}});
}

TEST_CASE("PeerLinks: a message behind corked replies does not overtake them") {
  Pair pair;
  const FrameHeader call = pair.Send(1, true);
  REQUIRE(pair.Take() == 1);
  pair.Reply(call, /*at_once=*/false);
  FrameHeader fetch;
  fetch.kind = FrameKind::kFetchValue;
  fetch.destination = kDriver;
  pair.worker.SendMessage(fetch, {}, /*urgent=*/true);
  std::vector<FrameKind> kinds;
  pair.driver.DrainReplies(
      [&](const FrameHeader& header, std::span<const std::byte>) { kinds.push_back(header.kind); },
      kNoGuess);
  CHECK(kinds == std::vector<FrameKind>{FrameKind::kReply, FrameKind::kFetchValue});
}

}  // namespace rayx::client
