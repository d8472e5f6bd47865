// Writes one value as msgpack, its large buffers beside it.
//
// Purpose:  the writing half of the serializer: Serializer<T>::Pack calls these.
// Owner:    the call that packs; the Packed that it fills views the user's value.
// Threads:  one.
// Promises: throws SerializationError for a value nested deeper than kNestingMax; nothing else.
#ifndef RAYX_DETAIL_PACKER_H_
#define RAYX_DETAIL_PACKER_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <type_traits>

#include "rayx/detail/packed.h"
#include "rayx/detail/visibility.h"

namespace rayx {

template <class T, class Enable = void>
struct Serializer;

namespace detail {

inline constexpr int kNestingMax = 1000;

// Types of msgpack extension values.
inline constexpr std::int8_t kReferenceExtension = 1;  // fixext 16: owner, sequence, little-endian
inline constexpr std::int8_t kActorExtension = 2;   // fixext 16: creator, sequence, little-endian
inline constexpr std::int8_t kBufferExtension = 3;  // fixext 4: number of the out-of-band buffer

[[noreturn]] RAYX_PUBLIC void ThrowTooDeep();

}  // namespace detail

// What a Serializer<T>::Pack writes to.
class Packer {
 public:
  explicit Packer(detail::Packed& out) : out_(out) {}
  Packer(const Packer&) = delete;
  Packer& operator=(const Packer&) = delete;

  // A value of any type that travels.
  template <class T>
  void Pack(const T& value) {
    if (++depth_ > detail::kNestingMax) detail::ThrowTooDeep();
    Serializer<T>::Pack(*this, value);
    --depth_;
  }

  // One msgpack value each, in its shortest form:
  void Nil() { Byte(0xc0); }
  void Bool(bool value) { Byte(value ? 0xc3 : 0xc2); }
  void Unsigned(std::uint64_t value) {
    if (value < 0x80) {
      Byte(static_cast<std::uint8_t>(value));
    } else if (value <= 0xff) {
      Tagged(0xcc, static_cast<std::uint8_t>(value));
    } else if (value <= 0xffff) {
      Tagged(0xcd, static_cast<std::uint16_t>(value));
    } else if (value <= 0xffffffff) {
      Tagged(0xce, static_cast<std::uint32_t>(value));
    } else {
      Tagged(0xcf, value);
    }
  }
  void Signed(std::int64_t value) {
    if (value >= 0) {
      Unsigned(static_cast<std::uint64_t>(value));
    } else if (value >= -32) {
      Byte(static_cast<std::uint8_t>(value));
    } else if (value >= -0x80) {
      Tagged(0xd0, static_cast<std::uint8_t>(value));
    } else if (value >= -0x8000) {
      Tagged(0xd1, static_cast<std::uint16_t>(value));
    } else if (value >= -0x80000000LL) {
      Tagged(0xd2, static_cast<std::uint32_t>(value));
    } else {
      Tagged(0xd3, static_cast<std::uint64_t>(value));
    }
  }
  void Float(float value) {
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof(bits));
    Tagged(0xca, bits);
  }
  void Double(double value) {
    std::uint64_t bits;
    std::memcpy(&bits, &value, sizeof(bits));
    Tagged(0xcb, bits);
  }

  // So many values follow; of a map twice as many, keys and values in turn:
  void ArrayHeader(std::size_t size);
  void MapHeader(std::size_t size);

  // Copied into the structure when shorter than kOutOfBandBytesMin; else named by address. So the
  // bytes must stay until the packed value was encoded, at the end of Remote, Put, or the result's
  // emission:
  void String(std::string_view text);
  void Buffer(const void* data, std::size_t bytes);

  // Keeps what a serializer made for the travel (a contiguous copy) alive until then.
  void Keep(std::shared_ptr<const void> owner) { out_.keeps.push_back(std::move(owner)); }

  // Of an ObjectRef; the runtime keeps its object alive on the way.
  void Reference(const detail::RawRef& ref);
  void Extension(std::int8_t type, const void* data, std::size_t bytes);  // 4 or 16 bytes
  // Bytes that are msgpack already.
  void Raw(const char* data, std::size_t bytes) { out_.structure.append(data, bytes); }

 private:
  void Byte(std::uint8_t byte) { out_.structure.push_back(static_cast<char>(byte)); }
  // A tag and a big-endian number.
  template <class U>
  void Tagged(std::uint8_t tag, U value) {
    char bytes[1 + sizeof(U)];
    bytes[0] = static_cast<char>(tag);
    for (std::size_t i = 0; i < sizeof(U); ++i) {
      bytes[sizeof(U) - i] = static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i));
    }
    out_.structure.append(bytes, sizeof(bytes));
  }
  bool OutOfBand(const void* data, std::size_t bytes);

  detail::Packed& out_;
  int depth_ = 0;
};

}  // namespace rayx

#endif  // RAYX_DETAIL_PACKER_H_
