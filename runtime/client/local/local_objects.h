// runtime/client/local/local_objects.h
//
// The objects of local mode: values in their encoded form, counted references, and waiting for
// them.
//
// Owner:    LocalRuntime.
// Threads:  any; one lock, never held while user code runs.
// Promises: an object resolves once, to bytes or to an error; later attempts are ignored. It goes
//           with its last hold, and with it its holds on the objects inside its value.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "rayx/detail/error_record.h"
#include "rayx/detail/packed.h"
#include "rayx/detail/runtime_interface.h"

namespace rayx::client {

// Bytes that travel, in memory of their own, 64-byte aligned; they pin themselves.
detail::Fetched EncodeForLocal(const detail::Packed& value);

class LocalObjects {
 public:
  explicit LocalObjects(std::uint64_t owner) : owner_(owner) {}

  // A pending object with one hold. `label` says in messages what makes it; `maker` is the sequence
  // of the actor whose call does (0: no actor).
  detail::RawRef Create(std::string label, std::uint64_t maker);
  void Retain(const detail::RawRef& ref) noexcept;
  void Release(const detail::RawRef& ref) noexcept;
  // The bytes must pin themselves; `inner` are the references inside, which the object holds from
  // now on.
  void SetValue(const detail::RawRef& ref, detail::Fetched value,
                const std::vector<detail::RawRef>& inner);
  void SetError(const detail::RawRef& ref, const detail::ErrorRecord& error);

  // Waits for all, in order. `blocked_actor`: the sequence of the actor of concurrency 1 on whose
  // thread this runs, 0 for none: waiting for a call to itself throws WouldDeadlock. Throws the
  // first failed one's error, or Timeout.
  void Get(const detail::RawRef* refs, std::size_t count, detail::Milliseconds timeout,
           detail::Fetched* values, std::uint64_t blocked_actor);
  void Wait(const detail::RawRef* refs, std::size_t count, std::size_t num_ready,
            detail::Milliseconds timeout, std::vector<bool>& ready, std::uint64_t blocked_actor);
  std::size_t Count();

 private:
  struct Object {
    std::string label;
    std::uint64_t maker = 0;
    std::uint64_t holds = 1;
    bool is_resolved = false;
    detail::Fetched value;
    std::unique_ptr<detail::ErrorRecord> error;
    std::vector<detail::RawRef> inner;
  };

  Object* Find(const detail::RawRef& ref);
  Object& Require(const detail::RawRef& ref);
  void ReleaseLocked(const detail::RawRef& ref);
  void AwaitResolved(std::unique_lock<std::mutex>& lock, const detail::RawRef& ref,
                     std::chrono::steady_clock::time_point deadline, bool has_deadline,
                     std::uint64_t blocked_actor);

  const std::uint64_t owner_;
  std::mutex mutex_;
  std::condition_variable resolved_;
  // Guarded by mutex_.
  std::uint64_t next_sequence_ = 1;
  std::unordered_map<std::uint64_t, Object> objects_;
};

}  // namespace rayx::client
