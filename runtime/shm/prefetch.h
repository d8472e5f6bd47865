// runtime/shm/prefetch.h
//
// Hints that lines which another process has in its cache are wanted here soon. A line that is
// missed when it is used costs 100 ns and more; asked for while something else is done, little.
// Threads:  any.                 Promises: change nothing, and never fault.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "shm/memory_file.h"

namespace rayx::shm {

inline constexpr uint64_t kPrefetchBytesMax =
    4 * kCacheLineBytes;  // of a longer range its beginning

inline void PrefetchToRead(const std::byte* at, uint64_t bytes) {
  for (uint64_t i = 0; i < std::min(bytes, kPrefetchBytesMax); i += kCacheLineBytes) {
    __builtin_prefetch(at + i);
  }
}

// Takes the lines away from whoever has read them. A store waits for nobody, but stores reach the
// cache one after another.
inline void PrefetchToWrite(const std::byte* at, uint64_t bytes) {
  for (uint64_t i = 0; i < std::min(bytes, kPrefetchBytesMax); i += kCacheLineBytes) {
#if defined(__x86_64__)
    // The builtin makes a plain prefetch of it for the oldest CPUs; they ignore this one.
    asm volatile("prefetchw %0" : : "m"(at[i]));
#else
    __builtin_prefetch(at + i, 1);
#endif
  }
}

}  // namespace rayx::shm
