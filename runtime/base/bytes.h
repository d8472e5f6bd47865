// runtime/base/bytes.h
//
// Little-endian, bounds-checked reading and writing of flat layouts (frames, file headers).
// Owner:    one function or object; a reader or writer is a cursor, cheap to copy.
// Threads:  one at a time; the bytes are borrowed and must outlive the cursor.
// Promises: never reads or writes outside the span, whatever the lengths in the data say. The first
//           failure is sticky: later calls fail too and move nothing, so a decoder may read a whole
//           layout and ask ok() once. A failed Read leaves its output as it was.
// Limits:   the data need not be aligned. Length prefixes are 32 bit.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

namespace rayx::base {

static_assert(std::endian::native == std::endian::little, "layouts are copied as they are");

// What has one representation on every machine of a cluster: fixed-size integers, enums, floats.
template <typename T>
concept FlatScalar = (std::is_arithmetic_v<T> && !std::same_as<T, bool> && sizeof(T) <= 8) ||
                     std::is_enum_v<T> || std::same_as<T, std::byte>;

inline std::span<const std::byte> AsBytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}
inline std::string_view AsText(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  template <FlatScalar T>
  bool Read(T& value) {
    std::span<const std::byte> raw;
    if (!ReadSpan(sizeof(T), raw)) return false;
    std::memcpy(&value, raw.data(), sizeof(T));
    return true;
  }

  // The next `size` bytes, without a copy.
  bool ReadSpan(std::size_t size, std::span<const std::byte>& out) {
    if (!ok_ || size > remaining()) return Fail();
    out = bytes_.subspan(position_, size);
    position_ += size;
    return true;
  }

  // A 32-bit length and that many bytes. A length above `size_max` fails even if the bytes exist.
  bool ReadPrefixed(std::size_t size_max, std::span<const std::byte>& out) {
    std::uint32_t size = 0;
    if (!Read(size)) return false;
    if (size > size_max) return Fail();
    return ReadSpan(size, out);
  }
  bool ReadText(std::size_t size_max, std::string_view& out) {
    std::span<const std::byte> raw;
    if (!ReadPrefixed(size_max, raw)) return false;
    out = AsText(raw);
    return true;
  }

  bool Skip(std::size_t size) {
    std::span<const std::byte> ignored;
    return ReadSpan(size, ignored);
  }

  bool ok() const { return ok_; }
  std::size_t position() const { return position_; }
  std::size_t remaining() const { return bytes_.size() - position_; }
  // True when everything was read and nothing failed: a decoder's last question.
  bool AtEnd() const { return ok_ && remaining() == 0; }

 private:
  bool Fail() {
    ok_ = false;
    return false;
  }

  std::span<const std::byte> bytes_;
  std::size_t position_ = 0;  // <= bytes_.size()
  bool ok_ = true;
};

class ByteWriter {
 public:
  explicit ByteWriter(std::span<std::byte> bytes) : bytes_(bytes) {}

  template <FlatScalar T>
  bool Write(T value) {
    return WriteSpan(std::as_bytes(std::span<const T, 1>(&value, 1)));
  }

  bool WriteSpan(std::span<const std::byte> data) {
    if (!ok_ || data.size() > remaining()) return Fail();
    if (!data.empty()) std::memcpy(bytes_.data() + position_, data.data(), data.size());
    position_ += data.size();
    return true;
  }

  // A 32-bit length and the bytes; both or neither.
  bool WritePrefixed(std::span<const std::byte> data) {
    if (!ok_ || data.size() > UINT32_MAX || remaining() < sizeof(std::uint32_t) ||
        data.size() > remaining() - sizeof(std::uint32_t))
      return Fail();
    return Write(static_cast<std::uint32_t>(data.size())) && WriteSpan(data);
  }
  bool WriteText(std::string_view text) { return WritePrefixed(AsBytes(text)); }

  // Overwrites what was written before, for a size known only at the end.
  template <FlatScalar T>
  bool PatchAt(std::size_t offset, T value) {
    if (!ok_ || offset > position_ || sizeof(T) > position_ - offset) return Fail();
    std::memcpy(bytes_.data() + offset, &value, sizeof(T));
    return true;
  }

  bool ok() const { return ok_; }
  std::size_t position() const { return position_; }
  std::size_t remaining() const { return bytes_.size() - position_; }
  std::span<const std::byte> written() const { return bytes_.first(position_); }

 private:
  bool Fail() {
    ok_ = false;
    return false;
  }

  std::span<std::byte> bytes_;
  std::size_t position_ = 0;  // <= bytes_.size()
  bool ok_ = true;
};

}  // namespace rayx::base
