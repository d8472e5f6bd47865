// runtime/store/transfer/serving_connection.h
//
// One client of the data server, from its greeting on.
// Owner:    its data thread.
// Threads:  its data thread; a ServedObject comes from the node loop by Post.
// Promises: those of data_server.h. One request at a time; while one is answered the next is not
//           read, so that a client makes nobody keep anything for it.
// Limits:   kDataTurnBytes a turn.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "store/node_store.h"
#include "store/transfer/data_thread.h"
#include "store/transfer/data_wire.h"

namespace rayx::store {

class ServingConnection final : public DataConnection {
 public:
  struct Limits {
    model::Duration handshake_max;
    model::Duration stall_max;
    model::Duration idle_max;
  };
  struct Events {
    std::string token;
    // Asks the store, on the node loop. One of Begin and Refuse follows, on the data thread.
    std::function<void(std::shared_ptr<ServingConnection>, const DataRequest&)> on_request;
    std::function<void(ServingConnection*)> on_known;   // it has shown the token
    std::function<void(ServingConnection*)> on_closed;  // on_known may not have come
  };

  // `events` outlives it.
  ServingConnection(DataThread& thread, const Limits& limits, std::shared_ptr<const Events> events)
      : DataConnection(thread), limits_(limits), events_(std::move(events)) {}
  ~ServingConnection() override = default;

  // Closes itself when it cannot be watched.
  void Begin(std::unique_ptr<rpc::ByteStream> stream);
  void Answer(std::shared_ptr<const ServedObject> object);
  void Refuse(DataAnswer answer, std::string_view why);

 private:
  enum class Phase : uint8_t { kHandshake, kGreeting, kVerdict, kRequest, kAsking, kSending };

  Next Advance() override;
  void OnTick(model::TimePoint now) override;
  void OnClosed(std::string_view why) override;

  // Until `room` is full; kDone then.
  rpc::StreamStep Fill(std::span<std::byte> room);
  // Until `left` is empty; false: step says why not.
  bool Send(std::span<const std::byte>& left, size_t& turn, rpc::StreamStep& step);
  // Nothing: it goes on.
  std::optional<Next> OnGreeting();
  std::optional<Next> Write();
  void PutHead(const DataHead& head, std::span<const std::byte> behind);
  void Enter(Phase phase);

  const Limits limits_;
  const std::shared_ptr<const Events> events_;
  Phase phase_ = Phase::kHandshake;
  model::TimePoint last_progress_{};  // of this phase: its beginning, or bytes
  DataGreeting greeting_;
  DataRequest request_;
  size_t filled_ = 0;  // bytes of greeting_ or request_
  DataVerdict verdict_ = DataVerdict::kWelcome;
  bool is_known_ = false;
  // The answer.
  std::array<std::byte, sizeof(DataHead) + kRefusalBytesMax> head_;
  std::span<const std::byte> head_left_;  // to be sent, then
  std::span<const std::byte> body_left_;
  std::shared_ptr<const ServedObject> object_;  // pinned while body_left_ is its
};

}  // namespace rayx::store
