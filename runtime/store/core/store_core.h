// runtime/store/core/store_core.h
//
// Decides who is granted which extent of which job's segment, and when an extent may be used again.
// Pure: no clock, I/O, locks or shared memory.
// Owner:    NodeStore, one a node.
// Threads:  the node loop only.
// Inputs:   On*() calls, each with `now`.
// Outputs:  appended to StoreEffects, run by the shell.
// Promises: bytes granted and bytes kept warm never exceed the budget together; an extent is
//           granted again only after the shell found no pin of it; a request is answered once;
//           requests wait in order of arrival, at most `allocate_wait`, and an answer of "full"
//           names the sizes; a name (job, entry, generation) that is not current changes nothing.
// Limits:   `entries_max` objects a job, `waiting_max` waiting requests. The first in the queue
//           holds back all behind it, whatever their size, so that a large request is not starved.
//
// Life of an entry (the shared table's state beside it; a process seals without a word to us):
//   kFilling  -> kHeld (WRITING, SEALED) -> kFreeing (WRITING: its writer is still at it)
//             -> kFreed (FREED, pinned) -> free slot, next generation
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "store/core/extent_allocator.h"
#include "store/core/store_effects.h"

namespace rayx::store {

struct StoreOptions {
  uint64_t budget_bytes = 0;   // of all jobs: granted extents and warm free ones
  uint64_t segment_bytes = 0;  // of one job's sparse segment
  uint32_t entries_max = 0;    // of one job's extent table
  model::Duration allocate_wait = std::chrono::seconds(10);
  size_t waiting_max = 65536;
};

enum class EntryPhase : uint8_t { kFilling, kHeld, kFreeing, kFreed };

struct ObjectRecord {
  model::ObjectId object;
  model::ProcessId writer;
  uint64_t request = 0;  // of the writer
  uint64_t bytes = 0;
  ByteRange extent;
  EntryPhase phase = EntryPhase::kFilling;
  bool is_copy = false;
  bool abandoned = false;  // kFilling: nobody wants it any more
  // kFilling: of the request, should the system refuse memory
  model::TimePoint deadline;
  std::set<model::NodeNumber> pulled_by;  // nodes that have or make a copy
};

class StoreCore {
 public:
  explicit StoreCore(StoreOptions options);

  // False: the job is open already, or still closing.
  bool OnOpenJob(model::JobId job);
  // Frees all of the job's objects; `closes` names the job when the last pin is gone.
  void OnCloseJob(model::JobId job, model::TimePoint now, StoreEffects& effects);

  void OnAllocate(const AllocateRequest& request, model::TimePoint now, StoreEffects& effects);
  void OnPrepared(EntryName name, const base::Status& status, model::TimePoint now,
                  StoreEffects& effects);
  // `from`: the process that frees; the writer of an entry may free it unfinished.
  void OnFree(EntryName name, model::ObjectId object, model::ProcessId from, model::TimePoint now,
              StoreEffects& effects);
  void OnRetired(EntryName name, RetireOutcome outcome, model::TimePoint now,
                 StoreEffects& effects);
  // All threads of the process are gone and its ledgers are undone; or an owner elsewhere died.
  void OnProcessGone(model::ProcessId process, model::TimePoint now, StoreEffects& effects);
  void OnNodeGone(model::NodeNumber node, model::TimePoint now, StoreEffects& effects);
  // Scans again what is freed and pinned; answers what has waited too long.
  void OnTick(model::TimePoint now, StoreEffects& effects);

  // `node` is about to read the object to make a copy. False: the name is not current.
  bool OnServe(EntryName name, model::ObjectId object, model::NodeNumber node);

  // Nothing: not a current name. The pointer lives until the next On*().
  const ObjectRecord* Find(EntryName name) const;
  // In order of job and entry.
  template <typename Visit>  // void(EntryName, const ObjectRecord&)
  void ForEach(Visit visit) const {
    for (const auto& [job_id, job] : jobs_) {
      for (uint32_t i = 0; i < job.slots.size(); ++i) {
        const Slot& slot = job.slots[i];
        if (slot.record) visit(EntryName{job_id, i, slot.generation}, *slot.record);
      }
    }
  }
  bool IsOpen(model::JobId job) const;
  uint64_t live_bytes() const { return live_bytes_; }
  uint64_t warm_bytes() const;
  size_t waiting() const { return waiting_.size(); }
  const StoreOptions& options() const { return options_; }

  void CheckInvariants() const;  // after every step in tests

 private:
  struct Slot {
    uint32_t generation = 1;
    std::optional<ObjectRecord> record;
  };
  struct Job {
    explicit Job(uint64_t segment_bytes) : extents(segment_bytes) {}
    ExtentAllocator extents;
    std::vector<Slot> slots;           // grows up to entries_max
    std::vector<uint32_t> free_slots;  // used last first
    uint32_t live = 0;                 // slots with a record
    bool closing = false;
  };
  struct Waiting {
    AllocateRequest request;
    model::TimePoint deadline;
  };

  ObjectRecord* FindRecord(EntryName name);
  std::optional<uint32_t> TakeSlot(Job& job);
  base::Status Validate(const AllocateRequest& request) const;
  bool TryStart(const Waiting& waiting, StoreEffects& effects);
  void MakeRoom(StoreEffects& effects);  // punches warm ranges until the budget holds
  void StartWaiting(StoreEffects& effects);
  void RefuseWaiting(size_t index, base::Status why, StoreEffects& effects);
  void Grant(EntryName name, StoreEffects& effects);
  void Free(EntryName name, ObjectRecord& record, model::ProcessId from, StoreEffects& effects);
  // The entry's last step. `has_pages`: every page of the extent is there.
  void Release(EntryName name, bool has_pages, StoreEffects& effects);
  void FreeSuperseded(const AllocateRequest& request, StoreEffects& effects);
  base::Status FullStatus(const AllocateRequest& request, std::string_view after) const;

  const StoreOptions options_;
  std::map<model::JobId, Job> jobs_;
  std::deque<Waiting> waiting_;
  std::set<RequestKey> pending_;                  // waiting or kFilling: a repeat is dropped
  std::set<EntryName> unfinished_;                // kFreeing and kFreed: looked at every tick
  std::map<model::ObjectId, EntryName> orphans_;  // finished, writer dead, owner alive
  uint64_t live_bytes_ = 0;                       // of all jobs' granted extents
  bool memory_refused_ = false;                   // by the system: no new start before a tick
};

}  // namespace rayx::store
