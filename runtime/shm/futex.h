// runtime/shm/futex.h
//
// The two futex calls that we use, on words shared between processes.
// Threads:  any.
// Promises: no allocation, no errno changes that matter; spurious returns are allowed, as always.
#pragma once

#include <atomic>
#include <cstdint>

#include "model/time.h"

namespace rayx::shm {

// Sleeps while `word` is `expected`. False only when `longest` has passed (at once if not positive).
bool FutexWait(const std::atomic<uint32_t>& word, uint32_t expected, model::Duration longest);

void FutexWake(std::atomic<uint32_t>& word, int waiters_max);

}  // namespace rayx::shm
