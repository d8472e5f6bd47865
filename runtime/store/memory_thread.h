// runtime/store/memory_thread.h
//
// The thread that gives pages to segments and takes them back: 0.3 ms a MiB, too long for a loop.
// Owner:    NodeStore.
// Threads:  all methods from any.
// Promises: pages are taken back before any are given, so a budget holds. Requests to give share
//           the thread in turns of kFallocateStepBytes: a small one does not wait for a large one.
// Limits:   the callers bound what is queued.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/status.h"
#include "store/core/extent_allocator.h"

namespace rayx::store {

using SharedFd = std::shared_ptr<const base::UniqueFd>;

class MemoryThread {
 public:
  MemoryThread();
  ~MemoryThread();  // Stop

  // Failure is logged: the pages then stay until the segment goes.
  void Punch(SharedFd segment, ByteRange range);
  // `done` is called on this class's thread: OK, or ResourceExhausted, and then the caller punches
  // the ranges. Not called any more after Stop.
  void Give(SharedFd segment, std::vector<ByteRange> ranges,
            std::function<void(const base::Status&)> done);
  // Waits for the step that runs. May be called twice.
  void Stop();

 private:
  struct Taking {
    SharedFd segment;
    ByteRange range;
  };
  struct Giving {
    SharedFd segment;
    std::vector<ByteRange> ranges;  // what is left
    std::function<void(const base::Status&)> done;
  };
  void Run();
  // One step; nothing when the request goes on.
  static bool Step(Giving& giving, base::Status& status);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Taking> takings_;  // under mutex_
  std::deque<Giving> givings_;  // under mutex_
  bool stopped_ = false;        // under mutex_
  std::thread thread_;
};

}  // namespace rayx::store
