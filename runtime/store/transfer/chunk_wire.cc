#include "store/transfer/chunk_wire.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>
#include <grpcpp/support/proto_buffer_reader.h>
#include <grpcpp/support/slice.h>

#include <utility>

#include "base/check.h"
#include "store/node_store.h"

namespace rayx::store {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;
using google::protobuf::io::CodedOutputStream;

constexpr uint32_t kErrorTag = 1 << 3 | WireFormatLite::WIRETYPE_LENGTH_DELIMITED;
constexpr uint32_t kOffsetTag = 2 << 3 | WireFormatLite::WIRETYPE_VARINT;
constexpr uint32_t kDataTag = 3 << 3 | WireFormatLite::WIRETYPE_LENGTH_DELIMITED;
constexpr uint32_t kCopiesTag = 4 << 3 | WireFormatLite::WIRETYPE_LENGTH_DELIMITED;
static_assert(proto::PullChunk::kErrorFieldNumber == 1 &&
              proto::PullChunk::kOffsetFieldNumber == 2 &&
              proto::PullChunk::kDataFieldNumber == 3 && proto::PullChunk::kCopiesFieldNumber == 4);

constexpr int kErrorBytesMax = 64 * 1024;
constexpr int kCopiesBytesMax = 1024;

base::Status Invalid(const char* what) {
  return absl::InvalidArgumentError(std::string("a chunk of an object: ") + what);
}

bool ReadError(CodedInputStream& in, proto::ErrorInfo& error) {
  uint32_t bytes = 0;
  if (!in.ReadVarint32(&bytes) || bytes > kErrorBytesMax) return false;
  const auto limit = in.PushLimit(static_cast<int>(bytes));
  const bool ok = error.ParseFromCodedStream(&in) && in.ConsumedEntireMessage();
  in.PopLimit(limit);
  return ok;
}

bool ReadCopies(CodedInputStream& in, std::vector<model::NodeNumber>& copies) {
  uint32_t bytes = 0;
  if (!in.ReadVarint32(&bytes) || bytes > kCopiesBytesMax) return false;
  const auto limit = in.PushLimit(static_cast<int>(bytes));
  while (in.BytesUntilLimit() > 0) {
    uint32_t node = 0;
    if (!in.ReadVarint32(&node)) return false;
    copies.push_back(model::NodeNumber{node});
  }
  in.PopLimit(limit);
  return true;
}

}  // namespace

grpc::ByteBuffer EncodeChunk(uint64_t offset, std::span<const std::byte> data,
                             std::shared_ptr<const void> keeper,
                             const std::vector<model::NodeNumber>& copies) {
  uint8_t tail[16 + 5 * kCopiesToldMax];
  uint8_t* tail_end = tail;
  if (!copies.empty()) {
    RAYX_CHECK(copies.size() <= kCopiesToldMax);
    size_t bytes = 0;
    for (const model::NodeNumber node : copies)
      bytes += CodedOutputStream::VarintSize32(node.value);
    tail_end = CodedOutputStream::WriteTagToArray(kCopiesTag, tail_end);
    tail_end = CodedOutputStream::WriteVarint32ToArray(static_cast<uint32_t>(bytes), tail_end);
    for (const model::NodeNumber node : copies) {
      tail_end = CodedOutputStream::WriteVarint32ToArray(node.value, tail_end);
    }
  }
  uint8_t head[32];
  uint8_t* end = head;
  if (offset != 0) {
    end = CodedOutputStream::WriteTagToArray(kOffsetTag, end);
    end = CodedOutputStream::WriteVarint64ToArray(offset, end);
  }
  end = CodedOutputStream::WriteTagToArray(kDataTag, end);
  end = CodedOutputStream::WriteVarint64ToArray(data.size(), end);
  const grpc::Slice slices[] = {
      grpc::Slice(head, static_cast<size_t>(end - head)),
      // gRPC only reads: the memory is mapped read-only.
      grpc::Slice(
          const_cast<std::byte*>(data.data()), data.size(),
          [](void* held) { delete static_cast<std::shared_ptr<const void>*>(held); },
          new std::shared_ptr<const void>(std::move(keeper))),
      grpc::Slice(tail, static_cast<size_t>(tail_end - tail))};
  return grpc::ByteBuffer(slices, tail_end == tail ? 2 : 3);
}

base::StatusOr<ChunkHead> DecodeChunk(
    grpc::ByteBuffer& message,
    const std::function<std::span<std::byte>(uint64_t offset, uint64_t bytes)>& place) {
  const uint64_t message_bytes = message.Length();
  grpc::ProtoBufferReader reader(&message);
  if (!reader.status().ok()) return Invalid("bytes that cannot be read");
  CodedInputStream in(&reader);
  ChunkHead head;
  while (const uint32_t tag = in.ReadTag()) {
    if (tag == kErrorTag) {
      if (!ReadError(in, head.error.emplace())) return Invalid("no error message");
    } else if (tag == kOffsetTag) {
      if (!in.ReadVarint64(&head.offset)) return Invalid("no offset");
    } else if (tag == kCopiesTag) {
      if (!ReadCopies(in, head.copies)) return Invalid("no list of copies");
    } else if (tag == kDataTag) {
      uint32_t bytes = 0;
      if (!in.ReadVarint32(&bytes) || bytes > message_bytes) return Invalid("no data");
      if (bytes == 0) continue;
      if (head.bytes != 0) return Invalid("data twice");
      const auto into = place(head.offset, bytes);
      if (into.size() != bytes) return Invalid("it was not asked for");
      if (!in.ReadRaw(into.data(), static_cast<int>(bytes))) return Invalid("data cut short");
      head.bytes = bytes;
    } else if (!WireFormatLite::SkipField(&in, tag)) {
      return Invalid("no message");
    }
  }
  if (!in.ConsumedEntireMessage()) return Invalid("no message");
  return head;
}

}  // namespace rayx::store
