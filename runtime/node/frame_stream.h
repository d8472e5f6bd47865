// runtime/node/frame_stream.h
//
// One connection of a frame stream (Node.Frames): the sending daemon opens it and writes frames,
// the receiving one writes acknowledgements.
// Owner:    PeerNodes, both directions.
// Threads:  reactors run on gRPC's threads and touch only themselves and the hand-over; Write,
//           Cancel and Acknowledge are called on the node loop.
// Promises: callbacks are posted to the loop, in order; after Cancel none that matters follows
//           (they carry the connection's number). WaitForAll returns when no reactor is left.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "base/status.h"
#include "io/loop.h"
#include "proto/node.grpc.pb.h"
#include "rpc/channel.h"
#include "rpc/server_stream.h"

namespace rayx::node {

// Counts reactors, so that the loop outlives them.
class ReactorCount {
 public:
  void Add();
  void Remove();
  void WaitForAll();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int count_ = 0;
};

struct OutgoingStreamEvents {
  std::function<void(uint64_t connection, proto::FrameBatch)> on_message;
  std::function<void(uint64_t connection)> on_written;
  std::function<void(uint64_t connection, const base::Status&)> on_end;
};

// The client end of another daemon's service. Here, because only this file knows gRPC.
std::unique_ptr<proto::Node::Stub> MakeNodeStub(const rpc::RpcChannel& channel);

// Deletes itself after on_end.
class OutgoingStream final : public grpc::ClientBidiReactor<proto::FrameBatch, proto::FrameBatch> {
 public:
  OutgoingStream(io::Loop& loop, std::shared_ptr<ReactorCount> count, uint64_t connection,
                 std::shared_ptr<const OutgoingStreamEvents> events);
  void Open(proto::Node::Stub& stub);

  // One write at a time: wait for on_written.
  void Write(proto::FrameBatch batch);
  // No Write afterwards. Once.
  void Cancel();

 private:
  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

  io::Loop& loop_;
  const std::shared_ptr<ReactorCount> count_;
  const uint64_t connection_;
  const std::shared_ptr<const OutgoingStreamEvents> events_;
  grpc::ClientContext context_;
  proto::FrameBatch incoming_;
  proto::FrameBatch outgoing_;
};

class IncomingStream;

// The loop's hold on an incoming connection, which may end at any time. Calls for one that has
// ended, or was closed, do nothing.
class IncomingHandle {
 public:
  // Writes the acknowledgement, soon; a later one replaces or joins one that waits.
  void Acknowledge(const proto::FrameBatch& batch);
  void Close(const base::Status& why);

 private:
  friend class IncomingStream;
  std::mutex mutex_;
  IncomingStream* stream_ = nullptr;  // none: ended
  bool writing_ = false;
  bool closed_ = false;
  std::optional<proto::FrameBatch> waiting_;
};

struct IncomingStreamEvents {
  std::function<void(const std::shared_ptr<IncomingHandle>&, std::shared_ptr<proto::FrameBatch>)>
      on_message;
  std::function<void(const std::shared_ptr<IncomingHandle>&)> on_end;
};

class IncomingStream final : public rpc::ServerStream<proto::FrameBatch, proto::FrameBatch> {
 public:
  IncomingStream(io::Loop& loop, std::shared_ptr<const IncomingStreamEvents> events);
  void OnOpen() override { Read(); }

 private:
  friend class IncomingHandle;
  void OnMessage(proto::FrameBatch& message) override;
  void OnEnd() override;
  void OnMalformed(const base::Status& why) override;
  void OnWritten(bool ok) override;
  void OnDone() override;

  io::Loop& loop_;
  const std::shared_ptr<const IncomingStreamEvents> events_;
  const std::shared_ptr<IncomingHandle> handle_ = std::make_shared<IncomingHandle>();
};

}  // namespace rayx::node
