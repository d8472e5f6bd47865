#include "store/transfer/data_client.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "rpc/secret.h"
#include "store/transfer/data_pool.h"

namespace rayx::store {
namespace {

bool Holds(const std::vector<std::shared_ptr<FetchingConnection>>& connections,
           const FetchingConnection* connection) {
  return std::any_of(connections.begin(), connections.end(),
                     [connection](const auto& held) { return held.get() == connection; });
}

void Remove(std::vector<std::shared_ptr<FetchingConnection>>& connections,
            const FetchingConnection* connection) {
  std::erase_if(connections, [connection](const auto& held) { return held.get() == connection; });
}

void Give(const std::shared_ptr<FetchingConnection>& connection,
          std::shared_ptr<Fetching> fetching) {
  connection->thread().Post(
      [connection, fetching = std::move(fetching)] { connection->Begin(fetching); });
}

}  // namespace

// --- The pool ---

std::shared_ptr<FetchingConnection> DataPool::FreeConnection(Peer& peer, model::NodeNumber number) {
  if (!peer.idle.empty()) {
    auto connection = std::move(peer.idle.back());
    peer.idle.pop_back();
    return connection;
  }
  if (peer.open.size() >= options_.connections_per_peer) return nullptr;
  return peer.open.emplace_back(
      std::make_shared<FetchingConnection>(threads_.Next(), shared_from_this(), number));
}

void DataPool::Place(std::shared_ptr<Fetching> fetching) {
  std::unique_lock lock(mutex_);
  // One that comes back from a connection that has closed may have been cancelled meanwhile.
  if (is_stopped_ || fetching->is_cancelled) {
    const char* why = is_stopped_ ? "this node is stopping" : "it was cancelled";
    lock.unlock();
    return fetching->Done(FetchOutcome::kBroken, why);
  }
  Peer& peer = peers_[fetching->from];
  const auto connection = FreeConnection(peer, fetching->from);
  if (connection == nullptr) {
    peer.waiting.push_back(std::move(fetching));
    return;
  }
  fetching->on = connection;
  lock.unlock();
  Give(connection, std::move(fetching));
}

void DataPool::Cancel(const std::shared_ptr<Fetching>& fetching) {
  fetching->is_cancelled = true;
  std::shared_ptr<FetchingConnection> connection;
  {
    const std::lock_guard lock(mutex_);
    const auto peer = peers_.find(fetching->from);
    const bool was_waiting = peer != peers_.end() && std::erase(peer->second.waiting, fetching) > 0;
    if (!was_waiting) {
      connection = fetching->on.lock();
      if (connection == nullptr) return;  // it has ended
    }
  }
  if (connection == nullptr) {
    fetching->Done(FetchOutcome::kBroken, "it was cancelled");
  } else {
    connection->thread().Post([connection, fetching] { connection->Cancel(fetching); });
  }
}

std::shared_ptr<Fetching> DataPool::NextFor(const std::shared_ptr<FetchingConnection>& connection,
                                            model::NodeNumber peer) {
  const std::lock_guard lock(mutex_);
  const auto at = peers_.find(peer);
  if (at == peers_.end()) return nullptr;  // it is being closed
  if (at->second.waiting.empty()) {
    at->second.idle.push_back(connection);
    return nullptr;
  }
  auto fetching = std::move(at->second.waiting.front());
  at->second.waiting.pop_front();
  fetching->on = connection;
  return fetching;
}

bool DataPool::TakeBack(const FetchingConnection* connection, model::NodeNumber peer) {
  const std::lock_guard lock(mutex_);
  const auto at = peers_.find(peer);
  if (at == peers_.end()) return true;
  if (!Holds(at->second.idle, connection)) return false;
  Remove(at->second.idle, connection);
  return true;
}

void DataPool::OnClosed(const FetchingConnection* connection, model::NodeNumber peer) {
  std::shared_ptr<FetchingConnection> next;
  std::shared_ptr<Fetching> fetching;
  {
    const std::lock_guard lock(mutex_);
    const auto at = peers_.find(peer);
    if (at == peers_.end()) return;
    Remove(at->second.open, connection);
    Remove(at->second.idle, connection);
    if (!at->second.waiting.empty()) {
      next = FreeConnection(at->second, peer);
      if (next == nullptr) return;
      fetching = std::move(at->second.waiting.front());
      at->second.waiting.pop_front();
      fetching->on = next;
    } else if (at->second.open.empty()) {
      peers_.erase(at);
    }
  }
  if (next != nullptr) Give(next, std::move(fetching));
}

void DataPool::Stop() {
  std::map<model::NodeNumber, Peer> peers;
  {
    const std::lock_guard lock(mutex_);
    is_stopped_ = true;
    peers.swap(peers_);
  }
  for (auto& [number, peer] : peers) {
    for (const auto& connection : peer.open) {
      connection->thread().Post([connection] { connection->Close("this node is stopping"); });
    }
    for (const auto& fetching : peer.waiting) {
      fetching->Done(FetchOutcome::kBroken, "this node is stopping");
    }
  }
}

// --- The client ---

base::StatusOr<std::unique_ptr<DataClient>> DataClient::Make(DataClientOptions options,
                                                             DataThreads& threads) {
  RAYX_CHECK(rpc::IsToken(options.credentials.token), "a client has a token");
  RAYX_ASSIGN_OR_RETURN(auto security,
                        rpc::StreamSecurity::OfClient(options.credentials, rpc::Role::kNode));
  return std::unique_ptr<DataClient>(
      new DataClient(std::make_shared<DataPool>(std::move(options), threads, std::move(security))));
}

DataClient::~DataClient() {
  Stop();
}

void DataClient::Stop() {
  pool_->Stop();
}

ChunkSource::CancelFetch DataClient::Fetch(model::NodeNumber from,
                                           const model::StoredLocation& source, ByteRange range,
                                           std::shared_ptr<ChunkSink> sink) {
  const auto peer = pool_->options().find_peer(from);
  if (!peer) {
    sink->OnDone(FetchOutcome::kBroken, "node " + ToString(from) + " is not known here");
    return [] {};
  }
  DataRequest request;
  request.source = source;
  request.offset = range.offset;
  request.bytes = range.bytes;
  request.asker = self_.value;
  auto fetching = std::make_shared<Fetching>(from, *peer, request, std::move(sink));
  const std::weak_ptr<Fetching> running = fetching;
  pool_->Place(std::move(fetching));
  return [pool = pool_, running] {
    if (const auto still = running.lock()) pool->Cancel(still);
  };
}

}  // namespace rayx::store
