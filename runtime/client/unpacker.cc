// Reading the encoded form of a value: every byte may be hostile.
#include "rayx/detail/unpacker.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "client/packed_layout.h"
#include "rayx/detail/ref_hold.h"
#include "rayx/detail/runtime_interface.h"
#include "rayx/errors.h"

namespace rayx {
namespace {

constexpr std::size_t kReserveBytes = 64 * 1024;

template <class U>
U Load(const void* from) {
  U value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

[[noreturn]] void FailDamaged(const char* what) {
  throw SerializationError(std::string("A received value is damaged: ") + what + ".");
}

}  // namespace

Unpacker::Unpacker(const detail::Fetched& value, detail::RawRef reference)
    : value_(value), reference_(reference) {
  const char* data = reinterpret_cast<const char*>(value_.data);
  if (value_.bytes == 0 || data == nullptr) FailDamaged("it is empty");
  if (data[0] == 0) {
    next_ = data + 1;
    end_ = data + value_.bytes;
    return;
  }
  if (value_.bytes < detail::kEncodedHeaderBytes || Load<std::uint32_t>(data) != 1) {
    FailDamaged("its form is unknown");
  }
  const std::size_t structure_bytes = Load<std::uint32_t>(data + 4);
  buffer_count_ = Load<std::uint32_t>(data + 8);
  const std::size_t rest = value_.bytes - detail::kEncodedHeaderBytes;
  if (buffer_count_ > rest / detail::kEncodedEntryBytes ||
      structure_bytes > rest - buffer_count_ * detail::kEncodedEntryBytes) {
    FailDamaged("it is shorter than it says");
  }
  next_ = data + detail::kEncodedHeaderBytes + buffer_count_ * detail::kEncodedEntryBytes;
  end_ = next_ + structure_bytes;
}

void Unpacker::Fail(const char* expected) const {
  throw SerializationError(std::string("A received value is not ") + expected +
                           ": sender and receiver disagree about its type, or it is damaged.");
}

std::uint8_t Unpacker::Peek() const {
  if (next_ == end_) FailDamaged("it ends too early");
  return static_cast<std::uint8_t>(*next_);
}

const char* Unpacker::Take(std::size_t bytes) {
  if (bytes > Remaining()) FailDamaged("it ends too early");
  const char* taken = next_;
  next_ += bytes;
  return taken;
}

std::uint64_t Unpacker::BigEndian(std::size_t bytes) {
  const char* const from = Take(bytes);
  if (bytes == 8) return __builtin_bswap64(Load<std::uint64_t>(from));
  if (bytes == 4) return __builtin_bswap32(Load<std::uint32_t>(from));
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes; ++i) {
    value = (value << 8) | static_cast<unsigned char>(from[i]);
  }
  return value;
}

std::size_t Unpacker::CheckCount(std::uint64_t count, std::size_t bytes_each) {
  if (count > Remaining() / bytes_each) FailDamaged("it announces more elements than it has bytes");
  return static_cast<std::size_t>(count);
}

std::size_t Unpacker::Reserve(std::size_t count, std::size_t element_bytes) {
  return std::min(count, std::max<std::size_t>(1, kReserveBytes / element_bytes));
}

bool Unpacker::TryNil() {
  if (Peek() != 0xc0) return false;
  ++next_;
  return true;
}

void Unpacker::Nil() {
  if (!TryNil()) Fail("empty");
}

bool Unpacker::Bool() {
  const std::uint8_t tag = Peek();
  if (tag != 0xc2 && tag != 0xc3) Fail("a bool");
  ++next_;
  return tag == 0xc3;
}

std::uint64_t Unpacker::Unsigned(std::uint64_t max) {
  const std::uint8_t tag = Peek();
  std::uint64_t value = tag;
  if (tag < 0x80) {
    ++next_;
  } else if (tag >= 0xcc && tag <= 0xcf) {
    ++next_;
    value = BigEndian(std::size_t{1} << (tag - 0xcc));
  } else if ((tag >= 0xd0 && tag <= 0xd3) || tag >= 0xe0) {
    value = static_cast<std::uint64_t>(Signed(0, INT64_MAX));
  } else {
    Fail("a number");
  }
  if (value > max) Fail("a number within the limits of its type");
  return value;
}

std::int64_t Unpacker::Signed(std::int64_t min, std::int64_t max) {
  const std::uint8_t tag = Peek();
  std::int64_t value = 0;
  if (tag >= 0xe0) {
    ++next_;
    value = static_cast<std::int8_t>(tag);
  } else if (tag >= 0xd0 && tag <= 0xd3) {
    ++next_;
    const std::size_t bytes = std::size_t{1} << (tag - 0xd0);
    const unsigned shift = static_cast<unsigned>(64 - 8 * bytes);
    value = static_cast<std::int64_t>(BigEndian(bytes) << shift) >> shift;
  } else {
    value = static_cast<std::int64_t>(Unsigned(INT64_MAX));
  }
  if (value < min || value > max) Fail("a number within the limits of its type");
  return value;
}

double Unpacker::Double() {
  const std::uint8_t tag = Peek();
  if (tag == 0xca) {
    ++next_;
    const auto bits = static_cast<std::uint32_t>(BigEndian(4));
    return static_cast<double>(Load<float>(&bits));
  }
  if (tag == 0xcb) {
    ++next_;
    const std::uint64_t bits = BigEndian(8);
    return Load<double>(&bits);
  }
  if (tag == 0xcf) return static_cast<double>(Unsigned(UINT64_MAX));
  return static_cast<double>(Signed(INT64_MIN, INT64_MAX));
}

std::size_t Unpacker::ArrayHeader() {
  const std::uint8_t tag = Peek();
  ++next_;
  if ((tag & 0xf0) == 0x90) return CheckCount(tag & 0x0f, 1);
  if (tag == 0xdc) return CheckCount(BigEndian(2), 1);
  if (tag == 0xdd) return CheckCount(BigEndian(4), 1);
  Fail("a sequence");
}

void Unpacker::ArrayHeader(std::size_t expected) {
  if (ArrayHeader() != expected) Fail("a sequence of the expected size");
}

std::size_t Unpacker::MapHeader() {
  const std::uint8_t tag = Peek();
  ++next_;
  if ((tag & 0xf0) == 0x80) return CheckCount(tag & 0x0f, 2);
  if (tag == 0xde) return CheckCount(BigEndian(2), 2);
  if (tag == 0xdf) return CheckCount(BigEndian(4), 2);
  Fail("a map");
}

BufferView Unpacker::OutOfBand() {
  Take(2);
  const auto number = Load<std::uint32_t>(Take(4));
  if (number >= buffer_count_) FailDamaged("it names a buffer that it does not have");
  const std::byte* entry =
      value_.data + detail::kEncodedHeaderBytes + std::size_t{number} * detail::kEncodedEntryBytes;
  const auto offset = Load<std::uint64_t>(entry);
  const auto bytes = Load<std::uint64_t>(entry + 8);
  if (offset > value_.bytes || bytes > value_.bytes - offset) {
    FailDamaged("one of its buffers lies outside of it");
  }
  return {value_.data + offset, static_cast<std::size_t>(bytes), true};
}

std::string_view Unpacker::String() {
  const std::uint8_t tag = Peek();
  std::size_t bytes = 0;
  if ((tag & 0xe0) == 0xa0) {
    ++next_;
    bytes = tag & 0x1f;
  } else if (tag >= 0xd9 && tag <= 0xdb) {
    ++next_;
    bytes = static_cast<std::size_t>(BigEndian(std::size_t{1} << (tag - 0xd9)));
  } else if (tag == 0xd6 && Remaining() >= 2 && next_[1] == detail::kBufferExtension) {
    const BufferView view = OutOfBand();
    return {reinterpret_cast<const char*>(view.data), view.bytes};
  } else {
    Fail("a text");
  }
  return {Take(bytes), bytes};
}

BufferView Unpacker::Buffer() {
  const std::uint8_t tag = Peek();
  if (tag == 0xd6 && Remaining() >= 2 && next_[1] == detail::kBufferExtension) return OutOfBand();
  if (tag < 0xc4 || tag > 0xc6) Fail("a block of bytes");
  ++next_;
  const auto bytes = static_cast<std::size_t>(BigEndian(std::size_t{1} << (tag - 0xc4)));
  return {reinterpret_cast<const std::byte*>(Take(bytes)), bytes, false};
}

std::pair<std::uint64_t, std::uint64_t> Unpacker::Pair(std::int8_t type) {
  if (Peek() != 0xd8 || Remaining() < 2 || next_[1] != type) Fail("a reference");
  Take(2);
  const char* ids = Take(16);
  return {Load<std::uint64_t>(ids), Load<std::uint64_t>(ids + 8)};
}

detail::RawRef Unpacker::Reference() {
  const auto [owner, sequence] = Pair(detail::kReferenceExtension);
  const detail::RawRef ref{owner, sequence};
  if (owner != 0) detail::Runtime().Adopt(ref, reference_);
  return ref;
}

std::string_view Unpacker::SkipValue() {
  const char* start = next_;
  SkipNested(0);
  return {start, static_cast<std::size_t>(next_ - start)};
}

void Unpacker::SkipNested(int depth) {
  if (depth > detail::kNestingMax) detail::ThrowTooDeep();
  const std::uint8_t tag = Peek();
  std::uint64_t children = 0;
  if ((tag & 0xf0) == 0x90 || tag == 0xdc || tag == 0xdd) {
    children = ArrayHeader();
  } else if ((tag & 0xf0) == 0x80 || tag == 0xde || tag == 0xdf) {
    children = 2 * MapHeader();
  } else {
    ++next_;
    if (tag >= 0xcc && tag <= 0xd3) {
      Take(std::size_t{1} << ((tag - 0xcc) % 4));
    } else if (tag == 0xca || tag == 0xcb) {
      Take(tag == 0xca ? 4 : 8);
    } else if ((tag & 0xe0) == 0xa0) {
      Take(tag & 0x1f);
    } else if (tag >= 0xd9 && tag <= 0xdb) {
      Take(static_cast<std::size_t>(BigEndian(std::size_t{1} << (tag - 0xd9))));
    } else if (tag >= 0xc4 && tag <= 0xc6) {
      Take(static_cast<std::size_t>(BigEndian(std::size_t{1} << (tag - 0xc4))));
    } else if (tag >= 0xc7 && tag <= 0xc9) {
      Take(1 + static_cast<std::size_t>(BigEndian(std::size_t{1} << (tag - 0xc7))));
    } else if (tag >= 0xd4 && tag <= 0xd8) {
      Take(1 + (std::size_t{1} << (tag - 0xd4)));
    } else if (tag == 0xc1) {
      Fail("msgpack");
    }
  }
  for (std::uint64_t i = 0; i < children; ++i) SkipNested(depth + 1);
}

void Unpacker::ExpectEnd() const {
  if (next_ != end_) FailDamaged("it goes on after its end");
}

std::shared_ptr<const void> Unpacker::Pin() {
  if (value_.pin != nullptr || reference_.owner == 0) return value_.pin;
  // The bytes stay while the reference is held: hold it.
  detail::Runtime().Retain(reference_);
  return std::make_shared<const detail::RefHold>(reference_);
}

}  // namespace rayx
