// runtime/shm/segment.h
//
// The data of a job's objects on a VM: one sparse memory file of the store's full size.
// Owner:    the node daemon makes it, gives memory to extents and takes it back; processes map the
//           whole, once for reading and, those that write, once for that.
// Threads:  ReadView: any. Fallocate: a thread of its own, it takes about 0.3 ms a MiB.
// Inputs:   offsets and sizes out of locations are checked against the segment's size.
// Promises: a view is read-only memory: a write through it faults (SEGV_ACCERR), it cannot change
//           an object. A range that was allocated never raises SIGBUS.
// Limits:   a range never allocated, or punched, reads as zeros and costs memory when touched.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>

#include "base/fd.h"
#include "base/status.h"
#include "model/ids.h"
#include "shm/memory_file.h"

namespace rayx::shm {

inline constexpr uint64_t kFallocateStepBytes = uint64_t{4} << 20;

// Extents begin and end at multiples of this.
constexpr uint64_t ExtentBytes(uint64_t object_bytes) {
  return (object_bytes + kPageBytes - 1) & ~uint64_t{kPageBytes - 1};
}

base::StatusOr<base::UniqueFd> CreateSegment(model::JobId job, uint64_t bytes);

// --- The daemon's side ---
// How many of the next bytes are given at once: up to the end of a huge page.
uint64_t FallocateStep(uint64_t offset, uint64_t bytes);
// Gives [offset, offset + bytes) memory, huge pages where it can, in such steps; on failure
// (ResourceExhausted: no memory) what was given is taken back.
base::Status Fallocate(int segment, uint64_t offset, uint64_t bytes);
// Takes the memory of [offset, offset + bytes) back; both page-aligned. Views see zeros.
base::Status Punch(int segment, uint64_t offset, uint64_t bytes);

// --- A process's side ---
// The one read-only view of the whole segment, mapped at first use and unmapped by the destructor.
class ReadView {
 public:
  // InvalidArgument: not a sealed memory file.
  static base::StatusOr<std::unique_ptr<ReadView>> Open(base::UniqueFd segment);

  // OutOfRange: not inside the segment. The caller holds a pin as long as it uses the bytes.
  base::StatusOr<std::span<const std::byte>> View(uint64_t offset, uint64_t size);
  // For the SIGSEGV handler: is this address inside the view? Async-signal-safe.
  bool Contains(const void* address) const;
  // The offset in the segment of an address inside the view.
  uint64_t OffsetOf(const void* address) const;

  uint64_t bytes() const { return bytes_; }
  int fd() const { return segment_.get(); }

 private:
  ReadView(base::UniqueFd segment, uint64_t bytes);

  const base::UniqueFd segment_;
  const uint64_t bytes_;
  std::mutex mutex_;  // guards the first mapping
  Mapping mapping_;
  std::atomic<const std::byte*> base_{nullptr};
};

}  // namespace rayx::shm
