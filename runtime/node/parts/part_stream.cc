#include "node/parts/part_stream.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <chrono>
#include <utility>

#include "proto/node.grpc.pb.h"
#include "rpc/errors.h"

namespace rayx::node {
namespace {

constexpr std::chrono::seconds kDeadlineFixed{30};
constexpr uint64_t kBytesPerSecondMin = uint64_t{4} << 20;

}  // namespace

PartStream::PartStream() : context_(std::make_unique<grpc::ClientContext>()) {}
PartStream::~PartStream() = default;

void PartStream::Cancel() {
  cancelled_ = true;
  context_->TryCancel();
}

base::Status PartStream::Run(std::shared_ptr<grpc::Channel> channel,
                             const proto::PartRequest& request, uint64_t bytes, const Sink& sink) {
  context_->set_deadline(std::chrono::system_clock::now() + kDeadlineFixed +
                         std::chrono::seconds(bytes / kBytesPerSecondMin));
  running_ = true;
  const auto stub = proto::Node::NewStub(std::move(channel));
  const auto reader = stub->FetchPart(context_.get(), request);
  base::Status outcome;
  proto::PartChunk chunk;
  uint64_t offset = 0;
  while (outcome.ok() && reader->Read(&chunk)) {
    if (chunk.offset() != offset || chunk.data().empty() || chunk.data().size() > bytes - offset) {
      outcome = absl::DataLossError("the chunks are not those of the part");
    } else {
      outcome = sink(chunk.data());
      offset += chunk.data().size();
      progress_.fetch_add(chunk.data().size(), std::memory_order_relaxed);
    }
  }
  if (!outcome.ok()) context_->TryCancel();
  const grpc::Status status = reader->Finish();
  running_ = false;
  if (!outcome.ok() || status.ok()) return outcome;
  return base::MakeStatus(static_cast<absl::StatusCode>(status.error_code()),
                          rpc::ReasonOf(status));
}

}  // namespace rayx::node
