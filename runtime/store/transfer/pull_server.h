// runtime/store/transfer/pull_server.h
//
// Answers Node.Pull: streams an object's bytes out of shared memory.
// Owner:    the node daemon; outlives the RpcServer that it is added to.
// Threads:  constructed and Stopped on the node loop; streams run on gRPC's threads and reach the
//           store by the loop.
// Promises: the object is pinned while it is sent and its bytes are not copied on the way to the
//           transport. A stale location is answered with an ObjectLost message, a wrong range with
//           InvalidArgument. Every call ends, also when the loop has stopped.
#pragma once

#include <functional>
#include <memory>

#include "rpc/server.h"
#include "store/node_store.h"

namespace rayx::store {

class PullServer {
 public:
  using Post = std::function<bool(std::function<void()>)>;

  // `store` is used on the loop only, until Stop.
  PullServer(NodeStore& store, Post post);
  // Without a store, because a node gets its number only when its server has an address: calls are
  // answered UNAVAILABLE until SetStore, which is called on the loop.
  explicit PullServer(Post post);
  void SetStore(NodeStore& store);
  ~PullServer();  // Stop

  // Before server.Start().
  void AddTo(rpc::RpcServer& server);
  // Later calls are answered UNAVAILABLE; those that send already finish.
  void Stop();

 private:
  class Stream;
  struct Shared;
  const std::shared_ptr<Shared> shared_;
};

}  // namespace rayx::store
