// runtime/model/frame.h
//
// The one task frame: what rings carry raw and streams carry as bytes.
//
// Purpose:  layout, encoder and decoder of calls, replies and the small messages between processes.
// Owner:    values; no state.
// Threads:  any.
// Inputs:   bytes from a peer process or VM: hostile until DecodeHeader / BodyReader said
//           otherwise.
// Promises: one encoder and one decoder. Decoding never reads outside the span it was given,
//           allocates nothing by an unchecked number, and never reads a shared byte twice (callers
//           copy the header out of the ring first). A frame with another magic or version is
//           refused.
// Limits:   kFrameBytesMax in a ring; a body above kRingBodyBytesMax travels as one payload block;
//           kBodyBytesMax in all; kItemsMax arguments or results, kBodyItemsMax items.
//
// A frame is a 104-byte FrameHeader, then a body: `item_count` items, each an ItemHeader (16 bytes)
// and its bytes, padded to 8. Little-endian, as on every machine that we run on (static_assert).
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "model/ids.h"

namespace rayx::model {

inline constexpr uint32_t kFrameMagic = 0x31465852;  // "RXF1"
inline constexpr uint16_t kFrameVersion = 3;         // digest e7c38167810569cd
// With it a call or an answer of one small value is 128 bytes: two cache lines.
inline constexpr size_t kFrameHeaderBytes = 104;
inline constexpr size_t kFrameBytesMax = 4096;
inline constexpr size_t kRingBodyBytesMax = kFrameBytesMax - kFrameHeaderBytes;
inline constexpr size_t kBodyBytesMax = 512 * 1024;
inline constexpr size_t kInlineValueBytesMax = 100 * 1024;  // larger values live in the store
inline constexpr uint32_t kItemsMax = 4096;
inline constexpr uint32_t kBodyItemsMax = 2 * kItemsMax;  // each with its references

enum class FrameKind : uint8_t {
  // The calls lane: each carries a claim word and is executed.
  kTask = 1,
  kActorCreate = 2,
  kActorCall = 3,
  // The replies lane: drained at any time, also while user code runs.
  kReply = 16,           // results of a call: item i is result i, or one kError item
  kFetchValue = 17,      // urgent: "send me object `task` when you have it"; cookie is the asker's
  kValue = 18,           // answer to kFetchValue: one item
  kRevoke = 19,          // urgent: give back a queued frame {task, attempt} (owner on another VM)
  kRevokeReply = 20,     // flags: kFlagTooLate when it already runs or ran
  kAddBorrower = 21,     // urgent: one inline item, BorrowRecords; request id in `number`
  kBorrowerAck = 22,     // urgent: answers it; with `number` 0 a greeting to a borrower
  kRemoveBorrower = 23,  // as kAddBorrower, of the source alone, without an answer
  kCancel = 24,
  kUndeliverable = 25,  // a daemon's answer: the destination is gone; item 0 is a kError item
  kProcessDied = 26,    // daemon to daemon: the source is gone, these were its last words
};

inline bool IsCall(FrameKind kind) {
  return static_cast<uint8_t>(kind) < 16;
}

enum FrameFlags : uint8_t {
  kFlagPayloadBlock = 1,  // in a ring only: the body lies in the channel's payload ring
  kFlagUrgent = 2,
  kFlagTooLate = 4,
  kFlagFailed = 8,       // a reply whose single item is an error
  kFlagEachResult = 16,  // a call whose results are the parts of its value
};

struct FrameHeader {
  uint32_t magic = kFrameMagic;
  uint16_t version = kFrameVersion;
  FrameKind kind = FrameKind::kTask;
  uint8_t flags = 0;
  uint32_t body_bytes = 0;  // of the whole body, wherever it lies
  uint32_t attempt = 1;     // attempts count from 1
  ProcessId destination;
  ProcessId source;
  TaskId task;
  FunctionId function;
  uint32_t cookie_slot = 0;      // the sender's pending slot, brought back by the answer
  uint32_t cookie_sequence = 0;  // of that slot; slot + sequence + owner + attempt are all checked
  ActorId actor;
  uint32_t incarnation = 0;
  JobId job;
  // Of a kActorCreate: how many calls the actor serves at once, 0 = 1. Of a kActorCall: how many
  // its caller has made of this incarnation, from 1. Of a kReply: measured run time in us, for the
  // depth of pipelining. Of kAddBorrower and kBorrowerAck: the request's id. Of a kUndeliverable:
  // that of what it answers, which is a kAddBorrower where no cookie came with it.
  uint64_t number = 0;
  uint16_t item_count = 0;
  uint16_t result_count = 1;  // results that the caller expects
  uint32_t claim_slot = 0;    // in a ring only: names the call's claim word there
};
static_assert(sizeof(FrameHeader) == kFrameHeaderBytes);
static_assert(std::endian::native == std::endian::little);

enum class ItemKind : uint8_t {
  kInline = 1,      // the serialized value itself
  kStored = 2,      // a StoredLocation: the value lies in a store
  kError = 3,       // a serialized proto ErrorInfo
  kReferences = 4,  // in a reply: ObjectIds that the next item's value refers to
};

struct ItemHeader {
  ItemKind kind = ItemKind::kInline;
  uint8_t reserved[3] = {};
  uint32_t bytes = 0;            // that follow, before padding
  uint64_t object_sequence = 0;  // of the argument's object when it has one, else 0
};
static_assert(sizeof(ItemHeader) == 16);

// Where a sealed object lies. `entry` and `generation` name the extent entry of the control area.
struct StoredLocation {
  ObjectId object;
  NodeNumber node;
  JobId job;  // whose segment
  uint32_t entry = 0;
  uint32_t generation = 0;
  uint64_t offset = 0;  // in the segment
  uint64_t size = 0;
  friend bool operator==(const StoredLocation&, const StoredLocation&) = default;
};
static_assert(sizeof(StoredLocation) == 48);

// Who holds an object beside its owner. `token` names the reason: one a process and holding, so
// that taking one back leaves the others.
struct BorrowRecord {
  ObjectId object;
  ProcessId borrower;
  uint64_t token = 0;
};
static_assert(sizeof(BorrowRecord) == 32);

enum class FrameError : uint8_t {
  kNone = 0,
  kTruncated,
  kBadMagic,
  kBadVersion,
  kBadKind,
  kBodyTooLarge,
  kTooManyItems,
  kItemOutOfBounds,
  kBadItem,
};
const char* ToString(FrameError error);

// Writes a header to kFrameHeaderBytes of memory, field by field: see BeginItem.
void StoreHeader(const FrameHeader& header, std::byte* to);

// Copies and checks a header. `bytes` may be longer than the header.
FrameError DecodeHeader(std::span<const std::byte> bytes, FrameHeader& header);

// What an inline item takes in a body, its value of so many bytes included.
constexpr size_t ItemBytes(size_t value_bytes) {
  return sizeof(ItemHeader) + ((value_bytes + 7) & ~size_t{7});
}
static_assert(kFrameHeaderBytes + ItemBytes(sizeof(uint64_t)) == 128);
// Writes what stands before an item's bytes to `at`; where these go. From registers: parts stored
// one by one and then copied as one have to reach the cache first, behind all earlier stores, among
// them those to lines that another process has.
inline std::byte* BeginItem(std::byte* at, ItemKind kind, size_t bytes, uint64_t object_sequence) {
  const uint64_t first = static_cast<uint64_t>(kind) | static_cast<uint64_t>(bytes) << 32;
  static_assert(offsetof(ItemHeader, bytes) == 4 && offsetof(ItemHeader, object_sequence) == 8);
  std::memcpy(at, &first, sizeof first);
  std::memcpy(at + sizeof first, &object_sequence, sizeof object_sequence);
  return at + sizeof(ItemHeader);
}
// For a body that is built in place: writes the beginning of an inline item (and what fills it up)
// into ItemBytes(value_bytes) bytes at `at`; where its value goes.
inline std::byte* BeginInlineItem(std::byte* at, size_t value_bytes) {
  std::memset(at + ItemBytes(value_bytes) - 8, 0, 8);
  return BeginItem(at, ItemKind::kInline, value_bytes, 0);
}

// Appends items to a body buffer (cleared by the owner, reused).
class BodyWriter {
 public:
  explicit BodyWriter(std::vector<std::byte>& body) : body_(body) {}
  void AddInline(std::span<const std::byte> value, uint64_t object_sequence = 0);
  // Room for an inline value that the caller fills in itself; valid until the next Add.
  std::span<std::byte> AddInlineSpace(size_t bytes, uint64_t object_sequence = 0);
  void AddStored(const StoredLocation& location);
  void AddError(std::span<const std::byte> error);
  void AddReferences(std::span<const ObjectId> objects);
  uint16_t item_count() const { return count_; }

