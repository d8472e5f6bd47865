// runtime/store/node_store.h
//
// The object store of one node: segments and control areas of its jobs, grants, frees, copies of
// objects of other nodes. The shell around StoreCore and PullCore.
// Owner:    the node daemon.
// Threads:  the node loop only, but for ServedObject. A thread of its own gives and takes memory.
// Inputs:   requests and locations from processes and nodes: nothing in them is trusted. Callbacks
//           are called on the loop, some of them before the call that takes them returns.
// Promises: every callback is called once, if only by Stop, unless its process is gone or has
//           cancelled: then never. Memory is there before it is granted, so no process is killed
//           for a page that is missing. What pins are held on is not reused. A stale or unknown
//           location is answered NotFound.
// Limits:   NodeStoreOptions.
// Errors:   ResourceExhausted = ObjectStoreFull, NotFound = ObjectLost, Cancelled (job or process
//           ended); ErrorCodeOf translates.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "base/status.h"
#include "io/clock.h"
#include "model/frame.h"
#include "model/ids.h"
#include "rayx/detail/error_record.h"
#include "shm/client_segments.h"
#include "store/chunk_source.h"
#include "store/core/pull_core.h"
#include "store/core/store_core.h"
#include "store/inbox.h"
#include "store/memory_thread.h"

namespace rayx::store {

ErrorCode ErrorCodeOf(const base::Status& status);

struct NodeStoreOptions {
  model::NodeNumber node;
  uint64_t store_bytes = 0;     // the budget of all jobs, and the size of a job's segment
  shm::ControlOptions control;  // objects and pins a job
  model::Duration allocate_wait = std::chrono::seconds(10);
  PullOptions pull;
  // Runs the call on the node loop, soon; false when it cannot (what it would do waits for a Tick).
  std::function<bool(std::function<void()>)> post;
  // Tells a node that pulled a copy of `source` that it was freed (FreeCopy over there).
  std::function<void(model::NodeNumber, const model::StoredLocation& source)> forward_free;
  // A sealed object whose writer died: its owner may know nothing of it. May be empty.
  std::function<void(const model::StoredLocation&)> on_orphan;
};

// A pinned object while it is sent. Read and the destructor from any thread.
class ServedObject {
 public:
  ServedObject(shm::PinnedObject object, ByteRange range, std::vector<model::NodeNumber> copies)
      : object_(std::move(object)), range_(range), copies_(std::move(copies)) {}
  uint64_t size() const { return object_.bytes().size(); }
  // What of it is to be sent: all that was asked for, or what a copy has of it.
  ByteRange range() const { return range_; }
  // Other nodes that have or make copies. At most kCopiesToldMax.
  const std::vector<model::NodeNumber>& copies() const { return copies_; }
  // OutOfRange: not inside the object.
  base::StatusOr<std::span<const std::byte>> Read(uint64_t offset, uint64_t bytes) const;

 private:
  shm::PinnedObject object_;
  ByteRange range_;
  std::vector<model::NodeNumber> copies_;
};

struct ObjectView {
  model::ObjectId object;
  model::JobId job;
  uint64_t bytes = 0;
  const char* state = "";  // granting writing sealed freed
  bool is_pinned = false;
  bool is_primary = true;
  size_t copies = 0;  // nodes that pulled it
};

class NodeStore {
 public:
  using LocationCallback = std::function<void(base::StatusOr<model::StoredLocation>)>;

  // `clock` and `source` outlive the store. `source` may be null: then every pull fails.
  NodeStore(NodeStoreOptions options, const io::Clock& clock, ChunkSource* source);
  ~NodeStore();  // Stop
  NodeStore(const NodeStore&) = delete;
  NodeStore& operator=(const NodeStore&) = delete;

  // Makes the job's segment; nothing to do when it is open. FailedPrecondition: it is closing.
  base::Status OpenJob(model::JobId job);
  // Frees all of the job's objects. Memory goes as pins end; repeated calls do nothing.
  void CloseJob(model::JobId job);

