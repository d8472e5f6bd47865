// runtime/shm/client_segments.h
//
// A process's way into the store: writes the objects it was granted, pins and reads those it knows.
// Owner:    the client, one a process; the node daemon uses one too, for copies and for serving.
// Threads:  any. Handles may be destroyed on any thread, also after the ClientSegments.
// Inputs:   descriptors, sizes and locations from peers: checked against the segment and its table.
// Promises: what is pinned is seen read-only, by its writer too: a write through it faults
//           (shm/fault_report.h). It stays as it is until the PinnedObject ends. A location that is
//           stale, forged or of another job pins nothing and is answered NotFound.
// Limits:   a mapping of a job's whole segment for reading, another in processes that write, kept
//           until the last handle is gone: pages that were written once are there when the extent
//           comes back. Who keeps the address of a WritableObject after Seal can write there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>

#include "base/fd.h"
#include "base/status.h"
#include "model/frame.h"
#include "model/ids.h"
#include "shm/extent_table.h"
#include "shm/segment.h"

namespace rayx::shm {

class SegmentAccess;

// An object being written. Ends unsealed: the bytes are lost, and the grant is to be given back by
// a Free message, sent after this object has ended (its pages may be granted again at once).
class WritableObject {
 public:
  WritableObject() = default;
  WritableObject(WritableObject&& other) noexcept;
  WritableObject& operator=(WritableObject&& other) noexcept;
  ~WritableObject();

  std::span<std::byte> bytes() const { return bytes_; }
  // Immutable from here on; bytes() is empty. FailedPrecondition: the grant was taken back (the
  // job ended, the object was freed).
  base::Status Seal();

 private:
  friend class ClientSegments;

  std::shared_ptr<SegmentAccess> access_;
  Mapping own_;  // of a process without room for the whole segment
  std::span<std::byte> bytes_;
  uint32_t entry_ = 0;
  uint32_t generation_ = 0;
};

// A sealed object and the pin that keeps it. Wrap it in a shared_ptr to share it.
class PinnedObject {
 public:
  PinnedObject() = default;
  PinnedObject(PinnedObject&& other) noexcept;
  PinnedObject& operator=(PinnedObject&& other) noexcept;
  ~PinnedObject();

  std::span<const std::byte> bytes() const { return bytes_; }
  explicit operator bool() const { return access_ != nullptr; }

 private:
  friend class ClientSegments;
  void Release();

  std::shared_ptr<SegmentAccess> access_;
  std::span<const std::byte> bytes_;
  uint32_t slot_ = 0;
};

class ClientSegments {
 public:
  explicit ClientSegments(model::ProcessId process) : process_(process) {}

  // As SegmentAttached brought them. A job that is known already is left as it is. Errors:
  // InvalidArgument (not a store's memory, other sizes than said), ResourceExhausted.
  base::Status AddSegment(model::JobId job, base::UniqueFd segment, base::UniqueFd control,
                          uint64_t segment_bytes, uint64_t control_bytes, uint32_t ledger);
  bool HasSegment(model::JobId job) const;
  // Handles keep what they use.
  void RemoveSegment(model::JobId job);

  // The extent of an Allocated answer: writable, and its pages mapped in bulk. Errors: NotFound (no
  // segment of this job, not granted), OutOfRange, ResourceExhausted.
  base::StatusOr<WritableObject> MapWritable(const model::StoredLocation& granted);

  // Errors: NotFound (stale or unknown: ObjectLost), Unavailable (being moved away: ask for the
  // location again), ResourceExhausted (no pin slot left: ObjectStoreFull).
  base::StatusOr<PinnedObject> Pin(const model::StoredLocation& location);

  model::ProcessId process() const { return process_; }

 private:
  std::shared_ptr<SegmentAccess> Find(model::JobId job) const;

  const model::ProcessId process_;
  mutable std::mutex mutex_;
  std::map<model::JobId, std::shared_ptr<SegmentAccess>> segments_;  // under mutex_
};

}  // namespace rayx::shm
