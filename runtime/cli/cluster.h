// runtime/cli/cluster.h
//
// The command line's way to the cluster of this VM's session.
// Owner:    one command.
// Threads:  one; calls wait.
// Promises: an error says whether there is no session, why the last one ended, or that the head
//           does not answer.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "io/session_folder.h"
#include "proto/head.pb.h"
#include "proto/node.pb.h"
#include "rpc/channel.h"

namespace rayx::cli {

// Daemons that work answer within it: all calls of a command together.
constexpr std::chrono::milliseconds kAnswerWait(4000);

class Cluster {
 public:
  // Of this user's running session; several are an error that names them.
  static base::StatusOr<std::unique_ptr<Cluster>> Connect();

  const io::SessionInfo& session() const { return session_; }
  base::StatusOr<proto::StatusReply> Status(std::chrono::milliseconds wait = kAnswerWait);
  // Of every live node, all asked at once; what could not be asked is told in `problems`.
  base::StatusOr<std::vector<proto::NodeState>> NodeStates(std::vector<std::string>& problems);
  // Asks the head where the node is, then the node: twice `wait` at most.
  base::StatusOr<proto::NodeState> StateOf(uint32_t node,
                                           std::chrono::milliseconds wait = kAnswerWait);
  base::StatusOr<proto::LogReply> Logs(uint32_t node, const std::string& file, uint32_t tail_lines);

 private:
  Cluster(io::SessionInfo session, rpc::ClusterCredentials credentials, const io::Address& head);
  base::StatusOr<std::unique_ptr<rpc::RpcChannel>> NodeChannel(const proto::NodeInfo& node) const;
  // Of a live node.
  base::StatusOr<std::unique_ptr<rpc::RpcChannel>> NodeChannel(uint32_t number,
                                                               std::chrono::milliseconds wait);

  // For a call that may take `wait`; a moment at least.
  rpc::CallOptions Within(std::chrono::milliseconds wait) const;

  const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  const io::SessionInfo session_;
  const rpc::ClusterCredentials credentials_;
  rpc::RpcChannel head_;
};

}  // namespace rayx::cli