  // For SegmentAttached. The descriptors stay the store's; send them before returning to the loop.
  // A process that asks again gets the same answer. NotFound: the job is not open.
  struct Attachment {
    int segment = -1;
    int control = -1;
    uint64_t segment_bytes = 0;
    uint64_t control_bytes = 0;
    uint32_t ledger = 0;
  };
  base::StatusOr<Attachment> Attach(model::JobId job, model::ProcessId process);
  // All threads of a process of this node are gone (its pidfd is readable), or an owner on another
  // node has died: its pins, grants, waiting requests and objects go. Its callbacks are dropped.
  void ProcessGone(model::ProcessId process);
  void NodeGone(model::NodeNumber node);

  // Request ids are the asking process's own; a repeat of one that waits is dropped.
  void Allocate(model::ProcessId process, uint64_t request, model::ObjectId object,
                model::JobId job, uint64_t bytes, LocationCallback callback);
  // An object of this node, by its owner or, unfinished, by its writer. A stale name does nothing.
  void Free(const model::StoredLocation& location, model::ProcessId from);
  // Another node has freed an object that this one has, or makes, a copy of.
  void FreeCopy(const model::StoredLocation& source);

  // A copy on this node of an object on another (of one on this node: itself).
  void Pull(model::ProcessId process, uint64_t request, const model::StoredLocation& source,
            LocationCallback callback);
  // The callback is not called any more.
  void CancelPull(model::ProcessId process, uint64_t request);
  // A part of an object, for the node `asker`. Of an object of this node, and then the asker is
  // told from now on when it is freed; or of one that this node has a copy of, or is making one:
  // the first chunks in a row that have come. Errors: InvalidArgument: not inside the object.
  base::StatusOr<ServedObject> Serve(const model::StoredLocation& location, ByteRange range,
                                     model::NodeNumber asker);

  // About every 50 ms: looks for ended pins, answers what waited too long, retries fetches.
  void Tick();
  // Ends the thread, answers every callback with Cancelled. Afterwards every call is refused.
  void Stop();

  std::vector<ObjectView> Objects() const;
  uint64_t used_bytes() const { return core_.live_bytes(); }
  uint64_t kept_bytes() const { return core_.warm_bytes(); }   // free, for the next grants
  size_t waiting_requests() const { return core_.waiting(); }  // for frees
  uint64_t store_bytes() const { return core_.options().budget_bytes; }
  void CheckInvariants() const;

 private:
  struct Job {
    SharedFd segment;
    base::UniqueFd control;
    uint64_t control_bytes = 0;
    std::shared_ptr<shm::ControlArea> area;
    std::unique_ptr<shm::ExtentGranter> granter;
    std::map<model::ProcessId, uint32_t> ledgers;
  };
  // A copy being made. The extent is shared with the fetches that write to it.
  struct Copying {
    std::shared_ptr<shm::WritableObject> object;
    std::map<uint32_t, ChunkSource::CancelFetch> cancels;  // of those that run, by attempt
  };

  base::StatusOr<Job> MakeJob(model::JobId job_id);
  void RunEffects();
  void RunStoreEffects();
  void RunPullEffects();
  void WriteEntry(const GrantEffect& grant);
  RetireOutcome Retire(const RetireEffect& retire);
  void StartFetch(const PullEffects::Fetch& fetch);
  base::StatusOr<ServedObject> ServeCopy(const model::StoredLocation& source, ByteRange range);
  void Answer(std::map<RequestKey, LocationCallback>& callbacks, RequestKey key,
              base::StatusOr<model::StoredLocation> result);
  void DrainInbox();
  model::StoredLocation LocationOf(const PlacedObject& placed) const;

  const NodeStoreOptions options_;
  const io::Clock& clock_;
  ChunkSource* const source_;
  const model::ProcessId self_;
  StoreCore core_;
  PullCore pulls_;
  StoreEffects store_effects_;
  StoreEffects store_step_;  // the effects that are being run
  PullEffects pull_effects_;
  PullEffects pull_step_;
  bool is_running_effects_ = false;
  bool is_stopped_ = false;
  std::map<model::JobId, Job> jobs_;
  std::map<RequestKey, LocationCallback> grants_waited_for_;
  std::map<RequestKey, LocationCallback> copies_waited_for_;
  std::map<uint64_t, Copying> copying_;  // by transfer
  shm::ClientSegments own_;              // the daemon as a writer and reader
  std::vector<StoreEvent> drained_;
  std::shared_ptr<NodeStore*> alive_;  // null inside once stopped; what is posted looks here
  std::shared_ptr<Inbox> inbox_;
  MemoryThread memory_;
};

}  // namespace rayx::store
