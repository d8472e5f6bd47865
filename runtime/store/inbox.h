// runtime/store/inbox.h
//
// What other threads have to tell the node's store, in order, and the call to the loop that makes
// it look.
// Owner:    shared by the store and by whoever may still have something to say.
// Threads:  Push and PushLater from any; Drain and Close from the node loop.
// Promises: one posted call for any number of events between two drains; after Close nothing enters
//           and nothing is posted. What PushLater brings is seen with the next Push, and at the
//           latest when the store ticks.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/status.h"
#include "store/core/pull_core.h"

namespace rayx::store {

struct PagesGiven {
  EntryName name;
  base::Status status;
};
struct ChunkArrived {
  uint64_t transfer = 0;
  uint32_t attempt = 0;
  uint64_t offset = 0;
};
struct CopiesTold {
  uint64_t transfer = 0;
  uint32_t attempt = 0;
  std::vector<model::NodeNumber> nodes;
};
struct FetchEnded {
  uint64_t transfer = 0;
  uint32_t attempt = 0;
  FetchOutcome outcome = FetchOutcome::kBroken;
  std::string why;
};
using StoreEvent = std::variant<PagesGiven, ChunkArrived, CopiesTold, FetchEnded>;

class Inbox {
 public:
  // `post` makes the loop drain soon; false when it cannot: the next Push tries again.
  explicit Inbox(std::function<bool()> post) : post_(std::move(post)) {}

  void PushLater(StoreEvent event) {
    const std::lock_guard lock(mutex_);
    if (!is_closed_) events_.push_back(std::move(event));
  }
  void Push(StoreEvent event) {
    const std::lock_guard lock(mutex_);
    if (is_closed_) return;
    events_.push_back(std::move(event));
    // Under the lock, so that nothing is posted once Close has returned.
    if (!is_posted_) is_posted_ = post_();
  }
  // Swaps the events into `events`, which is cleared first.
  void Drain(std::vector<StoreEvent>& events) {
    events.clear();
    const std::lock_guard lock(mutex_);
    is_posted_ = false;
    events_.swap(events);
  }
  void Close() {
    const std::lock_guard lock(mutex_);
    is_closed_ = true;
    events_.clear();
  }

 private:
  const std::function<bool()> post_;
  std::mutex mutex_;
  std::vector<StoreEvent> events_;  // under mutex_
  bool is_posted_ = false;          // under mutex_
  bool is_closed_ = false;          // under mutex_
};

}  // namespace rayx::store
