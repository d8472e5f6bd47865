// Goal: frames arrive whole, in order and once, on the right lane, whatever their size; full is
// full and changes nothing; claim words follow the calls. Method: both ends in one test, over
// ordinary memory so that sanitizers see every byte; once over a real memory file.
#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "base/prng.h"
#include "tests/unit/shm/channel_pair.h"

namespace rayx::shm {
namespace {

// Reads one frame of the lane and checks it against what Body() made for its sequence.
bool TakeOne(Channel& channel, Lane lane, uint32_t sequence, size_t body_bytes) {
  ReceivedFrame frame;
  if (channel.Peek(lane, frame) != ReadResult::kFrame) return false;
  const bool right = frame.header.cookie_sequence == sequence && frame.body.size() == body_bytes &&
                     frame.header.body_bytes == body_bytes && frame.header.flags == 0 &&
                     IsBody(frame.body, sequence);
  if (lane == Lane::kCalls && channel.TryClaim(frame)) {
    channel.MarkDone(frame.header.claim_slot, frame.header.cookie_sequence);
  }
  channel.Pop(lane);
  return right;
}

size_t FillCalls(Channel& channel, std::span<const std::byte> body) {
  uint32_t written = 0;
  model::FrameHeader header = Call(0);
  while (channel.TryWrite(header, body)) header = Call(++written);
  return written;
}

}  // namespace

TEST_CASE("Channel: frames are seen when published, in order, each on its lane") {
  ChannelPair pair;
  ReceivedFrame frame;
  model::FrameHeader call = Call(1);
  model::FrameHeader reply = Reply(2);
  REQUIRE(pair.first->TryWrite(call, Body(40, 1)));
  REQUIRE(pair.first->TryWrite(reply, Body(0, 2)));
  CHECK_FALSE(pair.second->HasWork());
  CHECK(pair.second->Peek(Lane::kCalls, frame) == ReadResult::kEmpty);
  pair.first->Publish();
  CHECK(pair.second->HasWork());
  CHECK(TakeOne(*pair.second, Lane::kReplies, 2, 0));
  CHECK_FALSE(pair.second->HasWork(Lane::kReplies));
  CHECK(pair.second->HasWork(Lane::kCalls));
  CHECK(TakeOne(*pair.second, Lane::kCalls, 1, 40));
  CHECK_FALSE(pair.second->HasWork());
  CHECK_FALSE(pair.first->HasWork());
  CHECK(pair.second->corruption().empty());
}

TEST_CASE("Channel: what a dead peer had answered is read, published or not") {
  for (uint32_t read_before = 0; read_before < 20; ++read_before) {  // anywhere in the ring
    ChannelPair pair;
    for (uint32_t i = 0; i < read_before; ++i) {
      model::FrameHeader reply = Reply(i);
      REQUIRE(pair.first->TryWrite(reply, Body(100 * i, i)));
      pair.first->Publish();
      REQUIRE(TakeOne(*pair.second, Lane::kReplies, i, 100 * i));
    }
    model::FrameHeader shown = Reply(100);
    REQUIRE(pair.first->TryWrite(shown, Body(40, 100)));
    pair.first->Publish();
    model::FrameHeader kept_back = Reply(101);
    REQUIRE(pair.first->TryWrite(kept_back, Body(3000, 101)));
    model::FrameHeader large = Reply(102);
    REQUIRE(pair.first->TryWrite(large, Body(100'000, 102)));
    model::FrameHeader call = Call(103);
    REQUIRE(pair.first->TryWrite(call, Body(40, 103)));
    pair.second->ShowLastReplies();
    CHECK(TakeOne(*pair.second, Lane::kReplies, 100, 40));
    CHECK(TakeOne(*pair.second, Lane::kReplies, 101, 3000));
    CHECK(TakeOne(*pair.second, Lane::kReplies, 102, 100'000));
    CHECK_FALSE(pair.second->HasWork());
    pair.second->ShowLastReplies();
    CHECK_FALSE(pair.second->HasWork());
    CHECK(pair.second->corruption().empty());
  }
}

TEST_CASE("Channel: Peek shows the same frame until Pop, Pop without a frame does nothing") {
  ChannelPair pair;
  ReceivedFrame frame;
  pair.second->Pop(Lane::kCalls);
  for (uint32_t i = 0; i < 2; ++i) {
    model::FrameHeader call = Call(i);
    REQUIRE(pair.first->TryWrite(call, {}));
  }
  pair.first->Publish();
  REQUIRE(pair.second->Peek(Lane::kCalls, frame) == ReadResult::kFrame);
  REQUIRE(pair.second->Peek(Lane::kCalls, frame) == ReadResult::kFrame);
  CHECK(frame.header.cookie_sequence == 0);
  pair.second->Pop(Lane::kCalls);
  pair.second->Pop(Lane::kCalls);
  REQUIRE(pair.second->Peek(Lane::kCalls, frame) == ReadResult::kFrame);
  CHECK(frame.header.cookie_sequence == 1);
}

TEST_CASE("Channel: what was read and long idle costs no memory, and what was not read stays") {
  const ChannelOptions options{.ring_bytes = 256 << 10, .claim_words = 4096};
  const base::UniqueFd file = *Channel::CreateMemory(options);
  const auto first = *Channel::Open(file.get(), Side::kFirst);
  const auto second = *Channel::Open(file.get(), Side::kSecond);
  const auto held_bytes = [&file] {
    struct stat status {};
    REQUIRE(::fstat(file.get(), &status) == 0);
    return static_cast<size_t>(status.st_blocks) * 512;
  };
  const size_t warm_bytes = held_bytes();
  constexpr uint32_t kFrames = 200;
  constexpr size_t kBytes = 1000, kBlockBytes = 300'000;
  const auto write = [&] {
    for (uint32_t i = 0; i < kFrames; ++i) {
      model::FrameHeader call = Call(i);
      REQUIRE(first->TryWrite(call, Body(kBytes, i)));
    }
    model::FrameHeader reply = Reply(7);
    REQUIRE(first->TryWrite(reply, Body(kBlockBytes, 7)));
    first->Publish();
  };
  const auto read_calls = [&] {
    for (uint32_t i = 0; i < kFrames; ++i) REQUIRE(TakeOne(*second, Lane::kCalls, i, kBytes));
  };
  model::TimePoint now{};
  const auto pass = [&](model::Duration time) {
    now += time;
    first->GiveBackWhenIdle(now);
    second->GiveBackWhenIdle(now);
  };

  for (int round = 0; round < 3; ++round) {  // each begins somewhere else in the rings
    write();
    const size_t used_bytes = held_bytes();
    CHECK(used_bytes > warm_bytes + 400'000);
    pass(model::Duration(1));
    pass(2 * Channel::kIdleAfter);
    CHECK(held_bytes() == used_bytes);  // nothing was read
    read_calls();
    pass(2 * Channel::kIdleAfter);
    CHECK(held_bytes() == used_bytes);  // a reply was not
    REQUIRE(TakeOne(*second, Lane::kReplies, 7, kBlockBytes));
    pass(model::Duration(1));
    CHECK(held_bytes() < warm_bytes + 70'000);  // and so much of each payload ring
  }
  write();
  pass(model::Duration(1));
  read_calls();
  REQUIRE(TakeOne(*second, Lane::kReplies, 7, kBlockBytes));
  const size_t used_bytes = held_bytes();
  pass(Channel::kIdleAfter - model::Duration(2));
  CHECK(held_bytes() == used_bytes);  // not idle for long
}

TEST_CASE("Channel: a full ring refuses and takes frames again as they are popped") {
  ChannelPair pair;
  const auto body = Body(1000, 0);
  const size_t written = FillCalls(*pair.first, body);
  // 1000 bytes take 1152 in a ring of 16384.
  CHECK(written == 14);
  pair.first->Publish();
  model::FrameHeader reply = Reply(5);
  CHECK(pair.first->TryWrite(reply, body));
  ReceivedFrame frame;
  model::FrameHeader call = Call(14);
  for (int i = 0; i < 30; ++i) {
    CHECK_FALSE(pair.first->TryWrite(call, body));
    REQUIRE(pair.second->Peek(Lane::kCalls, frame) == ReadResult::kFrame);
    pair.second->Pop(Lane::kCalls);
    REQUIRE(pair.first->TryWrite(call, body));
    pair.first->Publish();
  }
}

TEST_CASE("Channel: every body size from nothing to the largest arrives unchanged") {
  ChannelPair pair;
  uint32_t sequence = 0;
  const auto pass = [&](size_t bytes) {
    model::FrameHeader header = sequence % 2 ? Call(sequence) : Reply(sequence);
    const Lane lane = sequence % 2 ? Lane::kCalls : Lane::kReplies;
    const bool written = pair.first->TryWrite(header, Body(bytes, sequence));
    pair.first->Publish();
    const bool arrived = written && TakeOne(*pair.second, lane, sequence, bytes);
    ++sequence;
    return arrived;
  };
  size_t failed = 0;
  for (size_t bytes = 0; bytes <= model::kFrameBytesMax + 200; ++bytes) failed += !pass(bytes);
  for (size_t bytes = 5000; bytes <= model::kBodyBytesMax; bytes = bytes * 5 / 4 + 1) {
    failed += !pass(bytes);
    failed += !pass(model::kBodyBytesMax);
  }
  CHECK(failed == 0);
  CHECK(pair.first->corruption().empty());
  CHECK(pair.second->corruption().empty());
}

TEST_CASE("Channel: any mix of sizes, bursts and lanes arrives in order") {
  ChannelPair pair;
  base::RandomStream random(7, 0, 0);
  struct Sent {
    uint32_t sequence;
    size_t bytes;
  };
  std::vector<Sent> sent[kLanes];
  size_t taken[kLanes] = {};
  size_t failed = 0;
  for (uint32_t sequence = 0; sequence < 50'000; ++sequence) {
    const size_t lane = random.NextBelow(kLanes);
    const uint64_t dice = random.NextBelow(100);
    const size_t bytes = dice < 80   ? random.NextBelow(300)
                         : dice < 99 ? random.NextBelow(6000)
                                     : random.NextBelow(model::kBodyBytesMax);
    model::FrameHeader header = lane == 0 ? Call(sequence) : Reply(sequence);
    if (pair.first->TryWrite(header, Body(bytes, sequence)))
      sent[lane].push_back({sequence, bytes});
    if (random.NextBelow(4) == 0) pair.first->Publish();
    for (uint64_t i = random.NextBelow(4); i > 0; --i) {
      const size_t from = random.NextBelow(kLanes);
      if (!pair.second->HasWork(static_cast<Lane>(from))) continue;
      const Sent& next = sent[from].at(taken[from]++);
      failed += !TakeOne(*pair.second, static_cast<Lane>(from), next.sequence, next.bytes);
    }
  }
  CHECK(failed == 0);
  CHECK(taken[0] > 10'000);
  CHECK(taken[1] > 10'000);
}

TEST_CASE("Channel: a full payload ring refuses large bodies and still takes small ones") {
  ChannelPair pair;
  model::FrameHeader header = Reply(0);
  REQUIRE(pair.first->TryWrite(header, Body(model::kBodyBytesMax, 0)));
  header = Reply(1);
  REQUIRE(pair.first->TryWrite(header, Body(model::kBodyBytesMax, 1)));
  header = Reply(2);
  CHECK_FALSE(pair.first->TryWrite(header, Body(5000, 2)));
  CHECK(pair.first->TryWrite(header, Body(100, 2)));
  // The other lane has a payload ring of its own: calls in the queue never block replies.
  model::FrameHeader call = Call(3);
  CHECK(pair.first->TryWrite(call, Body(5000, 3)));
  pair.first->Publish();
  CHECK(TakeOne(*pair.second, Lane::kReplies, 0, model::kBodyBytesMax));
  header = Reply(4);
  CHECK(pair.first->TryWrite(header, Body(5000, 4)));
  pair.first->Publish();
  CHECK(TakeOne(*pair.second, Lane::kReplies, 1, model::kBodyBytesMax));
  CHECK(TakeOne(*pair.second, Lane::kReplies, 2, 100));
  CHECK(TakeOne(*pair.second, Lane::kReplies, 4, 5000));
  CHECK(TakeOne(*pair.second, Lane::kCalls, 3, 5000));
}

TEST_CASE("Channel: a call is claimed or revoked, whoever comes first") {
  ChannelPair pair;
  model::FrameHeader a = Call(1);
  model::FrameHeader b = Call(2);
  REQUIRE(pair.first->TryWrite(a, {}));
  REQUIRE(pair.first->TryWrite(b, {}));
  CHECK(a.claim_slot != b.claim_slot);
  CHECK(pair.first->ClaimOf(a.claim_slot, 1) == ClaimState::kQueued);
  CHECK_FALSE(pair.first->TryRevoke(a.claim_slot, 2));
  pair.first->Publish();
  CHECK(pair.first->TryRevoke(a.claim_slot, 1));
  CHECK_FALSE(pair.first->TryRevoke(a.claim_slot, 1));
  ReceivedFrame frame;
  REQUIRE(pair.second->Peek(Lane::kCalls, frame) == ReadResult::kFrame);
  CHECK_FALSE(pair.second->TryClaim(frame));
  pair.second->Pop(Lane::kCalls);
  REQUIRE(pair.second->Peek(Lane::kCalls, frame) == ReadResult::kFrame);
  CHECK(pair.second->TryClaim(frame));
  CHECK_FALSE(pair.second->TryClaim(frame));
  CHECK_FALSE(pair.first->TryRevoke(b.claim_slot, 2));
  CHECK(pair.first->ClaimOf(b.claim_slot, 2) == ClaimState::kRunning);
  pair.second->MarkDone(frame.header.claim_slot, frame.header.cookie_sequence);
  CHECK(pair.first->ClaimOf(b.claim_slot, 2) == ClaimState::kDone);
  CHECK(pair.first->ClaimOf(b.claim_slot, 3) == ClaimState::kUnknown);
  CHECK(pair.first->ClaimOf(99999, 2) == ClaimState::kUnknown);
  CHECK_FALSE(pair.first->TryRevoke(99999, 2));
  pair.second->MarkDone(99999, 2);
}

TEST_CASE("Channel: claim words come back when their calls are over, running ones are kept") {
  ChannelOptions options;
  options.claim_words = 64;
  ChannelPair pair(options);
  ReceivedFrame frame;
  uint32_t running_slot = 0;
  // One call that never ends, then many times as many calls as there are words.
  for (uint32_t i = 0; i < 1000; ++i) {
    model::FrameHeader call = Call(i);
    REQUIRE(pair.first->TryWrite(call, {}));
    REQUIRE((i == 0 || (call.claim_slot & 63) != (running_slot & 63)));
    if (i == 0) running_slot = call.claim_slot;
    pair.first->Publish();
    REQUIRE(pair.second->Peek(Lane::kCalls, frame) == ReadResult::kFrame);
    REQUIRE(pair.second->TryClaim(frame));
    pair.second->Pop(Lane::kCalls);
    if (i != 0) pair.second->MarkDone(frame.header.claim_slot, i);
  }
  CHECK(pair.first->ClaimOf(running_slot, 0) == ClaimState::kRunning);
  // All words queued or running: full, though the ring has room.
  for (uint32_t i = 0; i < 63; ++i) {
    model::FrameHeader call = Call(2000 + i);
    REQUIRE(pair.first->TryWrite(call, {}));
  }
  model::FrameHeader call = Call(3000);
  CHECK_FALSE(pair.first->TryWrite(call, {}));
  // A revoked call's word comes back at once, and its frame claims nothing.
  pair.first->Publish();
  REQUIRE(pair.second->Peek(Lane::kCalls, frame) == ReadResult::kFrame);
  const auto revoked = frame.header;
  REQUIRE(pair.first->TryRevoke(revoked.claim_slot, revoked.cookie_sequence));
  call.cookie_sequence = revoked.cookie_sequence;
  REQUIRE(pair.first->TryWrite(call, {}));
  CHECK((call.claim_slot & 63) == (revoked.claim_slot & 63));
  CHECK(call.claim_slot != revoked.claim_slot);
  CHECK_FALSE(pair.second->TryClaim(frame));
  CHECK(pair.first->ClaimOf(revoked.claim_slot, revoked.cookie_sequence) == ClaimState::kUnknown);
  CHECK(pair.second->TryClaim(call.claim_slot, call.cookie_sequence));
}

TEST_CASE("Channel: opened on a memory file by two mappings") {
  const auto fd = Channel::CreateMemory();
  REQUIRE(fd.ok());
  const auto first = Channel::Open(fd->get(), Side::kFirst);
  const auto second = Channel::Open(fd->get(), Side::kSecond);
  REQUIRE(first.ok());
  REQUIRE(second.ok());
  for (uint32_t i = 0; i < 1000; ++i) {
    model::FrameHeader call = Call(i);
    REQUIRE((*first)->TryWrite(call, Body(i * 20, i)));
    (*first)->Publish();
    REQUIRE(TakeOne(**second, Lane::kCalls, i, i * 20));
    REQUIRE((*first)->ClaimOf(call.claim_slot, i) == ClaimState::kDone);
    model::FrameHeader reply = Reply(i);
    REQUIRE((*second)->TryWrite(reply, Body(i, i)));
    (*second)->Publish();
    REQUIRE(TakeOne(**first, Lane::kReplies, i, i));
  }
}

TEST_CASE("Channel: sizes that are no power of two or out of range are refused by name") {
  const auto status = [](ChannelOptions options) {
    return Channel::CreateMemory(options).status();
  };
  CHECK(base::Message(status({8192, 1 << 20, 1024})).find("ring_bytes") != std::string::npos);
  CHECK(base::Message(status({16384, 1 << 19, 1024})).find("payload_bytes") != std::string::npos);
  CHECK(base::Message(status({16384, 1 << 20, 1000})).find("claim_words") != std::string::npos);
  CHECK(status({65536, 1 << 21, 64}).ok());
}

}  // namespace rayx::shm