 private:
  std::span<std::byte> Add(ItemKind kind, size_t bytes, uint64_t object_sequence);
  std::vector<std::byte>& body_;
  uint16_t count_ = 0;
};

struct Item {
  ItemKind kind = ItemKind::kInline;
  uint64_t object_sequence = 0;
  std::span<const std::byte> bytes;  // kInline, kError, kReferences (a multiple of an id's 16)
  StoredLocation stored;             // kStored
};

// Walks the items of a body. The body must not change under it (a private copy, or a claimed
// block).
class BodyReader {
 public:
  BodyReader(std::span<const std::byte> body, uint16_t item_count)
      : body_(body), left_(item_count) {}
  // False at the end or at an error; error() tells which.
  bool Next(Item& item) {
    if (left_ == 0 || error_ != FrameError::kNone) return false;
    --left_;
    if (body_.size() < sizeof(ItemHeader)) return Fail(FrameError::kItemOutOfBounds);
    ItemHeader header;
    std::memcpy(&header, body_.data(), sizeof header);
    if (ItemBytes(header.bytes) > body_.size()) return Fail(FrameError::kItemOutOfBounds);
    item.kind = header.kind;
    item.object_sequence = header.object_sequence;
    item.bytes = body_.subspan(sizeof header, header.bytes);
    body_ = body_.subspan(ItemBytes(header.bytes));
    return header.kind == ItemKind::kInline || CheckOther(item);
  }
  FrameError error() const { return error_; }

 private:
  bool Fail(FrameError error) {
    error_ = error;
    return false;
  }
  bool CheckOther(Item& item);  // of another kind than kInline

  std::span<const std::byte> body_;
  uint32_t left_;
  FrameError error_ = FrameError::kNone;
};

}  // namespace rayx::model
