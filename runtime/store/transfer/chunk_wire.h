// runtime/store/transfer/chunk_wire.h
//
// PullChunk messages (proto/node.proto) without a copy of their data: written as a few bytes before
// the shared memory itself, read from the transport's pieces straight into it.
// Owner:    no state.
// Threads:  any.
// Inputs:   what a peer sent: every length is checked against the message before it is used.
// Promises: the same bytes as the generated code writes; reads whatever it may write (unknown
//           fields are skipped).
#pragma once

#include <grpcpp/support/byte_buffer.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/status.h"
#include "model/ids.h"
#include "proto/node.pb.h"

namespace rayx::store {

// The message {offset, data, copies}. `data` is not copied: `keeper` is let go when gRPC needs it
// no more. At most kCopiesToldMax copies.
grpc::ByteBuffer EncodeChunk(uint64_t offset, std::span<const std::byte> data,
                             std::shared_ptr<const void> keeper,
                             const std::vector<model::NodeNumber>& copies = {});

struct ChunkHead {
  uint64_t offset = 0;
  uint64_t bytes = 0;                     // that were copied
  std::vector<model::NodeNumber> copies;  // that the sender knows of
  std::optional<proto::ErrorInfo> error;  // instead of data
};
// `place` says where `bytes` at `offset` go, or returns an empty span to refuse them. Errors:
// InvalidArgument: no such message, or refused.
base::StatusOr<ChunkHead> DecodeChunk(
    grpc::ByteBuffer& message,
    const std::function<std::span<std::byte>(uint64_t offset, uint64_t bytes)>& place);

}  // namespace rayx::store
