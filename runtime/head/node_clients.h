// runtime/head/node_clients.h
//
// The head's calls to node daemons.
// Owner:    HeadServer.
// Threads:  its loop; answers are posted to it.
// Promises: every call is repeated until it is acknowledged, its time is over or the node is
//           forgotten; the outcome of StartActor is told once.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "head/core/effects.h"
#include "io/loop.h"
#include "model/ids.h"
#include "rpc/channel.h"

namespace rayx::head {

class NodeClients {
 public:
  // Of StartActor; `definite`: the node itself answered.
  using StartAnswer = std::function<void(model::ActorId id, uint32_t incarnation,
                                         const proto::ErrorInfo& error, bool definite)>;

  NodeClients(rpc::ClusterCredentials credentials, std::shared_ptr<io::Loop> loop,
              StartAnswer on_start_answered);

  void Add(model::NodeNumber node, const io::Address& address);
  void Forget(model::NodeNumber node);  // open calls end

  void Send(const StartActor& start);
  void Send(const StopActor& stop);
  void SendJobEnded(uint32_t job);  // to all
  // `done` once, on the loop.
  void SendStop(model::NodeNumber node, const std::string& reason, std::function<void()> done);

 private:
  rpc::RpcChannel* Find(model::NodeNumber node) const;

  const rpc::ClusterCredentials credentials_;
  const std::shared_ptr<io::Loop> loop_;  // shared: late answers post to it
  const StartAnswer on_start_answered_;
  std::map<model::NodeNumber, std::unique_ptr<rpc::RpcChannel>> channels_;
};

}  // namespace rayx::head
