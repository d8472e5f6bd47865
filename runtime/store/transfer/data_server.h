// runtime/store/transfer/data_server.h
//
// Sends the bytes of this node's objects to other nodes, straight out of shared memory: the one
// port of the data plane.
// Owner:    the node daemon; outlived by the DataThreads.
// Threads:  constructed, SetStore and Stop on the node loop; connections on data threads, which
//           reach the store by the loop.
// Inputs:   connections of anybody; data_wire.h says what they may say.
// Promises: nobody gets an answer but a verdict, and nothing is allocated for him beyond his
//           connection, before he has shown the cluster's token, in TLS where the cluster has it;
//           who has not by handshake_max is cut off, and of too many such the oldest is. An object
//           is pinned while it is sent, its bytes are not copied on the way to the socket, and who
//           takes none for stall_max is cut off. Every request is answered or its connection
//           closed, also when the loop has stopped.
// Limits:   DataServerOptions.
#pragma once

#include <functional>
#include <memory>

#include "base/fd.h"
#include "io/address.h"
#include "rpc/credentials.h"
#include "store/node_store.h"
#include "store/transfer/data_thread.h"

namespace rayx::store {

struct DataServerOptions {
  std::string ip = "127.0.0.1";
  uint16_t port = 0;                    // 0 = any free one
  rpc::ClusterCredentials credentials;  // TLS: with a certificate
  size_t connections_max = 1024;
  size_t strangers_max = 64;  // of them, without a token yet
  model::Duration handshake_max = std::chrono::seconds(5);
  model::Duration stall_max = std::chrono::seconds(10);
  model::Duration idle_max = std::chrono::seconds(120);  // clients close much sooner
};

class DataServer {
 public:
  using Post = std::function<bool(std::function<void()>)>;

  // A node gets its number, and with it a store, only when it can say where it listens: requests
  // are refused until SetStore. Errors: Unavailable (cannot listen there), InvalidArgument (no such
  // certificate).
  static base::StatusOr<std::unique_ptr<DataServer>> Start(DataServerOptions options,
                                                           DataThreads& threads, Post post);
  void SetStore(NodeStore& store);
  ~DataServer();  // Stop

  const io::Address& address() const { return address_; }
  // Later requests are refused and nobody is accepted any more; what is being sent already goes on
  // until the threads stop.
  void Stop();

 private:
  struct Shared;
  class Listener;
  DataServer(std::shared_ptr<Shared> shared, io::Address address)
      : shared_(std::move(shared)), address_(std::move(address)) {}

  const std::shared_ptr<Shared> shared_;
  const io::Address address_;
  std::shared_ptr<Listener> listener_;
};

}  // namespace rayx::store
