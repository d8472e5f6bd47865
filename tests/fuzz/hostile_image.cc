#include "tests/fuzz/hostile_image.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/prng.h"
#include "model/frame.h"
#include "tests/unit/shm/channel_pair.h"

namespace rayx::fuzz {
namespace {

using shm::Lane;
using shm::ReadResult;

// A patch writes `value`, 1 to 4 bytes of it, at a place picked from one of the image's regions.
struct Patch {
  uint16_t where;
  uint8_t region;
  uint8_t when;  // before which step
  uint32_t value;
};
static_assert(sizeof(Patch) == 8);

constexpr size_t kSteps = 24;
constexpr size_t kPayloadKept = 64 * 1024;  // of each payload ring, restored between inputs

// A channel's memory, as it was when it was made.
class Image {
 public:
  Image() {
    const auto memory = pair_.memory();
    hot_ = shm::ChannelShape::Read(memory)->payloads_offset();
    saved_.assign(memory.begin(), memory.begin() + static_cast<long>(hot_ + kPayloadKept));
  }

  void Restore() { std::memcpy(pair_.memory().data(), saved_.data(), saved_.size()); }

  // A place in the header, the control words, a ring, the claim words or a payload ring.
  void Apply(const Patch& patch) {
    const auto memory = pair_.memory();
    const size_t claims = shm::kPageBytes;
    const size_t rings = claims + 2 * 1024 * sizeof(uint64_t);
    size_t at = 0;
    switch (patch.region % 5) {
      case 0:
        at = patch.where % sizeof(shm::ChannelFirstPage);
        break;
      case 1:
        at = rings + patch.where % 1024;
        break;
      case 2:
        at = rings + patch.where % (hot_ - rings);
        break;
      case 3:
        at = claims + patch.where % 256;
        break;
      case 4:
        at = hot_ + patch.where % kPayloadKept;
        break;
    }
    const size_t bytes = std::min<size_t>(patch.region / 64 + 1, memory.size() - at);
    std::memcpy(memory.data() + at, &patch.value, bytes);
  }
  std::span<std::byte> memory() { return pair_.memory(); }

