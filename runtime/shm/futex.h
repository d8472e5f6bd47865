// runtime/shm/futex.h
//
// The two futex calls that we use, on words shared between processes.
// Threads:  any.
// Promises: no allocation; FutexWait may return early, as always. The deadline is absolute, so a
//           peer that wakes us for nothing cannot prolong a wait that is repeated.
#pragma once

#include <atomic>
#include <cstdint>

namespace rayx::shm {

// CLOCK_MONOTONIC, the clock that futexes measure by.
int64_t MonotonicNs();

// Sleeps while `word` is `expected`. False only when the time `until_ns` has come.
bool FutexWait(const std::atomic<uint32_t>& word, uint32_t expected, int64_t until_ns);

void FutexWake(std::atomic<uint32_t>& word, int waiters_max);

}  // namespace rayx::shm
