// runtime/store/core/pull_core.h
//
// Plans the copies of objects that lie on other nodes. Pure: no clock, I/O, locks or shared memory.
// Owner:    NodeStore, one a node.
// Threads:  the node loop only.
// Inputs:   On*() calls, each with `now`.
// Outputs:  appended to PullEffects, run by the shell.
// Promises: one transfer an object, however many wait for it; every waiter is answered once: with
//           the copy, or with why there is none, at the latest `progress_lost_max` after the last
//           byte arrived. At most `bytes_in_flight_max` are allocated and not complete, but one
//           transfer is always admitted. A transfer that nobody waits for is cancelled; no memory
//           is given back while a fetch may still write to it, and none is written by two.
// Limits:   transfers are admitted in order of arrival; chunks of kChunkBytes arrive whole;
//           `sources_max` fetches a transfer, one a source.
//
// Life of a transfer:
//   kQueued -> kAllocating -> kFetching -> kHere
//                                  \-> kEnding (until no fetch runs)
//
// Sources. The node that has the object itself tells whoever fetches from it which other nodes
// have or make copies; those serve what has come of theirs. It alone decides that the object is
// lost. Each node begins elsewhere in a large object, and asks another one first for what that
// began with: so nodes that pull the object together have different parts of it, and the node
// that has it sends little more than one copy, however many they are.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/frame.h"
#include "model/time.h"
#include "store/core/chunk_plan.h"
#include "store/core/store_effects.h"

namespace rayx::store {

struct PullOptions {
  model::NodeNumber self;
  uint64_t bytes_in_flight_max = uint64_t{256} << 20;
  model::Duration stall = std::chrono::seconds(4);  // a fetch without a chunk is begun again
  model::Duration progress_lost_max = std::chrono::seconds(10);
  model::Duration backoff_first = std::chrono::milliseconds(50);
  model::Duration backoff_max = std::chrono::seconds(1);
  size_t waiters_max = 65536;  // of all transfers
  size_t sources_max = 4;      // of a transfer
  // Chunks that a fetch asks for: of the only source that is known (but for its first fetch), else.
  uint64_t stretch_alone = 32;
  uint64_t stretch_shared = 8;
  uint32_t copy_failures_max = 3;  // in a row, before a copy is asked no more
};

// What identifies the object at its source; two pulls of it share one transfer.
struct SourceKey {
  model::NodeNumber node;
  EntryName name;
  model::ObjectId object;
  friend auto operator<=>(const SourceKey&, const SourceKey&) = default;
  static SourceKey Of(const model::StoredLocation& location) {
    return {location.node, {location.job, location.entry, location.generation}, location.object};
  }
};

enum class FetchOutcome : uint8_t {
  kDone,    // the source sent all that was asked for
  kBroken,  // connection, deadline, cancelled: may be tried again
  kLost,    // the source does not have the object
};

// What there is of a copy on this node, for another one.
struct HeldCopy {
  model::StoredLocation copy;
  ByteRange range;  // the first part of what was asked for that is here
};

struct PullEffects {
  struct Allocate {  // answer OnAllocated
    uint64_t transfer;
    model::StoredLocation source;
  };
  struct Fetch {  // answer OnChunk for each, then OnFetchDone
    uint64_t transfer;
    uint32_t attempt;
    model::NodeNumber from;  // source.node, or a node that has a copy
    model::StoredLocation source;
    model::StoredLocation copy;
    ByteRange range;  // of the object, from a multiple of kChunkBytes
  };
  struct Cancel {  // OnFetchDone comes all the same
    uint64_t transfer;
    uint32_t attempt;
  };
  struct Place {  // an extent of ours: seal it, or free it
    uint64_t transfer;
    model::StoredLocation copy;
  };
  struct Answer {
    RequestKey waiter;
    base::StatusOr<model::StoredLocation> copy;
  };
  std::vector<Allocate> allocates;
  std::vector<Fetch> fetches;
  std::vector<Cancel> cancels;
  std::vector<Place> seals;  // before the answers
  std::vector<Place> discards;
  std::vector<Answer> answers;

  bool empty() const {
    return allocates.empty() && fetches.empty() && cancels.empty() && seals.empty() &&
           discards.empty() && answers.empty();
  }
  void Clear() {
    allocates.clear();
    fetches.clear();
    cancels.clear();
    seals.clear();
    discards.clear();
    answers.clear();
  }
};

class PullCore {
 public:
  explicit PullCore(PullOptions options) : options_(options) {}

