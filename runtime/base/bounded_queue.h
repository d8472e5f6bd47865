// runtime/base/bounded_queue.h
//
// Hands values from many threads to one, with a bound and a gate. The hand-over between gRPC's
// threads, helper threads and a loop.
// Owner:    the consumer; producers hold a reference that must not outlive it.
// Threads:  Push* and Close from any; Pop* and Drain from one thread at a time.
// Promises: order of pushes is kept; at most `capacity` values wait; after Close nothing enters,
//           what is inside can still be popped, and every waiting thread returns.
// Limits:   a mutex and no allocation-free path: not for the task rings (shm/ring.h).
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
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
  PushResult TryPush(T&& value) {
    std::lock_guard lock(mutex_);
    if (closed_) return PushResult::kClosed;
    if (items_.size() >= capacity_) return PushResult::kFull;
    return PushLocked(std::move(value));
  }

  // Waits for room at most until `deadline`; kFull then.
  PushResult PushUntil(T&& value, std::chrono::steady_clock::time_point deadline) {
    std::unique_lock lock(mutex_);
    const auto may_go = [this] { return closed_ || items_.size() < capacity_; };
    if (!room_.wait_until(lock, deadline, may_go)) return PushResult::kFull;
    if (closed_) return PushResult::kClosed;
    return PushLocked(std::move(value));
  }

  // Waits for a value; nothing only when the queue is closed and empty.
  std::optional<T> Pop() {
    std::unique_lock lock(mutex_);
    filled_.wait(lock, [this] { return closed_ || !items_.empty(); });
    return PopLocked();
  }

  // As Pop, but nothing also at the deadline.
  std::optional<T> PopUntil(std::chrono::steady_clock::time_point deadline) {
    std::unique_lock lock(mutex_);
    filled_.wait_until(lock, deadline, [this] { return closed_ || !items_.empty(); });
    return PopLocked();
  }

  // Appends all that waits to `out`, without waiting. Returns how many.
  std::size_t Drain(std::vector<T>& out) {
    std::deque<T> taken;
    {
      std::lock_guard lock(mutex_);
      taken.swap(items_);
    }
    room_.notify_all();
    for (T& item : taken) out.push_back(std::move(item));
    return taken.size();
  }

  // The gate. May be called twice.
  void Close() {
    {
      std::lock_guard lock(mutex_);
      closed_ = true;
    }
    room_.notify_all();
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
  PushResult PushLocked(T&& value) {
    items_.push_back(std::move(value));
    if (items_.size() > 1) return PushResult::kMore;
    filled_.notify_one();
    return PushResult::kFirst;
  }

  std::optional<T> PopLocked() {
    if (items_.empty()) return std::nullopt;
    std::optional<T> value(std::move(items_.front()));
    items_.pop_front();
    room_.notify_one();
    return value;
  }

  const std::size_t capacity_;
  mutable std::mutex mutex_;
  std::condition_variable room_;
  std::condition_variable filled_;
  std::deque<T> items_;  // under mutex_
  bool closed_ = false;  // under mutex_
};

}  // namespace rayx::base
