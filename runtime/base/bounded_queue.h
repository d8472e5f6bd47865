// runtime/base/bounded_queue.h
//
// Hands values from many threads to one, with a bound and a gate. The hand-over between gRPC's
// threads, helper threads and a loop.
// Owner:    the consumer; producers hold a reference that must not outlive it.
// Threads:  TryPush and Close from any; Pop and Drain from one thread at a time.
// Promises: order of pushes is kept; at most `capacity` values wait, not
//           counting those of PushAlways; after Close nothing enters,
//           what is inside can still be popped, and every waiting thread returns.
// Limits:   a mutex and no allocation-free path: not for the task rings (shm/channel.h).
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "base/check.h"

namespace rayx::base {

enum class PushResult {
  kFirst,   // entered an empty queue: a consumer that sleeps elsewhere (epoll) wants a wake-up
  kMore,    // entered a queue whose consumer has been told already
  kFull,    // refused, the value is untouched
  kClosed,  // refused, the value is untouched
};

template <typename T>
class BoundedQueue {
 public:
  explicit BoundedQueue(std::size_t capacity) : capacity_(capacity) {
    RAYX_CHECK(capacity > 0, "a queue without room");
  }
  BoundedQueue(const BoundedQueue&) = delete;
  BoundedQueue& operator=(const BoundedQueue&) = delete;

  // Never waits.
  PushResult TryPush(T&& value) { return Push(std::move(value), capacity_); }
  // Also beyond the capacity: for answers to what the consumer asked, whose number it bounds.
  PushResult PushAlways(T&& value) { return Push(std::move(value), SIZE_MAX); }

  // Waits for a value; nothing only when the queue is closed and empty.
  std::optional<T> Pop() {
    std::unique_lock lock(mutex_);
    filled_.wait(lock, [this] { return closed_ || !items_.empty(); });
    if (items_.empty()) return std::nullopt;
    std::optional<T> value(std::move(items_.front()));
    items_.pop_front();
    return value;
  }

  // Appends all that waits to `out`, without waiting. Returns how many.
  std::size_t Drain(std::vector<T>& out) {
    std::deque<T> taken;
    {
      std::lock_guard lock(mutex_);
      taken.swap(items_);
    }
    for (T& item : taken) out.push_back(std::move(item));
    return taken.size();
  }

  // The gate. May be called twice.
  void Close() {
    {
      std::lock_guard lock(mutex_);
      closed_ = true;
    }
    filled_.notify_all();
  }

  std::size_t capacity() const { return capacity_; }
  std::size_t size() const {
    std::lock_guard lock(mutex_);
    return items_.size();
  }
  bool closed() const {
    std::lock_guard lock(mutex_);
    return closed_;
  }

 private:
  PushResult Push(T&& value, std::size_t limit) {
    std::lock_guard lock(mutex_);
    if (closed_) return PushResult::kClosed;
    if (items_.size() >= limit) return PushResult::kFull;
    items_.push_back(std::move(value));
    if (items_.size() > 1) return PushResult::kMore;
    filled_.notify_one();
    return PushResult::kFirst;
  }

  const std::size_t capacity_;
  mutable std::mutex mutex_;
  std::condition_variable filled_;
  std::deque<T> items_;  // under mutex_
  bool closed_ = false;  // under mutex_
};

}  // namespace rayx::base
