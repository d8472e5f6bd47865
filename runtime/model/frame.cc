#include "model/frame.h"

#include <atomic>

namespace rayx::model {
namespace {

bool KnownKind(FrameKind kind) {
  const auto value = static_cast<uint8_t>(kind);
  return (value >= 1 && value <= 3) || (value >= 16 && value <= 26);
}

}  // namespace

const char* ToString(FrameError error) {
  switch (error) {
    case FrameError::kNone:
      return "none";
    case FrameError::kTruncated:
      return "frame shorter than its header";
    case FrameError::kBadMagic:
      return "not a frame (wrong magic)";
    case FrameError::kBadVersion:
      return "frame layout of another version";
    case FrameError::kBadKind:
      return "unknown frame kind";
    case FrameError::kBodyTooLarge:
      return "frame body larger than the limit";
    case FrameError::kTooManyItems:
      return "more items than the limit";
    case FrameError::kItemOutOfBounds:
      return "item reaches beyond the body";
    case FrameError::kBadItem:
      return "malformed item";
  }
  return "unknown frame error";
}

void StoreHeader(const FrameHeader& header, std::byte* to) {
  // Volatile: the compiler would join what lies side by side.
  auto* const at = reinterpret_cast<volatile FrameHeader*>(to);
  at->magic = header.magic;
  at->version = header.version;
  at->kind = header.kind;
  at->flags = header.flags;
  at->body_bytes = header.body_bytes;
  at->attempt = header.attempt;
  at->destination.value = header.destination.value;
  at->source.value = header.source.value;
  at->task.owner.value = header.task.owner.value;
  at->task.sequence = header.task.sequence;
  at->function.value = header.function.value;
  at->cookie_slot = header.cookie_slot;
  at->cookie_sequence = header.cookie_sequence;
  at->actor.creator.value = header.actor.creator.value;
  at->actor.sequence = header.actor.sequence;
  at->incarnation = header.incarnation;
  at->job.value = header.job.value;
  at->number = header.number;
  at->item_count = header.item_count;
  at->result_count = header.result_count;
  at->claim_slot = header.claim_slot;
}

FrameError DecodeHeader(std::span<const std::byte> bytes, FrameHeader& header) {
  if (bytes.size() < kFrameHeaderBytes) return FrameError::kTruncated;
  std::memcpy(static_cast<void*>(&header), bytes.data(), kFrameHeaderBytes);
  // The source may be a ring that its writer still changes: what is checked below is this copy.
  std::atomic_signal_fence(std::memory_order_seq_cst);
  if (header.magic != kFrameMagic) return FrameError::kBadMagic;
  if (header.version != kFrameVersion) return FrameError::kBadVersion;
  if (!KnownKind(header.kind)) return FrameError::kBadKind;
  if (header.body_bytes > kBodyBytesMax) return FrameError::kBodyTooLarge;
  if (header.item_count > kBodyItemsMax || header.result_count > kItemsMax) {
    return FrameError::kTooManyItems;
  }
  return FrameError::kNone;
}

std::span<std::byte> BodyWriter::Add(ItemKind kind, size_t bytes, uint64_t object_sequence) {
  const size_t at = body_.size();
  body_.resize(at + ItemBytes(bytes));
  ++count_;
  return {BeginItem(body_.data() + at, kind, bytes, object_sequence), bytes};
}

std::span<std::byte> BodyWriter::AddInlineSpace(size_t bytes, uint64_t object_sequence) {
  return Add(ItemKind::kInline, bytes, object_sequence);
}

void BodyWriter::AddInline(std::span<const std::byte> value, uint64_t object_sequence) {
  auto space = Add(ItemKind::kInline, value.size(), object_sequence);
  if (!value.empty()) std::memcpy(space.data(), value.data(), value.size());
}

void BodyWriter::AddStored(const StoredLocation& location) {
  auto space = Add(ItemKind::kStored, sizeof location, location.object.sequence);
  std::memcpy(space.data(), &location, sizeof location);
}

void BodyWriter::AddError(std::span<const std::byte> error) {
  auto space = Add(ItemKind::kError, error.size(), 0);
  if (!error.empty()) std::memcpy(space.data(), error.data(), error.size());
}

void BodyWriter::AddReferences(std::span<const ObjectId> objects) {
  auto space = Add(ItemKind::kReferences, objects.size_bytes(), 0);
  if (!objects.empty()) std::memcpy(space.data(), objects.data(), objects.size_bytes());
}

bool BodyReader::CheckOther(Item& item) {
  switch (item.kind) {
    case ItemKind::kError:
      return true;
    case ItemKind::kStored:
      if (item.bytes.size() != sizeof(StoredLocation)) return Fail(FrameError::kBadItem);
      std::memcpy(static_cast<void*>(&item.stored), item.bytes.data(), sizeof(StoredLocation));
      return true;
    case ItemKind::kReferences:
      return item.bytes.size() % sizeof(ObjectId) == 0 || Fail(FrameError::kBadItem);
    default:
      return Fail(FrameError::kBadItem);
  }
}

}  // namespace rayx::model
