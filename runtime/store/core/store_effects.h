// runtime/store/core/store_effects.h
//
// The words between StoreCore and its shell: names, requests, and what a step of the core asks for.
// Owner: values.     Threads: any.
#pragma once

#include <compare>
#include <cstdint>
#include <vector>

#include "base/status.h"
#include "model/ids.h"
#include "model/time.h"
#include "store/core/extent_allocator.h"

namespace rayx::store {

// A request of a process; the daemon's own pulls use its process id and their transfer's number.
struct RequestKey {
  model::ProcessId process;
  uint64_t request = 0;
  friend auto operator<=>(const RequestKey&, const RequestKey&) = default;
};

// One use of one entry of a job's extent table. Generations count from 1 and never come twice.
struct EntryName {
  model::JobId job;
  uint32_t entry = 0;
  uint32_t generation = 0;
  friend auto operator<=>(const EntryName&, const EntryName&) = default;
};

struct AllocateRequest {
  RequestKey key;
  model::ObjectId object;
  model::JobId job;
  uint64_t bytes = 0;    // that the object has; extents are whole pages
  bool is_copy = false;  // of an object that lies on another node
};

// Give these pages of the segment memory; answer OnPrepared.
struct PrepareEffect {
  EntryName name;
  std::vector<ByteRange> cold;
};
// What lies where.
struct PlacedObject {
  EntryName name;
  model::ObjectId object;
  uint64_t offset = 0;
  uint64_t bytes = 0;  // of the object
};
// Write the entry (WRITING), then answer the request.
struct GrantEffect {
  RequestKey key;
  PlacedObject placed;
};
struct RefuseEffect {
  RequestKey key;
  base::Status why;  // kResourceExhausted: full; kCancelled: the job ended; kInvalidArgument
};
// Which shared states a retirement may take to FREED.
enum class RetireIf : uint8_t {
  kSealed,   // leave an entry to the process that is still writing it
  kWriting,  // its writer died: leave it when it was finished
  kAny,
};
// If the state allows it: entry to FREED, fence, scan of the pin ledgers; answer OnRetired.
struct RetireEffect {
  EntryName name;
  RetireIf condition = RetireIf::kAny;
};
enum class RetireOutcome : uint8_t {
  kLeft,      // the condition did not hold
  kPinned,    // FREED, and some ledger still names it
  kUnpinned,  // FREED, and nobody can reach it any more
};
// Give the pages of a free range back to the system. Before every PrepareEffect of the same step.
struct PunchEffect {
  model::JobId job;
  ByteRange range;
};
// A node that pulled a copy of the object shall free it.
struct ForwardFreeEffect {
  model::NodeNumber node;
  PlacedObject placed;
};
// A finished object whose writer died before its owner was sure to know of it: offer it to the
// owner.
struct OrphanEffect {
  PlacedObject placed;
};

// Filled by one step, run in this order by the shell, which owns and reuses it.
struct StoreEffects {
  std::vector<PunchEffect> punches;
  std::vector<PrepareEffect> prepares;
  std::vector<GrantEffect> grants;
  std::vector<RefuseEffect> refusals;
  std::vector<RetireEffect> retires;
  std::vector<ForwardFreeEffect> forwards;
  std::vector<OrphanEffect> orphans;
  std::vector<model::JobId> closes;  // nothing is left in the job's segment: drop it

  bool empty() const {
    return punches.empty() && prepares.empty() && grants.empty() && refusals.empty() &&
           retires.empty() && forwards.empty() && orphans.empty() && closes.empty();
  }
  void Clear() {
    punches.clear();
    prepares.clear();
    grants.clear();
    refusals.clear();
    retires.clear();
    forwards.clear();
    orphans.clear();
    closes.clear();
  }
};

}  // namespace rayx::store
