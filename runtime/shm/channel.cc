#include "shm/channel.h"

#include <algorithm>
#include <new>
#include <string>
#include <utility>

#include "base/check.h"

namespace rayx::shm {
namespace {

constexpr size_t kChannelBytesMax = size_t{1} << 33;
constexpr size_t kWarmRingBytes = 32 * 1024;

Side Other(Side side) {
  return side == Side::kFirst ? Side::kSecond : Side::kFirst;
}

}  // namespace

base::StatusOr<base::UniqueFd> Channel::CreateMemory(const ChannelOptions& options) {
  RAYX_ASSIGN_OR_RETURN(const ChannelShape shape, ChannelShape::FromOptions(options));
  RAYX_ASSIGN_OR_RETURN(base::UniqueFd fd, CreateMemoryFile("channel", shape.total_bytes()));
  RAYX_ASSIGN_OR_RETURN(const Mapping mapping,
                        Mapping::Map(fd.get(), 0, kPageBytes, Protection::kReadWrite));
  shape.WriteHeader(mapping.bytes());
  return fd;
}

base::Status Channel::InitializeMemory(std::span<std::byte> memory, const ChannelOptions& options) {
  RAYX_ASSIGN_OR_RETURN(const ChannelShape shape, ChannelShape::FromOptions(options));
  if (memory.size() < shape.total_bytes()) {
    return base::MakeStatus(base::StatusCode::kInvalidArgument, "channel: memory too small");
  }
  shape.WriteHeader(memory);
  return base::OkStatus();
}

base::StatusOr<std::unique_ptr<Channel>> Channel::Open(int fd, Side side) {
  RAYX_ASSIGN_OR_RETURN(Mapping mapping,
                        Mapping::MapWhole(fd, Protection::kReadWrite, kChannelBytesMax));
  const std::span<std::byte> memory = mapping.bytes();
  RAYX_ASSIGN_OR_RETURN(const ChannelShape shape, ChannelShape::Read(memory));
  // What the first calls touch; who has many in flight pays for the rest of the rings as it comes.
  mapping.Populate(0, shape.rings_offset());
  for (const Side writer : {Side::kFirst, Side::kSecond}) {
    for (const Lane lane : {Lane::kCalls, Lane::kReplies}) {
      const std::span<std::byte> ring = shape.LaneOf(memory, writer, lane).ring;
      mapping.Populate(static_cast<size_t>(ring.data() - memory.data()),
                       std::min(ring.size(), kWarmRingBytes));
    }
  }
  return std::unique_ptr<Channel>(new Channel(std::move(mapping), memory, shape, side));
}

base::StatusOr<std::unique_ptr<Channel>> Channel::OnMemory(std::span<std::byte> memory, Side side) {
  RAYX_ASSIGN_OR_RETURN(const ChannelShape shape, ChannelShape::Read(memory));
  return std::unique_ptr<Channel>(new Channel(Mapping(), memory, shape, side));
}

Channel::Channel(Mapping mapping, std::span<std::byte> memory, const ChannelShape& shape, Side side)
    : mapping_(std::move(mapping)),
      writers_{LaneWriter(shape.LaneOf(memory, side, Lane::kCalls)),
               LaneWriter(shape.LaneOf(memory, side, Lane::kReplies))},
      readers_{LaneReader(shape.LaneOf(memory, Other(side), Lane::kCalls)),
               LaneReader(shape.LaneOf(memory, Other(side), Lane::kReplies))},
      sent_claims_(shape.ClaimsOf(memory, side)),
      received_claims_(shape.ClaimsOf(memory, Other(side))),
      shape_(shape),
      side_(side) {}

bool Channel::TryWrite(model::FrameHeader& header, std::span<const std::byte> body) {
  RAYX_CHECK(body.size() <= model::kBodyBytesMax, "frame body above kBodyBytesMax");
  const bool call = IsCall(header.kind);
  LaneWriter& writer = writers_[Index(call ? Lane::kCalls : Lane::kReplies)];
  LaneWriter::Place place;
  if (!writer.Find(body.size(), place)) return false;
  if (call) {
    uint32_t slot;
    if (!sent_claims_.Reserve(slot)) return false;
    sent_claims_.Queue(slot, header.cookie_sequence);
    header.claim_slot = slot;
  }
  header.body_bytes = static_cast<uint32_t>(body.size());
  const uint8_t flags = header.flags & static_cast<uint8_t>(~model::kFlagPayloadBlock);
  header.flags = place.payload ? flags | model::kFlagPayloadBlock : flags;
  writer.Write(place, header, body);
  header.flags = flags;
  return true;
}

void Channel::Publish() {
  for (LaneWriter& writer : writers_) writer.Publish();
}

void Channel::GiveBackWhenIdle(model::TimePoint now) {
  const uint64_t written = writers_[0].written() + writers_[1].written();
  if (written != written_when_idle_) {
    written_when_idle_ = written;
    idle_since_ = now;
    is_given_back_ = false;
  }
  if (is_given_back_ || now - idle_since_ < kIdleAfter) return;
  if (mapping_.data() == nullptr || !writers_[0].IsDrained() || !writers_[1].IsDrained()) return;
  is_given_back_ = true;
  const std::byte* const base = mapping_.data();
  for (const Lane lane : {Lane::kCalls, Lane::kReplies}) {
    const LaneMemory memory = shape_.LaneOf(mapping_.bytes(), side_, lane);
    for (const std::span<std::byte> ring : {memory.ring, memory.payload}) {
      if (ring.size() <= kWarmRingBytes) continue;
      mapping_.GiveBack(static_cast<size_t>(ring.data() - base) + kWarmRingBytes,
                        ring.size() - kWarmRingBytes);
    }
  }
}

std::string_view Channel::corruption() const {
  for (const LaneReader& reader : readers_) {
    if (reader.corruption() != nullptr) return reader.corruption();
  }
  for (const LaneWriter& writer : writers_) {
    if (writer.corruption() != nullptr) return writer.corruption();
  }
  return {};
}

}  // namespace rayx::shm
