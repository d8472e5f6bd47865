// A value taken apart for travel, and a value on its way back.
//
// Purpose:  what the serializer (serialize.h) hands to the runtime and gets from it.
// Owner:    Packed views the user's value and must not outlive it; Fetched owns or pins its bytes.
// Threads:  one at a time.
// Promises: a contiguous buffer of >= kOutOfBandBytesMin bytes is not copied into the structure: it
//           is named by address and copied once, straight to where the value will live, 64-byte
//           aligned.
//
// Encoded form (what travels): u8 form; form 0: msgpack structure to the end. Form 1, out-of-band
// buffers: u8 1, u8[3] zero, u32 structure bytes, u32 buffers n, u32 zero, n x {u64 offset, u64
// size} (offset from the start of the encoded value), structure, then each buffer at a multiple
// of 64.
#ifndef RAYX_DETAIL_PACKED_H_
#define RAYX_DETAIL_PACKED_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "rayx/detail/visibility.h"

namespace rayx::detail {

inline constexpr std::size_t kOutOfBandBytesMin = 4096;
inline constexpr std::size_t kBufferAlignment = 64;

// The id of an object as public templates carry it (model::ObjectId inside).
struct RawRef {
  std::uint64_t owner = 0;
  std::uint64_t sequence = 0;
  friend bool operator==(const RawRef& a, const RawRef& b) {
    return a.owner == b.owner && a.sequence == b.sequence;
  }
};

struct OutOfBand {
  const void* data = nullptr;
  std::size_t bytes = 0;
};

class Packed {
 public:
  std::string structure;           // msgpack
  std::vector<OutOfBand> buffers;  // index = the number that the structure's ext value names
  std::vector<RawRef> references;  // ObjectRefs inside the value: the runtime keeps them alive
  // Owners of buffers that a serializer made for this journey.
  std::vector<std::shared_ptr<const void>> keeps;

  // Size of the encoded form.
  std::size_t EncodedBytes() const {
    return buffers.empty() ? 1 + structure.size() : EncodedBytesWithBuffers();
  }
  // Writes exactly EncodedBytes() bytes. Buffers come to lie 64-byte aligned where `out` does.
  void EncodeTo(std::byte* out) const {
    if (!buffers.empty()) return EncodeWithBuffersTo(out);
    *out = std::byte{0};
    std::memcpy(out + 1, structure.data(), structure.size());
  }

 private:
  RAYX_PUBLIC std::size_t EncodedBytesWithBuffers() const;
  RAYX_PUBLIC void EncodeWithBuffersTo(std::byte* out) const;
};

// A value that has arrived: its encoded form, and what keeps those bytes in place.
struct Fetched {
  const std::byte* data = nullptr;
  std::size_t bytes = 0;
  // Empty: the bytes stay as long as the reference that was fetched is held.
  std::shared_ptr<const void> pin;
  bool read_only_pages = false;  // the bytes lie in the store, mapped read-only
};

}  // namespace rayx::detail

#endif  // RAYX_DETAIL_PACKED_H_
