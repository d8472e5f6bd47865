// runtime/store/transfer/grpc_chunk_source.h
//
// Fetches chunks by Node.Pull from the daemons of other nodes.
// Owner:    the node daemon; outlives the NodeStore that uses it.
// Threads:  Fetch on the node loop; sinks are called on gRPC's threads.
// Promises: the bytes go from the transport's pieces into the sink's memory, once. A fetch ends by
//           its deadline. The destructor cancels what runs and waits for it.
// Limits:   chunks of kChunkBytes, one stream a fetch.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <set>

#include "store/chunk_source.h"

namespace grpc {
class Channel;
class ClientContext;
}  // namespace grpc

namespace rayx::store {

class GrpcChunkSource final : public ChunkSource {
 public:
  // The channel to a node's daemon (rpc::RpcChannel::grpc_channel()), null when it is not known or
  // gone. Called on the node loop.
  using FindChannel = std::function<std::shared_ptr<grpc::Channel>(model::NodeNumber)>;

  explicit GrpcChunkSource(FindChannel find_channel);
  ~GrpcChunkSource() override;

  // This node, told to the source so that it can say when it frees the object.
  void SetSelf(model::NodeNumber self) { self_ = self; }

  CancelFetch Fetch(model::NodeNumber from, const model::StoredLocation& source, ByteRange range,
                    std::shared_ptr<ChunkSink> sink) override;

 private:
  class Call;
  // Calls that run, shared with them.
  struct Running {
    std::mutex mutex;
    std::condition_variable changed;
    std::set<std::shared_ptr<grpc::ClientContext>> contexts;  // under mutex
  };

  const FindChannel find_channel_;
  model::NodeNumber self_;
  const std::shared_ptr<Running> running_;
};

}  // namespace rayx::store
