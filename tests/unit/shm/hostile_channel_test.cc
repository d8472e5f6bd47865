// Goal: a peer that writes nonsense into a channel's memory gets the channel poisoned with a
// sentence, and nothing else. Method: one wrong word a case, written behind the back of the
// writer's end; the memory is on the heap, so a sanitizer sees any read outside. Random nonsense:
// tests/fuzz.
#include <catch2/catch.hpp>

#include "tests/unit/shm/channel_pair.h"

namespace rayx::shm {
namespace {

// A pair with one published call of 40 bytes, at position 0.
struct OneCall : ChannelPair {
  OneCall() {
    model::FrameHeader call = Call(1);
    RAYX_CHECK(first->TryWrite(call, Body(40, 1)));
    first->Publish();
  }
  template <typename T>
  void Overwrite(size_t offset_in_ring, T value) {
    std::memcpy(FirstLane(Lane::kCalls).ring.data() + offset_in_ring, &value, sizeof value);
  }
  LaneControl& control() { return *FirstLane(Lane::kCalls).control; }

  // What Peek says, now and ever after.
  std::string Corruption() {
    ReceivedFrame frame;
    if (second->Peek(Lane::kCalls, frame) != ReadResult::kCorrupt) return "not corrupt";
    CHECK(second->Peek(Lane::kCalls, frame) == ReadResult::kCorrupt);
    CHECK_FALSE(second->HasWork());
    second->Pop(Lane::kCalls);
    return std::string(second->corruption());
  }
};

constexpr size_t kKindAt = offsetof(model::FrameHeader, kind);
constexpr size_t kFlagsAt = offsetof(model::FrameHeader, flags);
constexpr size_t kBodyBytesAt = offsetof(model::FrameHeader, body_bytes);
constexpr size_t kClaimAt = offsetof(model::FrameHeader, claim_slot);
constexpr size_t kReferenceAt = model::kFrameHeaderBytes;
constexpr size_t kOneCallBytes = 192;  // of OneCall's frame in the ring

bool Contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("Hostile channel: heads beyond the capacity, behind the tail or unaligned") {
  for (const uint64_t head :
       {uint64_t{16384 + 64}, UINT64_MAX - 63, uint64_t{1} << 63, uint64_t{65}}) {
    OneCall pair;
    pair.control().head = head;
    CHECK(Contains(pair.Corruption(), "head is out of range"));
  }
}

TEST_CASE("Hostile channel: what a dead peer claims to have written is checked as its head is") {
  for (const uint64_t written :
       {uint64_t{16384 + 64}, UINT64_MAX - 63, uint64_t{1} << 63, uint64_t{65}}) {
    ChannelPair pair;
    pair.FirstLane(Lane::kReplies).control->written = written;
    pair.second->ShowLastReplies();
    ReceivedFrame frame;
    CHECK(pair.second->Peek(Lane::kReplies, frame) == ReadResult::kCorrupt);
    CHECK(Contains(std::string(pair.second->corruption()), "head is out of range"));
  }
  ChannelPair without_frame;
  without_frame.FirstLane(Lane::kReplies).control->written = 256;
  without_frame.second->ShowLastReplies();
  ReceivedFrame frame;
  CHECK(without_frame.second->Peek(Lane::kReplies, frame) == ReadResult::kCorrupt);
}

TEST_CASE("Hostile channel: a head in the middle of a frame") {
  OneCall pair;
  pair.control().head = 64;
  CHECK(Contains(pair.Corruption(), "shorter than its header"));
  OneCall body_cut;
  body_cut.control().head = 128;
  CHECK(Contains(body_cut.Corruption(), "beyond the published bytes"));
}

TEST_CASE("Hostile channel: wrong magic, kind, lane, lengths and claim slots") {
  OneCall magic;
  magic.Overwrite(0, uint32_t{0x12345678});
  CHECK(Contains(magic.Corruption(), "magic"));
  OneCall kind;
  kind.Overwrite(kKindAt, uint8_t{9});
  CHECK(Contains(kind.Corruption(), "kind"));
  OneCall lane;
  lane.Overwrite(kKindAt, model::FrameKind::kReply);
  CHECK(Contains(lane.Corruption(), "wrong lane"));
  OneCall length;
  length.Overwrite(kBodyBytesAt, uint32_t{model::kRingBodyBytesMax + 1});
  CHECK(Contains(length.Corruption(), "too large for the ring"));
  OneCall beyond;
  beyond.Overwrite(kBodyBytesAt, uint32_t{kOneCallBytes - model::kFrameHeaderBytes + 1});
  CHECK(Contains(beyond.Corruption(), "beyond the published bytes"));
  OneCall huge;
  huge.Overwrite(kBodyBytesAt, UINT32_MAX);
  CHECK(Contains(huge.Corruption(), "larger than the limit"));
  // A claim slot is a name: a wrong one claims nothing.
  OneCall claim;
  claim.Overwrite(kClaimAt, uint32_t{0xffffffff});
  ReceivedFrame frame;
  REQUIRE(claim.second->Peek(Lane::kCalls, frame) == ReadResult::kFrame);
  CHECK_FALSE(claim.second->TryClaim(frame));
}

TEST_CASE("Hostile channel: payload references outside the payload ring") {
  constexpr uint64_t kCapacity = 1 << 20;
  struct Case {
    uint64_t position;
    uint32_t bytes;
  };
  for (const Case& c :
       {Case{64, uint32_t{kCapacity - 63}}, Case{kCapacity - 64, 65}, Case{kCapacity + 64, 1},
        Case{1, 1}, Case{UINT64_MAX - 63, 64}, Case{uint64_t{0} - kCapacity, 64}}) {
    OneCall pair;
    pair.Overwrite(kFlagsAt, uint8_t{model::kFlagPayloadBlock});
    pair.Overwrite(kBodyBytesAt, c.bytes);
    pair.Overwrite(kReferenceAt, c.position);
    INFO(c.position << " " << c.bytes);
    const std::string corruption = pair.Corruption();
    CHECK((Contains(corruption, "payload block") || Contains(corruption, "larger than the limit")));
  }
}

TEST_CASE("Hostile channel: skip markers that lead nowhere") {
  constexpr uint32_t kSkip = 0x50494b53;
  OneCall at_start;
  at_start.Overwrite(0, kSkip);
  CHECK(Contains(at_start.Corruption(), "skip marker"));
  // Behind the first frame, up to the published head only.
  OneCall pair;
  ReceivedFrame frame;
  REQUIRE(pair.second->Peek(Lane::kCalls, frame) == ReadResult::kFrame);
  pair.second->Pop(Lane::kCalls);
  pair.Overwrite(kOneCallBytes, kSkip);
  pair.control().head = 16384;
  CHECK(Contains(pair.Corruption(), "skip marker"));
}

TEST_CASE("Hostile channel: a reader's tails out of range poison the writer, which answers full") {
  for (const uint64_t tail : {uint64_t{1}, uint64_t{1} << 40, UINT64_MAX - 63}) {
    OneCall pair;
    pair.control().tail = tail;
    model::FrameHeader call = Call(2);
    size_t written = 0;
    while (pair.first->TryWrite(call, Body(1000, 2)) && written < 1000) ++written;
    CHECK(written < 16);
    CHECK(Contains(std::string(pair.first->corruption()), "tail is out of range"));
    CHECK_FALSE(pair.first->TryWrite(call, {}));
  }
  OneCall pair;
  pair.control().payload_tail = 64;
  model::FrameHeader call = Call(2);
  CHECK_FALSE(pair.first->TryWrite(call, Body(5000, 2)));
  CHECK(Contains(std::string(pair.first->corruption()), "payload tail"));
}

TEST_CASE("Hostile channel: a header that changes after Peek changes nothing") {
  OneCall pair;
  ReceivedFrame frame;
  REQUIRE(pair.second->Peek(Lane::kCalls, frame) == ReadResult::kFrame);
  pair.Overwrite(kBodyBytesAt, UINT32_MAX);
  pair.Overwrite(0, uint32_t{0});
  REQUIRE(pair.second->Peek(Lane::kCalls, frame) == ReadResult::kFrame);
  CHECK(frame.header.body_bytes == 40);
  CHECK(frame.body.size() == 40);
  pair.second->Pop(Lane::kCalls);
  CHECK(pair.second->Peek(Lane::kCalls, frame) == ReadResult::kEmpty);
}

TEST_CASE("Hostile channel: claim words full of nonsense are never used and never claimed") {
  ChannelPair pair;
  const auto claims = ChannelShape::Read(pair.memory())->ClaimsOf(pair.memory(), Side::kFirst);
  model::FrameHeader call = Call(1);
  REQUIRE(pair.first->TryWrite(call, {}));
  pair.first->Publish();
  for (auto& word : claims) word = UINT64_MAX;
  ReceivedFrame frame;
  REQUIRE(pair.second->Peek(Lane::kCalls, frame) == ReadResult::kFrame);
  CHECK_FALSE(pair.second->TryClaim(frame));
  CHECK(pair.first->ClaimOf(call.claim_slot, 1) == ClaimState::kUnknown);
  CHECK_FALSE(pair.first->TryRevoke(call.claim_slot, 1));
}

TEST_CASE(
    "Hostile channel: headers of another layout or larger than their file are refused by name") {
  const auto refused = [](size_t offset, uint64_t value, size_t bytes) {
    ChannelPair pair;
    std::memcpy(pair.memory().data() + offset, &value, bytes);
    return std::string(base::Message(Channel::OnMemory(pair.memory(), Side::kFirst).status()));
  };
  CHECK(Contains(refused(offsetof(ChannelHeader, magic), 1, 4), "magic"));
  CHECK(Contains(refused(offsetof(ChannelHeader, layout_version), 9, 4), "layout 9"));
  CHECK(Contains(refused(offsetof(ChannelHeader, frame_version), 9, 4), "version 9"));
  CHECK(Contains(refused(offsetof(ChannelHeader, ring_bytes), uint64_t{1} << 40, 8), "ring_bytes"));
  CHECK(Contains(refused(offsetof(ChannelHeader, ring_bytes), 32768, 8), "header needs"));
  CHECK(Contains(refused(offsetof(ChannelHeader, payload_bytes), 0, 8), "payload_bytes"));
  CHECK(Contains(refused(offsetof(ChannelHeader, claim_words), 63, 4), "claim_words"));
  ChannelPair pair;
  CHECK_FALSE(Channel::OnMemory(pair.memory().first(100), Side::kFirst).ok());
  CHECK_FALSE(Channel::Open(-1, Side::kFirst).ok());
}

}  // namespace rayx::shm
