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
//           is given back while a fetch may still write to it.
// Limits:   transfers are admitted in order of arrival; chunks of kChunkBytes arrive whole.
//
// Life of a transfer:
//   kQueued -> kAllocating -> kFetching <-> kBackoff -> kHere
//                                  \-> kCancelling (until the fetch says that it is done)
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/frame.h"
#include "model/time.h"
#include "store/core/store_effects.h"

namespace rayx::store {

inline constexpr uint64_t kChunkBytes = uint64_t{1} << 20;

struct PullOptions {
  uint64_t bytes_in_flight_max = uint64_t{256} << 20;
  model::Duration stall = std::chrono::seconds(4);  // a fetch without a chunk is begun again
  model::Duration progress_lost_max = std::chrono::seconds(10);
  model::Duration backoff_first = std::chrono::milliseconds(50);
  model::Duration backoff_max = std::chrono::seconds(1);
  size_t waiters_max = 65536;  // of all transfers
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

struct PullEffects {
  struct Allocate {  // answer OnAllocated
    uint64_t transfer;
    model::StoredLocation source;
  };
  struct Fetch {  // answer OnChunk for each, then OnFetchDone
    uint64_t transfer;
    uint32_t attempt;
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
  void OnFetchDone(uint64_t transfer, uint32_t attempt, FetchOutcome outcome, std::string_view why,
                   model::TimePoint now, PullEffects& effects);

  // The source has freed the object: our copy goes too.
  void OnSourceFreed(const SourceKey& source, model::TimePoint now, PullEffects& effects);
  // Transfers from there fail; complete copies stay, but those of owners that were there.
  void OnNodeGone(model::NodeNumber node, model::TimePoint now, PullEffects& effects);
  // The store has closed the job or is about to; its extents are the store's business then.
  void OnJobClosed(model::JobId job, model::TimePoint now, PullEffects& effects);
  void OnTick(model::TimePoint now, PullEffects& effects);

  uint64_t bytes_in_flight() const { return bytes_in_flight_; }
  size_t transfers() const { return transfers_.size(); }

  void CheckInvariants() const;  // after every step in tests

 private:
  enum class Phase : uint8_t { kQueued, kAllocating, kFetching, kBackoff, kCancelling, kHere };
  struct Transfer {
    model::StoredLocation source;
    model::StoredLocation copy;  // from kFetching on
    Phase phase = Phase::kQueued;
    std::vector<RequestKey> waiters;
    std::vector<bool> arrived;  // by chunk
    uint64_t missing = 0;       // chunks
    uint32_t attempt = 0;
    uint32_t failures = 0;           // in a row, without a chunk between them
    model::TimePoint last_progress;  // a chunk, or the first fetch
    model::TimePoint last_activity;  // of the running fetch: its start or a chunk
    bool has_progressed = false;     // the running fetch brought a chunk that was missing
    model::TimePoint retry_at;       // kBackoff
    base::Status doom;               // not OK: what new waiters are told until it has ended
    std::string last_error;
  };
  using Transfers = std::map<uint64_t, Transfer>;

  void Admit(model::TimePoint now, PullEffects& effects);
  void StartFetch(uint64_t id, Transfer& transfer, model::TimePoint now, PullEffects& effects);
  void Complete(uint64_t id, Transfer& transfer, PullEffects& effects);
  void Retry(uint64_t id, Transfer& transfer, std::string_view why, model::TimePoint now,
             PullEffects& effects);
  // All waiters get `why`; the transfer ends, at the latest when its fetch lets go of the memory.
  void Fail(uint64_t id, const base::Status& why, PullEffects& effects);
  // As far as the phase allows; true when the transfer is erased.
  bool End(uint64_t id, PullEffects& effects);
  void Erase(uint64_t id);

  const PullOptions options_;
  Transfers transfers_;
  std::map<SourceKey, uint64_t> by_source_;
  std::map<RequestKey, uint64_t> by_waiter_;
  std::deque<uint64_t> queue_;    // kQueued, oldest first
  uint64_t bytes_in_flight_ = 0;  // of the transfers that are neither kQueued nor kHere
  uint64_t last_transfer_ = 0;
};

}  // namespace rayx::store
