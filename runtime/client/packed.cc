// The encoded form of a value (rayx/detail/packed.h): the writing side. unpacker.cc reads it.
#include "rayx/detail/packed.h"

#include <cstring>
#include <limits>

#include "base/streaming_copy.h"
#include "client/packed_layout.h"
#include "rayx/errors.h"

namespace rayx::detail {
namespace {

std::size_t AlignUp(std::size_t bytes) {
  return (bytes + kBufferAlignment - 1) / kBufferAlignment * kBufferAlignment;
}

template <class U>
void Store(std::byte*& out, U value) {
  std::memcpy(out, &value, sizeof(value));  // little-endian, as every machine that we run on
  out += sizeof(value);
}

// More than what a CPU's caches keep for the one who reads it is copied past them.
constexpr std::size_t kStreamedFrom = std::size_t{4} << 20;

void Copy(std::byte* to, const OutOfBand& buffer) {
  if (buffer.bytes >= kStreamedFrom) {
    base::StreamingCopy(to, static_cast<const std::byte*>(buffer.data), buffer.bytes);
  } else {
    std::memcpy(to, buffer.data, buffer.bytes);
  }
}

}  // namespace

std::size_t Packed::EncodedBytesWithBuffers() const {
  // Here and not while it is written: nothing has been granted for it yet.
  constexpr std::size_t kMax = std::numeric_limits<std::uint32_t>::max();
  if (structure.size() > kMax || buffers.size() > kMax) {
    throw SerializationError("A value with more than 4 GiB of structure cannot be sent.");
  }
  std::size_t bytes = kEncodedHeaderBytes + kEncodedEntryBytes * buffers.size() + structure.size();
  for (const OutOfBand& buffer : buffers) bytes = AlignUp(bytes) + buffer.bytes;
  return bytes;
}

void Packed::EncodeWithBuffersTo(std::byte* out) const {
  std::byte* const start = out;
  Store(out, std::uint32_t{1});
  Store(out, static_cast<std::uint32_t>(structure.size()));
  Store(out, static_cast<std::uint32_t>(buffers.size()));
  Store(out, std::uint32_t{0});
  std::size_t end = kEncodedHeaderBytes + kEncodedEntryBytes * buffers.size() + structure.size();
  for (const OutOfBand& buffer : buffers) {
    Store(out, std::uint64_t{AlignUp(end)});
    Store(out, std::uint64_t{buffer.bytes});
    end = AlignUp(end) + buffer.bytes;
  }
  std::memcpy(out, structure.data(), structure.size());
  std::size_t written = static_cast<std::size_t>(out - start) + structure.size();
  for (const OutOfBand& buffer : buffers) {
    const std::size_t offset = AlignUp(written);
    std::memset(start + written, 0, offset - written);
    Copy(start + offset, buffer);
    written = offset + buffer.bytes;
  }
}

}  // namespace rayx::detail
