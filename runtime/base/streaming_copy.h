// runtime/base/streaming_copy.h
//
// A copy of much memory for somebody else to read: it does not go through the caches. A plain copy
// first reads each line that it writes, and keeps one stream of memory busy where several fit: on
// the two-core machine of bench/PERFORMANCE.md 80 MiB went at 6.6 GB/s by memcpy, at 12 by this.
//
// Threads:  any (no state). What was copied is visible to whoever sees a later release store.
// Limits:   of little memory, or for a reader on this CPU soon, memcpy is better: the target's
//           lines are in no cache afterwards. Where the CPU has no such stores it is memcpy.
#pragma once

#include <cstddef>

namespace rayx::base {

// As std::memcpy: any alignment, no overlap.
void StreamingCopy(std::byte* to, const std::byte* from, size_t bytes);

}  // namespace rayx::base
