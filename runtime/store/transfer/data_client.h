// runtime/store/transfer/data_client.h
//
// Fetches chunks from the data servers of other nodes.
// Owner:    the node daemon; outlives the NodeStore that uses it, outlived by the DataThreads.
// Threads:  Fetch and Stop on the node loop, cancels from any; sinks are called on data threads.
// Promises: the bytes go from the socket into the sink's memory. Connections are kept for the next
//           fetches and closed when idle. A cancelled fetch closes its connection and ends at once.
//           A fetch ends, and says why, when its peer cannot be reached within connect_max, sends
//           nothing for stall_max, refuses this node's token or version, sends what it was not
//           asked for, or altogether takes longer than 30 s and a second for each 4 MiB. Stop ends
//           all of them.
// Limits:   connections_per_peer fetches of one peer at once; more wait in their order.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "io/address.h"
#include "rpc/credentials.h"
#include "store/chunk_source.h"
#include "store/transfer/data_thread.h"

namespace rayx::store {

struct DataClientOptions {
  rpc::ClusterCredentials credentials;
  // Where a node's data server listens; nothing when it is not known or gone. Called on the node
  // loop.
  std::function<std::optional<io::Address>(model::NodeNumber)> find_peer;
  size_t connections_per_peer = 8;
  model::Duration connect_max = std::chrono::seconds(3);
  model::Duration stall_max = std::chrono::seconds(8);
  model::Duration idle_max = std::chrono::seconds(30);
};

class DataPool;

class DataClient final : public ChunkSource {
 public:
  // InvalidArgument: credentials that are none.
  static base::StatusOr<std::unique_ptr<DataClient>> Make(DataClientOptions options,
                                                          DataThreads& threads);
  ~DataClient() override;  // Stop

  // This node, told to a source so that it can say when it frees the object.
  void SetSelf(model::NodeNumber self) { self_ = self; }

  CancelFetch Fetch(model::NodeNumber from, const model::StoredLocation& source, ByteRange range,
                    std::shared_ptr<ChunkSink> sink) override;
  // What runs is cancelled; later fetches are refused.
  void Stop();

 private:
  explicit DataClient(std::shared_ptr<DataPool> pool) : pool_(std::move(pool)) {}

  const std::shared_ptr<DataPool> pool_;
  model::NodeNumber self_;
};

}  // namespace rayx::store
