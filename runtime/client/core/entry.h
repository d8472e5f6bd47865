// runtime/client/core/entry.h
//
// What the client core keeps for one object and, until it has run, for the task that makes it.
//
// Purpose:  one entry an object; a task is the record hanging from its first result's entry. There
//           is one pending table, not two: the entry's slot is the cookie that a call carries and
//           its reply brings back.
// Owner:    PendingSlab.
// Threads:  the baton's holder, but for, while a hold is kept, the value of a resolved entry, which
//           no longer changes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "model/frame.h"
#include "model/ids.h"
#include "model/time.h"

namespace rayx::client {

inline constexpr uint32_t kNoSlot = UINT32_MAX;
inline constexpr size_t kEntryInlineBytes = 24;

enum class EntryState : uint8_t {
  kFree,
  kWaiting,   // an own object: arguments of its task are unresolved, or a Put is being written
  kQueued,    // its task waits for a lease, for its actor or for a retry
  kSent,      // its task is with a worker or actor
  kForeign,   // another process owns it; its value has not been asked for
  kFetching,  // asked for at its owner
  kReady,     // value or error is here
};

enum class ValueKind : uint8_t { kNone, kInline, kHeap, kStored, kError };

// Somebody who waits for an entry: an own task, or a process that sent kFetchValue.
struct Waiter {
  uint32_t task_slot = kNoSlot;
  model::ProcessId peer;
  uint32_t cookie_slot = 0;
  uint32_t cookie_sequence = 0;
};

// How an object is bound to others; only objects that are have one.
struct Bonds {
  // An own object: the processes that hold it too.
  std::set<std::pair<model::ProcessId, uint64_t>> borrowers;  // and why: see BorrowRecord
  // Objects that its value refers to: one hold on each while it lives.
  std::vector<uint32_t> contains;
  // A foreign object: by what its owner knows this process as a holder. With the last hold all are
  // taken back.
  std::set<uint64_t> tokens;
  uint64_t asked = 0;            // the token that the owner has not acknowledged yet
  std::vector<uint32_t> outers;  // through which it came here: held until then
};

struct TaskArgument {
  uint32_t slot = kNoSlot;  // of the referenced object's entry (one hold kept); kNoSlot: inline
  uint32_t offset = 0;      // inline: in TaskRecord::inline_values
  uint32_t bytes = 0;
};

// What few tasks have.
struct TaskExtras {
  // References among the arguments: the body is built from these at dispatch, when they are there.
  std::vector<std::byte> inline_values;
  std::vector<TaskArgument> arguments;
  std::vector<uint32_t> referred;  // objects that inline arguments refer to: a hold on each
  std::string name;                // SetName
  uint32_t deaths = 0;             // attempts that ended with their worker's own death
  uint32_t serves_at_once = 0;     // kActorCreate: SetMaxConcurrency
  model::TimePoint not_before{};   // a retry's back-off
  // Of a kTask: where most bytes of its stored arguments lie (0: nowhere); until `anywhere_at` it
  // is sent to no other node.
  model::NodeNumber data_node;
  model::TimePoint anywhere_at{};
};

// The body of a call, as it travels: short ones lie in place.
class CallBody {
 public:
  static constexpr size_t kInPlaceBytes = 36;  // a number of 64 bits, and its item's header

  CallBody() = default;
  CallBody(const CallBody&) = delete;
  CallBody& operator=(CallBody&& other) noexcept {
    if (this == &other) return *this;
    Clear();
    std::memcpy(in_place_, other.in_place_, kInPlaceBytes);
    size_ = std::exchange(other.size_, 0);
    return *this;
  }
  ~CallBody() { Clear(); }

  // So many bytes of no meaning, for the caller to fill in.
  std::byte* Resize(size_t bytes) {
    Clear();
    std::byte* to = in_place_;
    if (bytes > kInPlaceBytes) {
      to = new std::byte[bytes];
      std::memcpy(in_place_, &to, sizeof to);
    }
    size_ = static_cast<uint32_t>(bytes);
    return to;
  }
  void Assign(std::span<const std::byte> bytes) {
    std::byte* const to = Resize(bytes.size());
    if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
  }
  void Clear() {
    if (size_ > kInPlaceBytes) delete[] Heap();
    size_ = 0;
  }
  std::span<const std::byte> bytes() const {
    return {size_ > kInPlaceBytes ? Heap() : in_place_, size_};
  }
  size_t size() const { return size_; }

 private:
  std::byte* Heap() const {
    std::byte* heap;
    std::memcpy(&heap, in_place_, sizeof heap);
    return heap;
  }

  uint32_t size_ = 0;
  std::byte in_place_[kInPlaceBytes] = {};  // or the address of more
};

// A task that has not ended: what is needed to send it, and to send it again. Its frame's header is
// made from this, its entry and its class or actor each time. A million of them may wait: what few
// have stands in TaskExtras.
struct TaskRecord {
  model::FunctionId function;
  const std::string* function_name = nullptr;  // lives as long as the process
  std::unique_ptr<TaskExtras> extras;
  model::ProcessId destination;  // it was sent to
  CallBody body;                 // as sent last
  uint32_t claim_slot = 0;       // in the ring that it was sent through
  uint32_t attempt = 1;
  int32_t retries_left = 0;
  uint32_t unresolved = 0;         // arguments
  uint32_t class_index = 0;        // of a kTask
  uint32_t lease_index = kNoSlot;  // kSent, kTask
  uint32_t actor_index = kNoSlot;  // kActorCall, kActorCreate
  // In this order, so that none are read as one that were stored apart: see model::BeginItem.
  model::FrameKind kind = model::FrameKind::kTask;
  uint16_t result_count = 1;
  uint8_t flags = 0;
  uint16_t item_count = 0;

  TaskExtras& Extras() {
    if (!extras) extras = std::make_unique<TaskExtras>();
    return *extras;
  }
  const std::string& name() const {
    static const std::string kNone;
    if (extras && !extras->name.empty()) return extras->name;
    return function_name != nullptr ? *function_name : kNone;
  }
  std::span<const TaskArgument> arguments() const {
    return extras ? std::span<const TaskArgument>(extras->arguments)
                  : std::span<const TaskArgument>();
  }
  bool MayBeSentAt(model::TimePoint now) const { return !extras || extras->not_before <= now; }
};
static_assert(sizeof(TaskRecord) <= 112);

struct alignas(64) Entry {  // two cache lines
  uint32_t holds = 0;
  EntryState state = EntryState::kFree;
  ValueKind kind = ValueKind::kNone;
  uint32_t next = kNoSlot;  // of the free list
  // Of one of several results: the first one's slot, where their task is while it has not ended.
  uint32_t run = kNoSlot;
  uint32_t value_bytes = 0;
  model::ObjectId id;
  std::array<std::byte, kEntryInlineBytes> inline_value{};
  // kHeap: the encoded value; kError: an ErrorInfo
  std::unique_ptr<std::byte[]> heap;
  std::unique_ptr<model::StoredLocation> stored;  // kStored
  TaskRecord* task = nullptr;                     // of the slab: see PendingSlab::SetTask
  std::vector<Waiter> waiters;
  std::unique_ptr<Bonds> bonds;

  std::span<const std::byte> bytes() const {
    return {kind == ValueKind::kInline ? inline_value.data() : heap.get(), value_bytes};
  }
};
static_assert(sizeof(Entry) == 128);

}  // namespace rayx::client
