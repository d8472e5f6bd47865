#include "shm/channel_layout.h"

#include <cstring>
#include <string>

namespace rayx::shm {
namespace {

base::Status InvalidChannel(const std::string& what) {
  return base::MakeStatus(base::StatusCode::kInvalidArgument, "channel: " + what);
}

base::Status CheckSize(const char* name, uint64_t value, uint64_t min, uint64_t max) {
  if (std::has_single_bit(value) && value >= min && value <= max) return base::OkStatus();
  return InvalidChannel(std::string(name) + " is " + std::to_string(value) +
                        ": expected a power of two from " + std::to_string(min) + " to " +
                        std::to_string(max));
}

base::Status CheckOptions(uint64_t ring_bytes, uint64_t payload_bytes, uint64_t claim_words) {
  RAYX_RETURN_IF_ERROR(CheckSize("ring_bytes", ring_bytes, kRingBytesMin, kRingBytesMax));
  RAYX_RETURN_IF_ERROR(
      CheckSize("payload_bytes", payload_bytes, kPayloadBytesMin, kPayloadBytesMax));
  return CheckSize("claim_words", claim_words, kClaimWordsMin, kClaimWordsMax);
}

}  // namespace

base::StatusOr<ChannelShape> ChannelShape::FromOptions(const ChannelOptions& options) {
  RAYX_RETURN_IF_ERROR(
      CheckOptions(options.ring_bytes, options.payload_bytes, options.claim_words));
  return ChannelShape(options);
}

base::StatusOr<ChannelShape> ChannelShape::Read(std::span<const std::byte> memory) {
  if (memory.size() < kPageBytes) return InvalidChannel("memory shorter than its header");
  ChannelHeader header;
  std::memcpy(&header, memory.data(), sizeof header);
  // From here on only the copy: the peer may change the original at any time.
  std::atomic_signal_fence(std::memory_order_seq_cst);
  if (header.magic != kChannelMagic) return InvalidChannel("wrong magic");
  if (header.layout_version != kLayoutVersion || header.frame_version != model::kFrameVersion) {
    return InvalidChannel("layout " + std::to_string(header.layout_version) +
                          " with frames of version " + std::to_string(header.frame_version) +
                          ": expected " + std::to_string(kLayoutVersion) + " and " +
                          std::to_string(model::kFrameVersion));
  }
  RAYX_RETURN_IF_ERROR(CheckOptions(header.ring_bytes, header.payload_bytes, header.claim_words));
  const ChannelShape shape({header.ring_bytes, header.payload_bytes, header.claim_words});
  if (memory.size() < shape.total_bytes()) {
    return InvalidChannel("memory of " + std::to_string(memory.size()) +
                          " bytes: its header needs " + std::to_string(shape.total_bytes()));
  }
  return shape;
}

void ChannelShape::WriteHeader(std::span<std::byte> memory) const {
  const ChannelHeader header{kChannelMagic,          kLayoutVersion,       options_.ring_bytes,
                             options_.payload_bytes, options_.claim_words, model::kFrameVersion};
  std::memcpy(memory.data(), &header, sizeof header);
}

size_t ChannelShape::rings_offset() const {
  return kPageBytes + kSides * ClaimBytes();
}

size_t ChannelShape::payloads_offset() const {
  return rings_offset() + kSides * kLanes * options_.ring_bytes;
}

size_t ChannelShape::total_bytes() const {
  return payloads_offset() + kSides * kLanes * options_.payload_bytes;
}

LaneMemory ChannelShape::LaneOf(std::span<std::byte> memory, Side writer, Lane lane) const {
  const size_t direction = static_cast<size_t>(writer);
  const size_t index = direction * kLanes + static_cast<size_t>(lane);
  LaneMemory result;
  result.lane = lane;
  auto* page = reinterpret_cast<ChannelFirstPage*>(memory.data());
  result.control = &page->lanes[direction][static_cast<size_t>(lane)];
  result.ring = memory.subspan(rings_offset() + index * options_.ring_bytes, options_.ring_bytes);
  result.payload =
      memory.subspan(payloads_offset() + index * options_.payload_bytes, options_.payload_bytes);
  return result;
}

std::span<std::atomic<uint64_t>> ChannelShape::ClaimsOf(std::span<std::byte> memory,
                                                        Side writer) const {
  const size_t at = kPageBytes + static_cast<size_t>(writer) * ClaimBytes();
  return {reinterpret_cast<std::atomic<uint64_t>*>(memory.data() + at), options_.claim_words};
}

}  // namespace rayx::shm
