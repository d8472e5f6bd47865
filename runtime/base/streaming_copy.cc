#include "base/streaming_copy.h"

#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

namespace rayx::base {

#if defined(__x86_64__)

namespace {

constexpr size_t kLine = 64;
// Pages that are written side by side.
constexpr size_t kStreams = 4;
constexpr size_t kPage = 4096;

void StreamLine(std::byte* to, const std::byte* from) {
  constexpr size_t kPart = sizeof(__m128i);
  __m128i parts[kLine / kPart];
  for (size_t i = 0; i < kLine / kPart; ++i) {
    parts[i] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i * kPart));
  }
  for (size_t i = 0; i < kLine / kPart; ++i) {
    _mm_stream_si128(reinterpret_cast<__m128i*>(to + i * kPart), parts[i]);
  }
}

}  // namespace

void StreamingCopy(std::byte* to, const std::byte* from, size_t bytes) {
  const size_t before = -reinterpret_cast<uintptr_t>(to) % kLine;
  if (bytes < before + kStreams * kPage) {
    if (bytes != 0) std::memcpy(to, from, bytes);
    return;
  }
  if (before != 0) std::memcpy(to, from, before);
  size_t at = before;
  for (; bytes - at >= kStreams * kPage; at += kStreams * kPage) {
    for (size_t line = at; line < at + kPage; line += kLine) {
      for (size_t stream = 0; stream < kStreams; ++stream) {
        StreamLine(to + line + stream * kPage, from + line + stream * kPage);
      }
    }
  }
  _mm_sfence();
  if (at != bytes) std::memcpy(to + at, from + at, bytes - at);
}

#else

void StreamingCopy(std::byte* to, const std::byte* from, size_t bytes) {
  if (bytes != 0) std::memcpy(to, from, bytes);
}

#endif

}  // namespace rayx::base
