// runtime/shm/fence.h
//
// The full fence of the store-then-look protocols (doorbell, pins): "I write mine, then
// read yours".
// Threads:  any.
// Promises: orders every earlier store before every later load, which x86 alone does not.
// Limits:   ThreadSanitizer knows no fence, so there it is a read-modify-write of a dummy word.
#pragma once

#include <atomic>
#include <cstdint>

#if defined(__SANITIZE_THREAD__)
#define RAYX_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RAYX_TSAN 1
#endif
#endif

namespace rayx::shm {

#if defined(RAYX_TSAN)
inline std::atomic<uint32_t> fence_word{0};
inline void Fence() {
  fence_word.fetch_add(1, std::memory_order_seq_cst);
}
#else
inline void Fence() {
  std::atomic_thread_fence(std::memory_order_seq_cst);
}
#endif

}  // namespace rayx::shm
