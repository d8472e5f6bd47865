#include "store/transfer/grpc_chunk_source.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/client_callback.h>
#include <grpcpp/support/slice.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "rayx/detail/error_record.h"
#include "rpc/errors.h"
#include "rpc/methods.h"
#include "scheduling/wire.h"
#include "store/transfer/chunk_wire.h"

namespace rayx::store {
namespace {

// A fetch that crawls is begun again; the plan watches for one that stands still.
constexpr std::chrono::seconds kDeadlineFixed{30};
constexpr uint64_t kBytesPerSecondMin = uint64_t{4} << 20;

std::chrono::system_clock::time_point DeadlineOf(uint64_t bytes) {
  const auto seconds = std::min<uint64_t>(bytes / kBytesPerSecondMin, 24 * 3600);
  return std::chrono::system_clock::now() + kDeadlineFixed + std::chrono::seconds(seconds);
}

// For the error of whoever waits for the object.
std::string Explain(const grpc::Status& status) {
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    return "its transfer crawled and was given up";
  }
  const bool silent = status.error_code() == grpc::StatusCode::UNAVAILABLE;
  return (silent ? "the node's daemon does not answer: " : "its transfer failed: ") +
         rpc::ReasonOf(status);
}

}  // namespace

// Deletes itself when gRPC is done with it.
class GrpcChunkSource::Call final
    : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  Call(std::shared_ptr<Running> running, std::shared_ptr<grpc::Channel> channel,
       std::shared_ptr<ChunkSink> sink)
      : running_(std::move(running)),
        stub_(std::move(channel)),
        context_(std::make_shared<grpc::ClientContext>()),
        sink_(std::move(sink)) {}

  std::shared_ptr<grpc::ClientContext> Start(const proto::PullRequest& request) {
    {
      const std::lock_guard lock(running_->mutex);
      running_->contexts.insert(context_);
    }
    context_->set_deadline(DeadlineOf(request.bytes()));
    const grpc::Slice bytes(request.SerializeAsString());
    outgoing_ = grpc::ByteBuffer(&bytes, 1);
    auto context = context_;
    stub_.PrepareBidiStreamingCall(context_.get(), rpc::kNodePull.path, {}, this);
    StartWriteLast(&outgoing_, grpc::WriteOptions());
    StartRead(&incoming_);
    StartCall();  // from here on this object may end at any time
    return context;
  }

  void OnReadDone(bool ok) override {
    if (!ok) return;  // OnDone says why
    const auto chunk = DecodeChunk(
        incoming_, [this](uint64_t offset, uint64_t bytes) { return sink_->Place(offset, bytes); });
    if (!chunk.ok()) {
      outcome_ = FetchOutcome::kBroken;
      why_ = base::Message(chunk.status());
    } else if (chunk->error) {
      const bool is_lost = chunk->error->code() == static_cast<int32_t>(ErrorCode::kObjectLost);
      outcome_ = is_lost ? FetchOutcome::kLost : FetchOutcome::kBroken;
      why_ = chunk->error->message();
    } else {
      if (!chunk->copies.empty()) sink_->OnCopies(chunk->copies);
      if (chunk->bytes > 0) sink_->OnPlaced();
    }
    if (outcome_ != FetchOutcome::kDone) return context_->TryCancel();
    StartRead(&incoming_);
  }

  void OnDone(const grpc::Status& status) override {
    if (outcome_ == FetchOutcome::kDone && !status.ok()) {
      outcome_ = FetchOutcome::kBroken;
      why_ = Explain(status);
    }
    sink_->OnDone(outcome_, why_);
    const auto running = running_;
    const auto context = context_;
    delete this;
    const std::lock_guard lock(running->mutex);
    running->contexts.erase(context);
    running->changed.notify_all();
  }

 private:
  const std::shared_ptr<Running> running_;
  grpc::GenericStub stub_;
  const std::shared_ptr<grpc::ClientContext> context_;
  const std::shared_ptr<ChunkSink> sink_;
  grpc::ByteBuffer outgoing_;
  grpc::ByteBuffer incoming_;
  FetchOutcome outcome_ = FetchOutcome::kDone;
  std::string why_;
};

GrpcChunkSource::GrpcChunkSource(FindChannel find_channel)
    : find_channel_(std::move(find_channel)), running_(std::make_shared<Running>()) {}

GrpcChunkSource::~GrpcChunkSource() {
  std::unique_lock lock(running_->mutex);
  const auto contexts = running_->contexts;
  lock.unlock();
  for (const auto& context : contexts) context->TryCancel();
  lock.lock();
  running_->changed.wait(lock, [this] { return running_->contexts.empty(); });
}

ChunkSource::CancelFetch GrpcChunkSource::Fetch(model::NodeNumber from,
                                                const model::StoredLocation& source,
                                                ByteRange range, std::shared_ptr<ChunkSink> sink) {
  auto channel = find_channel_(from);
  if (channel == nullptr) {
    sink->OnDone(FetchOutcome::kBroken, "node " + ToString(from) + " is not known here");
    return [] {};
  }
  proto::PullRequest request;
  *request.mutable_source() = scheduling::ToWire(source);
  request.set_offset(range.offset);
  request.set_bytes(range.bytes);
  request.set_chunk_bytes(kChunkBytes);
  request.set_node(self_.value);
  auto* call = new Call(running_, std::move(channel), std::move(sink));
  return [context = call->Start(request)] { context->TryCancel(); };
}

}  // namespace rayx::store
