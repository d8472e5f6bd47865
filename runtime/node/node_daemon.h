// runtime/node/node_daemon.h
//
// The node daemon: grants worker leases, is the parent of all workers, owns the VM's shared memory,
// carries frames and objects between VMs.
// Owner:    bin/ (`rayx node`), one a process.
// Threads:  RunNodeDaemon blocks the main thread, which runs the one event loop and starts all
//           children.
// Promises: returns when it was told to stop (SIGTERM, SIGINT, Node.Stop), when the head is lost or
//           has declared this node dead, never otherwise; no child outlives it; clients are told
//           why.
// Limits:   one a process (it takes SIGTERM, SIGINT and the limit of open files).
#pragma once

#include <functional>
#include <string>

#include "io/address.h"
#include "model/resources.h"
#include "model/time.h"
#include "node/log_folder.h"
#include "rpc/credentials.h"
#include "scheduling/cluster_view.h"

namespace rayx::node {

struct NodeReady {
  model::NodeNumber node;
  std::string cluster;
  io::Address address;  // of its gRPC server
};

struct NodeOptions {
  io::Address head;
  rpc::ClusterCredentials credentials;  // of this node: token, and a certificate where TLS is on
  std::string listen_ip = "127.0.0.1";
  uint16_t port = 0;           // 0 = any free one
  std::string session_folder;  // absolute; exists, with logs/ in it, 0700
  std::string host_name;
  model::ResourceSet resources;
  scheduling::Labels labels;
  uint64_t store_bytes = 0;
  LogLimits log_limits;
  bool beside_head = false;  // started by `start --head`
  // Called once, on the main thread, when drivers can connect. Not called when the start fails.
  std::function<void(const NodeReady&)> on_ready;
  std::chrono::milliseconds register_wait{30000};
  model::Duration head_lost_after = std::chrono::seconds(8);
};

// 0: told to stop. 1: the start failed, or the head was lost; the reason is in the log and in
// `why`.
int RunNodeDaemon(const NodeOptions& options, std::string* why = nullptr);

}  // namespace rayx::node
