// runtime/torch/await_all.h
//
// Waiting for one answer of every rank, and telling the cause of a failure from its consequences.
#pragma once

#include <algorithm>
#include <chrono>
#include <exception>
#include <list>
#include <utility>
#include <vector>

#include "rayx/rayx.h"
#include "rayx/torch/process_group.h"

namespace rayx::torch {

// How long the death of a rank, which the others notice at once, may take to be known for what it
// is: the error budget.
inline constexpr std::chrono::seconds kCauseKnownWithin{15};

// Returns when all have answered. When one fails, throws without waiting for the rest; a
// GroupBroken says only that another rank is gone, so after one the error of that other rank is
// awaited.
template <class T>
void AwaitAll(const std::vector<ObjectRef<T>>& refs) {
  using Clock = std::chrono::steady_clock;
  std::list<ObjectRef<T>> pending(refs.begin(), refs.end());
  std::exception_ptr consequence;
  Clock::time_point deadline;
  while (!pending.empty()) {
    int timeout_ms = -1;
    if (consequence) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
      timeout_ms = static_cast<int>(std::max<std::int64_t>(left.count(), 0));
    }
    WaitResult<T> result = rayx::Wait(std::move(pending), 1, timeout_ms);
    if (result.ready.empty()) break;
    for (const ObjectRef<T>& ref : result.ready) {
      try {
        ref.Get();
      } catch (const GroupBroken&) {
        if (!consequence) deadline = Clock::now() + kCauseKnownWithin;
        if (!consequence) consequence = std::current_exception();
      }
    }
    pending = std::move(result.unready);
  }
  if (consequence) std::rethrow_exception(consequence);
}

}  // namespace rayx::torch
