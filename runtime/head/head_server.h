// runtime/head/head_server.h
//
// The head as a server: gRPC calls -> one loop -> HeadCore -> effects.
// Owner:    whoever runs a head (`rayx head`, a test).
// Threads:  one loop thread of its own runs core, storage and effects; gRPC's threads decode and
//           hand over; Start, Stop and address from the owner's thread.
// Inputs:   the calls of proto/head.proto, authorised by RpcServer.
// Outputs:  answers; StartActor, StopActor, JobEnded and Stop to node daemons, repeated until they
//           are acknowledged or their time is over.
// Promises: what a step persists is applied before its answers leave. Stop tells every live node,
//           ends every waiting call and returns within about 3 s.
// Limits:   those of HeadCore and RpcServer.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/status.h"
#include "head/core/head_core.h"
#include "head/storage/head_storage.h"
#include "io/address.h"
#include "rpc/certificate.h"
#include "rpc/credentials.h"

namespace rayx::head {

struct HeadServerOptions {
  std::string ip = "127.0.0.1";
  uint16_t port = 0;  // 0 = any free one
  rpc::ClusterCredentials credentials;
  // Signs the certificates of joining nodes; none = the cluster has no TLS.
  std::shared_ptr<const rpc::CertificateAuthority> authority;
  HeadCoreOptions core;
  // Called once, on a thread of ours, when a Stop call or a failing store asks for the end. The
  // owner then calls HeadServer::Stop.
  std::function<void(const std::string& reason)> on_stop_asked;
};

class HeadServer {
 public:
  static base::StatusOr<std::unique_ptr<HeadServer>> Start(HeadServerOptions options,
                                                           std::unique_ptr<HeadStorage> storage);
  ~HeadServer();  // Stop("")

  const io::Address& address() const;
  void Stop(const std::string& reason);

 private:
  class Impl;
  explicit HeadServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace rayx::head
