// runtime/store/transfer/data_pool.h
//
// The connections of a data client, and the fetches that wait for one.
// Owner:    the DataClient; shared with its connections.
// Threads:  any.
// Promises: a fetch is in one place at a time: waiting, on its way to a connection, or on it, and
//           whoever has it there ends it. A connection that is idle when its peer's next fetch
//           comes takes that fetch.
// Limits:   connections_per_peer.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "store/transfer/data_client.h"
#include "store/transfer/fetching_connection.h"

namespace rayx::store {

class DataPool : public std::enable_shared_from_this<DataPool> {
 public:
  DataPool(DataClientOptions options, DataThreads& threads,
           std::shared_ptr<const rpc::StreamSecurity> security)
      : options_(std::move(options)), threads_(threads), security_(std::move(security)) {}

  const DataClientOptions& options() const { return options_; }
  const std::shared_ptr<const rpc::StreamSecurity>& security() const { return security_; }

  // On a connection, soon or when one is free.
  void Place(std::shared_ptr<Fetching> fetching);
  void Cancel(const std::shared_ptr<Fetching>& fetching);
  void Stop();

  // A connection without a fetch: its next one. Null: it is idle now.
  std::shared_ptr<Fetching> NextFor(const std::shared_ptr<FetchingConnection>& connection,
                                    model::NodeNumber peer);
  // False: an idle connection has a fetch on its way to it.
  bool TakeBack(const FetchingConnection* connection, model::NodeNumber peer);
  void OnClosed(const FetchingConnection* connection, model::NodeNumber peer);

 private:
  using Connections = std::vector<std::shared_ptr<FetchingConnection>>;
  struct Peer {
    Connections open;
    Connections idle;  // of them; the last one was used last
    std::deque<std::shared_ptr<Fetching>> waiting;
  };
  // Under mutex_. Null: all that there may be are busy.
  std::shared_ptr<FetchingConnection> FreeConnection(Peer& peer, model::NodeNumber number);

  const DataClientOptions options_;
  DataThreads& threads_;
  const std::shared_ptr<const rpc::StreamSecurity> security_;
  std::mutex mutex_;
  std::map<model::NodeNumber, Peer> peers_;  // under mutex_
  bool is_stopped_ = false;                  // under mutex_
};

}  // namespace rayx::store
