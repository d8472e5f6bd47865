// runtime/node/parts/part_server.h
//
// Answers Node.FetchPart: streams a file of a program that this node has.
// Owner:    the node daemon; outlives the RpcServer that it is added to.
// Threads:  AddTo and Stop on the node loop; streams run on gRPC's threads and find their file by
//           the loop.
// Promises: a file is named by its hash, never by a path: what is no part of a program that drivers
//           of this node run, or that this node was to run, is NotFound. Every call ends, also when
//           the loop has stopped.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "node/parts/program_manifest.h"
#include "rpc/server.h"

namespace rayx::node {

class PartServer {
 public:
  using Post = std::function<bool(std::function<void()>)>;
  // Null: there is none. Called on the loop.
  using Find = std::function<std::shared_ptr<const PartFile>(const std::string& sha256)>;

  PartServer(Post post, Find find);
  ~PartServer();  // Stop

  // Before server.Start().
  void AddTo(rpc::RpcServer& server);
  // Later calls are answered UNAVAILABLE; those that send already finish.
  void Stop();

 private:
  class Stream;
  struct Shared;
  const std::shared_ptr<Shared> shared_;
};

}  // namespace rayx::node
