// Reads one value back from its encoded form.
//
// Purpose:  the reading half of the serializer: Serializer<T>::Unpack calls these.
// Inputs:   bytes from another process: hostile until each was checked.
// Owner:    the call that unpacks; views it gives live as long as Pin(), or only during the call.
// Threads:  one.
// Promises: bytes that are no value of the type throw SerializationError; nothing is read outside
//           the given bytes, and no allocation is larger than a fixed multiple of them.
#ifndef RAYX_DETAIL_UNPACKER_H_
#define RAYX_DETAIL_UNPACKER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "rayx/detail/packed.h"
#include "rayx/detail/packer.h"
#include "rayx/detail/visibility.h"

namespace rayx {

// Bytes of a string or buffer, where they lie.
struct BufferView {
  const std::byte* data = nullptr;
  std::size_t bytes = 0;
  bool out_of_band = false;  // 64-byte aligned then, unless the value travelled inside a frame
};

// What a Serializer<T>::Unpack reads from. Each call takes one value, or throws SerializationError.
class RAYX_PUBLIC Unpacker {
 public:
  // `reference`: what the bytes were fetched through (owner 0: nothing, as for arguments).
  explicit Unpacker(const detail::Fetched& value, detail::RawRef reference = {});
  Unpacker(const Unpacker&) = delete;
  Unpacker& operator=(const Unpacker&) = delete;

  // A value of any type that travels.
  template <class T>
  T Unpack() {
    if (++depth_ > detail::kNestingMax) detail::ThrowTooDeep();
    T value = Serializer<T>::Unpack(*this);
    --depth_;
    return value;
  }

  bool TryNil();  // consumes a nil
  // The value, of that type and no other:
  void Nil();
  bool Bool();

  // Any msgpack integer within the limits:
  std::uint64_t Unsigned(std::uint64_t max);
  std::int64_t Signed(std::int64_t min, std::int64_t max);

  double Double();                         // integers too
  std::size_t ArrayHeader();               // of so many values, which follow
  void ArrayHeader(std::size_t expected);  // throws for any other number
  std::size_t MapHeader();                 // of so many pairs, which follow
  std::string_view String();               // where it lies: see Pin()
  BufferView Buffer();                     // as String(), any bytes
  detail::RawRef Reference();              // takes one hold unless it names nothing
  // An extension of 16 bytes that holds two numbers.
  std::pair<std::uint64_t, std::uint64_t> Pair(std::int8_t type);
  // One whole msgpack value, checked to be complete and not too deep, as it stands.
  std::string_view SkipValue();
  // Throws unless everything was read.
  void ExpectEnd() const;

  // What keeps the bytes in place after the call; null: nothing does, copy what you need.
  std::shared_ptr<const void> Pin();
  // Whether the bytes lie in the object store, where a write ends the process.
  bool read_only_pages() const { return value_.read_only_pages; }
  // How many elements of `element_bytes` to make room for at once, when `count` were announced.
  static std::size_t Reserve(std::size_t count, std::size_t element_bytes);
  // Throws SerializationError: `expected` was, something else came.
  [[noreturn]] void Fail(const char* expected) const;

 private:
  std::uint8_t Peek() const;
  std::uint64_t BigEndian(std::size_t bytes);
  const char* Take(std::size_t bytes);
  std::size_t Remaining() const { return static_cast<std::size_t>(end_ - next_); }
  std::size_t CheckCount(std::uint64_t count, std::size_t bytes_each);
  BufferView OutOfBand();
  void SkipNested(int depth);

  detail::Fetched value_;
  detail::RawRef reference_;
  const char* next_ = nullptr;
  const char* end_ = nullptr;
  std::uint32_t buffer_count_ = 0;
  int depth_ = 0;
};

}  // namespace rayx

#endif  // RAYX_DETAIL_UNPACKER_H_
