// runtime/store/transfer/fetching_connection.h
//
// One connection to a data server: brings one fetch after the other.
// Owner:    its data thread; the pool knows the idle ones.
// Threads:  its data thread, but for what says otherwise.
// Promises: those of data_client.h.
// Limits:   kDataTurnBytes a turn.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "io/address.h"
#include "store/chunk_source.h"
#include "store/transfer/data_thread.h"
#include "store/transfer/data_wire.h"

namespace rayx::store {

class DataPool;
class FetchingConnection;

// A fetch on its way to its end. Whoever drops it has ended it.
class Fetching {
 public:
  Fetching(model::NodeNumber from, io::Address peer, const DataRequest& request,
           std::shared_ptr<ChunkSink> sink)
      : from(from), peer(std::move(peer)), request(request), sink_(std::move(sink)) {}
  ~Fetching() { Done(FetchOutcome::kBroken, "this node is stopping"); }

  // The first time only.
  void Done(FetchOutcome outcome, std::string_view why) {
    if (const auto sink = std::exchange(sink_, nullptr)) sink->OnDone(outcome, why);
  }
  ChunkSink& sink() { return *sink_; }
  ByteRange range() const { return {request.offset, request.bytes}; }

  const model::NodeNumber from;
  const io::Address peer;
  const DataRequest request;
  std::atomic<bool> is_cancelled{false};
  bool was_repeated = false;               // on another connection
  std::weak_ptr<FetchingConnection> on{};  // under the pool's mutex

 private:
  std::shared_ptr<ChunkSink> sink_;
};

class FetchingConnection final : public DataConnection {
 public:
  FetchingConnection(DataThread& thread, std::shared_ptr<DataPool> pool, model::NodeNumber peer)
      : DataConnection(thread), pool_(std::move(pool)), peer_(peer) {}
  ~FetchingConnection() override = default;

  // It is idle or new.
  void Begin(std::shared_ptr<Fetching> fetching);
  // Of a fetch that may have left it.
  void Cancel(const std::shared_ptr<Fetching>& fetching);

 private:
  enum class Phase : uint8_t { kHandshake, kAsking, kWelcome, kHead, kBehind, kBytes, kIdle };

  Next Advance() override;
  void OnTick(model::TimePoint now) override;
  void OnClosed(std::string_view why) override;

  void Start(std::shared_ptr<Fetching> fetching);
  bool Connect();
  // Until `room` is full; kDone then.
  rpc::StreamStep Fill(std::span<std::byte> room);
  // Nothing: it goes on.
  std::optional<Next> Ask();
  std::optional<Next> OnWelcome();
  std::optional<Next> OnHead();
  std::optional<Next> OnBehind();
  std::optional<Next> ReadBytes(size_t& turn);
  std::optional<Next> Finish(FetchOutcome outcome, std::string_view why);
  Next ReadIdle();
  Next Fail(std::string why);  // the peer has broken the rules
  void Enter(Phase phase);
  // The room of what the head has announced before bytes.
  std::span<std::byte> Behind();

  const std::shared_ptr<DataPool> pool_;
  const model::NodeNumber peer_;
  Phase phase_ = Phase::kHandshake;
  std::shared_ptr<Fetching> fetching_;
  model::TimePoint began_{};          // the fetch
  model::TimePoint last_progress_{};  // bytes, or the fetch began
  bool is_greeted_ = false;           // the peer has said welcome
  bool is_answered_ = false;          // a byte of this fetch has come
  bool is_failure_ = false;           // it closes for another reason than the peer's silence
  std::array<std::byte, sizeof(DataGreeting) + sizeof(DataRequest)> out_;
  std::span<const std::byte> out_left_;
  size_t filled_ = 0;  // bytes of the message that is read
  DataWelcome welcome_;
  DataHead head_;
  std::array<std::byte, kRefusalBytesMax> behind_;
  uint64_t next_ = 0;             // of the object: what comes next
  uint64_t end_ = 0;              // of what the peer announced
  std::span<std::byte> place_{};  // of the chunk that comes: what is not filled
};

}  // namespace rayx::store
