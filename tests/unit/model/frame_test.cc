// Goal: the frame decoder accepts what the encoder made and refuses everything else without reading
// outside its span. Method: round trips, then truncations and single-field corruptions.
#include "model/frame.h"

#include <catch2/catch.hpp>

namespace rayx::model {
namespace {

std::span<const std::byte> Bytes(const FrameHeader& header) {
  return {reinterpret_cast<const std::byte*>(&header), sizeof header};
}

std::vector<std::byte> Filled(size_t n, int value) {
  return std::vector<std::byte>(n, static_cast<std::byte>(value));
}

}  // namespace

TEST_CASE("FrameHeader: decodes what was encoded") {
  FrameHeader in;
  in.kind = FrameKind::kReply;
  in.task = TaskId{ProcessId::Make(NodeNumber{3}, 7), 99};
  in.attempt = 2;
  in.cookie_slot = 5;
  FrameHeader out;
  REQUIRE(DecodeHeader(Bytes(in), out) == FrameError::kNone);
  CHECK(out.task == in.task);
  CHECK(out.attempt == 2);
  CHECK(out.cookie_slot == 5);
}

TEST_CASE("FrameHeader: refuses wrong magic, version, kind, sizes and truncation") {
  FrameHeader out;
  FrameHeader bad;
  bad.magic = 1;
  CHECK(DecodeHeader(Bytes(bad), out) == FrameError::kBadMagic);
  bad = FrameHeader{};
  bad.version = 99;
  CHECK(DecodeHeader(Bytes(bad), out) == FrameError::kBadVersion);
  bad = FrameHeader{};
  bad.kind = static_cast<FrameKind>(9);
  CHECK(DecodeHeader(Bytes(bad), out) == FrameError::kBadKind);
  bad = FrameHeader{};
  bad.body_bytes = kBodyBytesMax + 1;
  CHECK(DecodeHeader(Bytes(bad), out) == FrameError::kBodyTooLarge);
  bad = FrameHeader{};
  bad.item_count = kBodyItemsMax + 1;
  CHECK(DecodeHeader(Bytes(bad), out) == FrameError::kTooManyItems);
  bad = FrameHeader{};
  CHECK(DecodeHeader(Bytes(bad).first(kFrameHeaderBytes - 1), out) == FrameError::kTruncated);
}

TEST_CASE("BodyReader: items come back in order with their bytes") {
  std::vector<std::byte> body;
  BodyWriter writer(body);
  writer.AddInline(Filled(13, 1), 7);
  StoredLocation location;
  location.object = ObjectId{ProcessId::Make(NodeNumber{1}, 2), 8};
  location.size = 1 << 20;
  writer.AddStored(location);
  writer.AddError(Filled(3, 9));
  const ObjectId ids[] = {location.object, {location.object.owner, 9}};
  writer.AddReferences(ids);
  BodyReader reader(body, writer.item_count());
  Item item;
  REQUIRE(reader.Next(item));
  CHECK(item.kind == ItemKind::kInline);
  CHECK(item.bytes.size() == 13);
  CHECK(item.object_sequence == 7);
  REQUIRE(reader.Next(item));
  CHECK(item.stored == location);
  REQUIRE(reader.Next(item));
  CHECK(item.kind == ItemKind::kError);
  REQUIRE(reader.Next(item));
  CHECK(item.kind == ItemKind::kReferences);
  CHECK(std::memcmp(item.bytes.data(), ids, sizeof ids) == 0);
  CHECK_FALSE(reader.Next(item));
  CHECK(reader.error() == FrameError::kNone);
}

TEST_CASE("BeginInlineItem: writes what BodyWriter does, over whatever was there") {
  for (size_t bytes = 0; bytes <= 17; ++bytes) {
    std::vector<std::byte> body;
    BodyWriter(body).AddInline(Filled(bytes, 5));
    std::vector<std::byte> in_place(ItemBytes(bytes), std::byte{0xee});
    std::byte* const value = BeginInlineItem(in_place.data(), bytes);
    std::fill_n(value, bytes, std::byte{5});
    CHECK(in_place == body);
  }
}

TEST_CASE("BodyReader: every truncation is an error and no item reaches beyond the span") {
  std::vector<std::byte> body;
  BodyWriter writer(body);
  writer.AddInline(Filled(100, 1));
  writer.AddStored(StoredLocation{});
  for (size_t size = 0; size < body.size(); ++size) {
    // A copy of exactly this size, so that a sanitizer sees any read beyond it.
    const std::vector<std::byte> cut(body.begin(), body.begin() + static_cast<long>(size));
    BodyReader reader(cut, writer.item_count());
    Item item;
    int items = 0;
    while (reader.Next(item)) ++items;
    CHECK(items < 2);
    CHECK(reader.error() == FrameError::kItemOutOfBounds);
  }
}

TEST_CASE("BodyReader: an item of unknown kind or a location of wrong size is refused") {
  std::vector<std::byte> body;
  BodyWriter writer(body);
  writer.AddInline(Filled(8, 1));
  body[0] = std::byte{77};
  BodyReader unknown(body, 1);
  Item item;
  CHECK_FALSE(unknown.Next(item));
  CHECK(unknown.error() == FrameError::kBadItem);
  body[0] = static_cast<std::byte>(ItemKind::kStored);
  BodyReader wrong_size(body, 1);
  CHECK_FALSE(wrong_size.Next(item));
  CHECK(wrong_size.error() == FrameError::kBadItem);
  body[0] = static_cast<std::byte>(ItemKind::kReferences);  // 8 bytes: half an id
  BodyReader half(body, 1);
  CHECK_FALSE(half.Next(item));
  CHECK(half.error() == FrameError::kBadItem);
}

}  // namespace rayx::model
