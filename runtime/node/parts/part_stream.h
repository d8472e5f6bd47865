// runtime/node/parts/part_stream.h
//
// One transfer of a part, out of Node.FetchPart of another daemon or an own file.
// Owner:    ProgramParts.
// Threads:  Run on a thread that may wait; Cancel and progress from any.
// Promises: Run ends by its deadline, soon after Cancel, and with the first byte too many.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "base/status.h"
#include "proto/node.pb.h"

namespace grpc {
class Channel;
class ClientContext;
}  // namespace grpc

namespace rayx::node {

class PartStream {
 public:
  using Sink = std::function<base::Status(std::string_view)>;

  PartStream();
  ~PartStream();

  // The peer's error, or the sink's.
  base::Status Run(std::shared_ptr<grpc::Channel> channel, const proto::PartRequest& request,
                   uint64_t bytes, const Sink& sink);
  void Cancel();
  bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }
  // Grows while it runs and is served.
  uint64_t progress() const { return progress_.load(std::memory_order_relaxed); }
  bool running() const { return running_.load(std::memory_order_relaxed); }

 private:
  const std::unique_ptr<grpc::ClientContext> context_;
  std::atomic<uint64_t> progress_{0};
  std::atomic<bool> cancelled_{false};
  std::atomic<bool> running_{false};
};

}  // namespace rayx::node
