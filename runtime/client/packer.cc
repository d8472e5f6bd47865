// The parts of rayx::Packer that are not on the path of small values.
#include "rayx/detail/packer.h"

#include <limits>
#include <string>

#include "rayx/detail/serialize_msgpack.h"
#include "rayx/errors.h"

namespace rayx {
namespace {

std::uint32_t CheckedCount(std::size_t count) {
  if (count > std::numeric_limits<std::uint32_t>::max()) {
    throw SerializationError("A container with more than 2^32 - 1 elements cannot be sent.");
  }
  return static_cast<std::uint32_t>(count);
}

}  // namespace

void Packer::ArrayHeader(std::size_t size) {
  const std::uint32_t count = CheckedCount(size);
  if (count < 16) {
    Byte(static_cast<std::uint8_t>(0x90 | count));
  } else if (count <= 0xffff) {
    Tagged(0xdc, static_cast<std::uint16_t>(count));
  } else {
    Tagged(0xdd, count);
  }
}

void Packer::MapHeader(std::size_t size) {
  const std::uint32_t count = CheckedCount(size);
  if (count < 16) {
    Byte(static_cast<std::uint8_t>(0x80 | count));
  } else if (count <= 0xffff) {
    Tagged(0xde, static_cast<std::uint16_t>(count));
  } else {
    Tagged(0xdf, count);
  }
}

bool Packer::OutOfBand(const void* data, std::size_t bytes) {
  if (bytes < detail::kOutOfBandBytesMin) return false;
  const std::uint32_t number = CheckedCount(out_.buffers.size());
  out_.buffers.push_back({data, bytes});
  Extension(detail::kBufferExtension, &number, sizeof(number));
  return true;
}

void Packer::String(std::string_view text) {
  if (OutOfBand(text.data(), text.size())) return;
  if (text.size() < 32) {
    Byte(static_cast<std::uint8_t>(0xa0 | text.size()));
  } else if (text.size() <= 0xff) {
    Tagged(0xd9, static_cast<std::uint8_t>(text.size()));
  } else {
    Tagged(0xda, static_cast<std::uint16_t>(text.size()));
  }
  Raw(text.data(), text.size());
}

void Packer::Buffer(const void* data, std::size_t bytes) {
  if (OutOfBand(data, bytes)) return;
  if (bytes <= 0xff) {
    Tagged(0xc4, static_cast<std::uint8_t>(bytes));
  } else {
    Tagged(0xc5, static_cast<std::uint16_t>(bytes));
  }
  if (bytes != 0) Raw(static_cast<const char*>(data), bytes);
}

void Packer::Extension(std::int8_t type, const void* data, std::size_t bytes) {
  Byte(bytes == 4 ? 0xd6 : 0xd8);
  Byte(static_cast<std::uint8_t>(type));
  Raw(static_cast<const char*>(data), bytes);
}

void Packer::Reference(const detail::RawRef& ref) {
  const std::uint64_t ids[2] = {ref.owner, ref.sequence};
  Extension(detail::kReferenceExtension, ids, sizeof(ids));
  if (ref.owner != 0) out_.references.push_back(ref);
}

namespace detail {

void ThrowTooDeep() {
  throw SerializationError("A value is nested deeper than " + std::to_string(kNestingMax) +
                           " levels: it cannot be sent or received.");
}

Packer*& CurrentPacker() noexcept {
  thread_local Packer* current = nullptr;
  return current;
}

void ThrowNoPacker() {
  throw SerializationError(
      "A rayx::ObjectRef or ActorHandle was packed by msgpack alone, outside of a call or Put: the "
      "reference would not be counted. Pass the value itself to RayX.");
}

std::string EncodeExtension(std::int8_t type, const char* data, std::size_t bytes) {
  if (bytes != 16)
    throw SerializationError("A reference inside a MSGPACK_DEFINE class is damaged.");
  std::string encoded(1, '\0');
  encoded.push_back(static_cast<char>(0xd8));
  encoded.push_back(static_cast<char>(type));
  encoded.append(data, bytes);
  return encoded;
}

}  // namespace detail
}  // namespace rayx