 private:
  shm::ChannelPair pair_;
  size_t hot_ = 0;
  std::vector<std::byte> saved_;
};

void CheckIsNamed(model::FrameError error) {
  RAYX_CHECK(std::string_view(model::ToString(error)) != "unknown frame error");
}

// Reads every item of a body and writes it again.
Outcome Copy(std::span<const std::byte> body, uint16_t items, std::vector<std::byte>& copy) {
  model::BodyReader reader(body, items);
  model::BodyWriter writer(copy);
  model::Item item;
  while (reader.Next(item)) {
    switch (item.kind) {
      case model::ItemKind::kInline:
        writer.AddInline(item.bytes, item.object_sequence);
        break;
      case model::ItemKind::kStored:
        writer.AddStored(item.stored);
        break;
      case model::ItemKind::kError:
        writer.AddError(item.bytes);
        break;
      case model::ItemKind::kReferences: {
        std::vector<model::ObjectId> objects(item.bytes.size() / sizeof(model::ObjectId));
        if (!objects.empty()) std::memcpy(objects.data(), item.bytes.data(), item.bytes.size());
        writer.AddReferences(objects);
        break;
      }
    }
  }
  if (reader.error() != model::FrameError::kNone) {
    CheckIsNamed(reader.error());
    return Outcome::kRefused;
  }
  RAYX_CHECK(writer.item_count() == items);
  return Outcome::kAccepted;
}

// A body that is accepted is, written again, a body that is accepted and no longer changes: only
// padding and what an item's kind has no use for may differ the first time.
Outcome WalkBody(std::span<const std::byte> body, uint16_t items) {
  std::vector<std::byte> copy;
  if (Copy(body, items, copy) == Outcome::kRefused) return Outcome::kRefused;
  RAYX_CHECK(copy.size() <= body.size());
  std::vector<std::byte> again;
  RAYX_CHECK(Copy(copy, items, again) == Outcome::kAccepted);
  RAYX_CHECK(copy == again);
  return Outcome::kAccepted;
}

// One end does what both a reader and a writer do. True while the channel is sound.
bool Step(shm::Channel& channel, size_t step) {
  const Lane lane = step % 2 ? Lane::kCalls : Lane::kReplies;
  shm::ReceivedFrame frame;
  (void)channel.HasWork();
  const ReadResult result = channel.Peek(lane, frame);
  if (result == ReadResult::kCorrupt) {
    RAYX_CHECK(!channel.corruption().empty());
    RAYX_CHECK(channel.Peek(lane, frame) == ReadResult::kCorrupt);
    RAYX_CHECK(!channel.HasWork(lane));
    return false;
  }
  if (result == ReadResult::kFrame) {
    RAYX_CHECK(frame.body.size() == frame.header.body_bytes);
    RAYX_CHECK(frame.body.size() <= model::kBodyBytesMax);
    (void)WalkBody(frame.body, frame.header.item_count);
    if (channel.TryClaim(frame)) {
      channel.MarkDone(frame.header.claim_slot, frame.header.cookie_sequence);
    }
    channel.Pop(lane);
  }
  model::FrameHeader answer = step % 3 ? shm::Call(1) : shm::Reply(1);
  static const std::vector<std::byte> large = shm::Body(9000, 1);
  const auto body = std::span(large).first(step % 4 == 0 ? large.size() : step * 50);
  if (channel.TryWrite(answer, body)) {
    channel.Publish();
    (void)channel.ClaimOf(answer.claim_slot, 1);
    (void)channel.TryRevoke(answer.claim_slot, 1);
  }
  return true;
}

// Frames in all lanes of a side: small ones in its rings, large ones in payload blocks.
void WriteFrames(shm::Channel& channel) {
  static const auto frames = [] {
    std::vector<std::pair<model::FrameHeader, std::vector<std::byte>>> made(6);
    for (uint32_t i = 0; i < made.size(); ++i) {
      auto& [header, body] = made[i];
      header = i % 2 ? shm::Call(i) : shm::Reply(i);
      model::BodyWriter writer(body);
      writer.AddInline(shm::Body(i == 4 || i == 5 ? 5000 : 100 * i, i), i);
      writer.AddStored({});
      header.item_count = writer.item_count();
    }
    return made;
  }();
  for (auto [header, body] : frames) (void)channel.TryWrite(header, body);
  channel.Publish();
}

std::vector<std::byte> ToBytes(uint8_t target, const std::vector<Patch>& patches) {
  std::vector<std::byte> bytes{std::byte{target}};
  const auto raw = std::as_bytes(std::span(patches));
  bytes.insert(bytes.end(), raw.begin(), raw.end());
  return bytes;
}

}  // namespace

Outcome DecodeFrame(std::span<const std::byte> input) {
  model::FrameHeader header;
  const model::FrameError error = model::DecodeHeader(input, header);
  if (error != model::FrameError::kNone) {
    CheckIsNamed(error);
    return Outcome::kRefused;
  }
  RAYX_CHECK(std::memcmp(&header, input.data(), sizeof header) == 0);
  RAYX_CHECK(header.body_bytes <= model::kBodyBytesMax);
  // A copy of exactly the bytes, so that a sanitizer sees any read beyond them.
  const auto rest = input.subspan(model::kFrameHeaderBytes);
  const std::vector<std::byte> body(rest.begin(), rest.end());
  return WalkBody(body, header.item_count);
}

Outcome UseChannel(std::span<const std::byte> input) {
  static Image image;
  image.Restore();
  std::vector<Patch> patches(std::min<size_t>(input.size() / sizeof(Patch), 64));
  for (size_t i = 0; i < patches.size(); ++i) {
    std::memcpy(&patches[i], input.data() + i * sizeof(Patch), sizeof(Patch));
  }
  const auto apply = [&](size_t step) {
    for (const Patch& patch : patches) {
      if (patch.when % (kSteps + 1) == step) image.Apply(patch);
    }
  };
  apply(0);
  auto first = shm::Channel::OnMemory(image.memory(), shm::Side::kFirst);
  auto second = shm::Channel::OnMemory(image.memory(), shm::Side::kSecond);
  for (const auto& status : {first.status(), second.status()}) {
    if (status.ok()) continue;
    RAYX_CHECK(!status.message().empty());
    return Outcome::kRefused;
  }
  WriteFrames(**first);
  apply(0);  // what lies in the frames now
  bool sound = true;
  for (size_t step = 1; step <= kSteps && sound; ++step) {
    apply(step);
    sound = Step(step % 4 == 3 ? **first : **second, step);
  }
  return sound ? Outcome::kAccepted : Outcome::kRefused;
}

Outcome OneInput(std::span<const std::byte> input) {
  if (input.empty()) return Outcome::kRefused;
  const auto rest = input.subspan(1);
  return static_cast<uint8_t>(input[0]) % 2 == 0 ? DecodeFrame(rest) : UseChannel(rest);
}

std::vector<std::vector<std::byte>> Seeds() {
  std::vector<std::vector<std::byte>> seeds;
  for (const uint16_t items : {0, 1, 3}) {
    std::vector<std::byte> body;
    model::BodyWriter writer(body);
    for (uint16_t i = 0; i < items; ++i) {
      if (i == 1) writer.AddStored({});
      if (i == 2) writer.AddError(shm::Body(9, 1));
      if (i == 0) writer.AddInline(shm::Body(50, 2), 7);
    }
    model::FrameHeader header;
    header.item_count = writer.item_count();
    header.body_bytes = static_cast<uint32_t>(body.size());
    std::vector<std::byte> seed{std::byte{0}};
    const auto raw = std::as_bytes(std::span(&header, 1));
    seed.insert(seed.end(), raw.begin(), raw.end());
    seed.insert(seed.end(), body.begin(), body.end());
    seeds.push_back(std::move(seed));
  }
  seeds.push_back(ToBytes(1, {}));
  RAYX_CHECK(seeds.size() == kSoundSeeds);
  // Every 4 bytes of the first page's words and of the first frames, before the start and between.
  for (uint16_t where = 0; where < sizeof(shm::ChannelFirstPage); where += 4) {
    seeds.push_back(ToBytes(1, {{where, 0xc0, static_cast<uint8_t>(where % 3), 0xffffff40}}));
  }
  for (uint16_t where = 0; where < 512; where += 4) {
    seeds.push_back(ToBytes(1, {{where, 0xc1, 0, where * 64u}, {where, 0xc1, 2, 0x80000000}}));
  }
  return seeds;
}

}  // namespace rayx::fuzz