  void OnPull(RequestKey waiter, const model::StoredLocation& source, model::TimePoint now,
              PullEffects& effects);
  void OnPullCancelled(RequestKey waiter, model::TimePoint now, PullEffects& effects);
  // The process waits no more, and the copies of objects that it owned go.
  void OnProcessGone(model::ProcessId process, model::TimePoint now, PullEffects& effects);

  void OnAllocated(uint64_t transfer, const base::StatusOr<model::StoredLocation>& copy,
                   model::TimePoint now, PullEffects& effects);
  void OnChunk(uint64_t transfer, uint32_t attempt, uint64_t offset, model::TimePoint now);
  // Other nodes that have or make copies, as the source says.
  void OnCopies(uint64_t transfer, uint32_t attempt, const std::vector<model::NodeNumber>& nodes,
                model::TimePoint now, PullEffects& effects);
  void OnFetchDone(uint64_t transfer, uint32_t attempt, FetchOutcome outcome, std::string_view why,
                   model::TimePoint now, PullEffects& effects);

  // The source has freed the object: our copy goes too.
  void OnSourceFreed(const SourceKey& source, model::TimePoint now, PullEffects& effects);
  // Transfers from there fail; complete copies stay, but those of owners that were there.
  void OnNodeGone(model::NodeNumber node, model::TimePoint now, PullEffects& effects);
  // The store has closed the job or is about to; its extents are the store's business then.
  void OnJobClosed(model::JobId job, model::TimePoint now, PullEffects& effects);
  void OnTick(model::TimePoint now, PullEffects& effects);

  // Nothing: no part of `range` of that object is here.
  std::optional<HeldCopy> Find(const SourceKey& source, ByteRange range) const;
  uint64_t bytes_in_flight() const { return bytes_in_flight_; }
  size_t transfers() const { return transfers_.size(); }

  void CheckInvariants() const;  // after every step in tests

 private:
  enum class Phase : uint8_t { kQueued, kAllocating, kFetching, kEnding, kHere };
  struct Source {
    model::NodeNumber node;
    uint32_t attempt = 0;            // of the fetch that runs; 0: none
    ByteRange range;                 // that it is to bring
    uint32_t failures = 0;           // in a row, without a chunk between them
    model::TimePoint last_activity;  // of the running fetch: its start or a chunk
    model::TimePoint retry_at;
    bool has_progressed = false;  // the running fetch brought a chunk that was missing
    bool is_cancelled = false;    // the running fetch
  };
  struct Transfer {
    model::StoredLocation source;
    model::StoredLocation copy;  // from kFetching on
    Phase phase = Phase::kQueued;
    std::vector<RequestKey> waiters;
    std::vector<Source> sources;  // kFetching, kEnding: first the node that `source` names
    ChunkPlan plan;               // kFetching, kEnding
    uint32_t attempts = 0;
    model::TimePoint last_progress;  // a chunk, or the first fetch
    base::Status doom;               // not OK: what new waiters are told until it has ended
    std::string last_error;
    size_t fetches() const;  // that run
  };
  using Transfers = std::map<uint64_t, Transfer>;

  void Admit(model::TimePoint now, PullEffects& effects);
  // Every source that is idle and may be asked is.
  void StartFetches(uint64_t id, Transfer& transfer, model::TimePoint now, PullEffects& effects);
  // The chunk at which `node` begins.
  uint64_t FirstChunk(const Transfer& transfer, model::NodeNumber node) const;
  static Source* FindSource(Transfer& transfer, uint32_t attempt);
  void CancelFetches(uint64_t id, Transfer& transfer, PullEffects& effects);
  void Complete(uint64_t id, Transfer& transfer, PullEffects& effects);
  // The fetch of a source has ended without the rest of its range.
  void Retry(uint64_t id, Transfer& transfer, Source& source, std::string_view why,
             model::TimePoint now, PullEffects& effects);
  static void Forget(Transfer& transfer, const Source& source);
  // All waiters get `why`; the transfer ends, at the latest when no fetch holds the memory.
  void Fail(uint64_t id, const base::Status& why, PullEffects& effects);
  // As far as the phase allows; true when the transfer is erased.
  bool End(uint64_t id, PullEffects& effects);
  void Erase(uint64_t id);
  void CheckFetches(const Transfer& transfer) const;

  const PullOptions options_;
  Transfers transfers_;
  std::map<SourceKey, uint64_t> by_source_;
  std::map<RequestKey, uint64_t> by_waiter_;
  std::deque<uint64_t> queue_;    // kQueued, oldest first
  uint64_t bytes_in_flight_ = 0;  // of the transfers that are neither kQueued nor kHere
  uint64_t last_transfer_ = 0;
};

}  // namespace rayx::store
