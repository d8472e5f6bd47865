// Goal: cursors never leave their span and keep the promise of the sticky failure.
// Method: round trips, then every truncation of a layout, then lengths that lie.
#include "base/bytes.h"

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

using rayx::base::AsText;
using rayx::base::ByteReader;
using rayx::base::ByteWriter;

namespace {

enum class Colour : std::uint16_t { kRed = 0x1234 };

std::vector<std::byte> Sample() {
  std::vector<std::byte> buffer(64);
  ByteWriter writer(buffer);
  writer.Write(std::uint8_t{7});
  writer.Write(Colour::kRed);
  writer.Write(std::uint64_t{0x0102030405060708});
  writer.Write(-2.5);
  writer.WriteText("hello");
  REQUIRE(writer.ok());
  buffer.resize(writer.position());
  return buffer;
}

bool ReadSample(std::span<const std::byte> bytes) {
  ByteReader reader(bytes);
  std::uint8_t a = 0;
  Colour b{};
  std::uint64_t c = 0;
  double d = 0;
  std::string_view e;
  reader.Read(a);
  reader.Read(b);
  reader.Read(c);
  reader.Read(d);
  reader.ReadText(100, e);
  return reader.AtEnd() && a == 7 && b == Colour::kRed && c == 0x0102030405060708 && d == -2.5 &&
         e == "hello";
}

}  // namespace

TEST_CASE("ByteReader: reads what ByteWriter wrote, unaligned, little-endian") {
  const auto bytes = Sample();
  CHECK(bytes[1] == std::byte{0x34});
  CHECK(bytes[3] == std::byte{0x08});
  CHECK(ReadSample(bytes));
}

TEST_CASE("ByteReader: every truncation fails, and so does one byte too many") {
  auto bytes = Sample();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    // A copy of exactly that size, so that AddressSanitizer sees any over-read.
    const std::vector<std::byte> cut(bytes.begin(), bytes.begin() + static_cast<long>(size));
    CHECK_FALSE(ReadSample(cut));
  }
  bytes.push_back(std::byte{0});
  CHECK_FALSE(ReadSample(bytes));
}

TEST_CASE("ByteReader: a length that lies is refused and nothing moves after it") {
  std::array<std::byte, 12> bytes{};
  ByteWriter(bytes).Write(std::numeric_limits<std::uint32_t>::max());
  ByteReader reader(bytes);
  std::span<const std::byte> out;
  CHECK_FALSE(reader.ReadPrefixed(std::numeric_limits<std::size_t>::max(), out));
  const auto position = reader.position();
  std::uint8_t value = 99;
  CHECK_FALSE(reader.Read(value));
  CHECK(value == 99);
  CHECK(reader.position() == position);
  CHECK_FALSE(reader.AtEnd());
}

TEST_CASE("ByteReader: a length above the caller's limit is refused although the bytes exist") {
  std::array<std::byte, 16> bytes{};
  ByteWriter(bytes).WriteText("12345");
  std::string_view out;
  CHECK_FALSE(ByteReader(bytes).ReadText(4, out));
  CHECK(ByteReader(bytes).ReadText(5, out));
  CHECK(out == "12345");
}

TEST_CASE("ByteReader: a size near the end of the address space does not wrap around") {
  std::array<std::byte, 8> bytes{};
  ByteReader reader(bytes);
  CHECK(reader.Skip(4));
  CHECK_FALSE(reader.Skip(std::numeric_limits<std::size_t>::max() - 2));
}

TEST_CASE("ByteWriter: a value that does not fit writes nothing of itself") {
  std::array<std::byte, 6> bytes{};
  ByteWriter writer(bytes);
  CHECK(writer.Write(std::uint32_t{1}));
  CHECK_FALSE(writer.WriteText("abc"));
  CHECK(writer.position() == 4);
  CHECK(bytes[4] == std::byte{0});
  CHECK_FALSE(writer.ok());
}

TEST_CASE("ByteWriter: patches only what was written") {
  std::array<std::byte, 8> bytes{};
  ByteWriter writer(bytes);
  writer.Write(std::uint32_t{0});
  CHECK(writer.PatchAt(0, std::uint32_t{42}));
  CHECK(bytes[0] == std::byte{42});
  CHECK_FALSE(writer.PatchAt(1, std::uint32_t{1}));
}

TEST_CASE("ByteReader: an empty span reads nothing and is at its end") {
  ByteReader reader({});
  CHECK(reader.AtEnd());
  std::span<const std::byte> out;
  CHECK(reader.ReadSpan(0, out));
  CHECK(AsText(out).empty());
}
