#include "store/transfer/pull_server.h"

#include <algorithm>
#include <utility>

#include "proto/node.pb.h"
#include "rpc/errors.h"
#include "rpc/methods.h"
#include "rpc/server_stream.h"
#include "scheduling/wire.h"
#include "store/transfer/chunk_wire.h"

namespace rayx::store {
namespace {

constexpr uint64_t kChunkBytesMin = 4096;
constexpr uint64_t kChunkBytesMax = uint64_t{4} << 20;

}  // namespace

struct PullServer::Shared {
  Post post;
  NodeStore* store = nullptr;  // on the loop; null after Stop
};

class PullServer::Stream final : public rpc::ServerStream<proto::PullRequest, proto::PullChunk> {
 public:
  explicit Stream(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}

  void OnOpen() override { Read(); }

  // On the loop. The call waits for one of these two.
  void Begin(ServedObject object) {
    range_ = object.range();
    object_ = std::make_shared<const ServedObject>(std::move(object));
    WriteNext();
  }
  void Refuse(const base::Status& why) {
    if (why.code() == base::StatusCode::kInvalidArgument) return Close(why);
    const ErrorCode code = ErrorCodeOf(why);
    if (code != ErrorCode::kObjectLost) return Close(why);
    proto::PullChunk chunk;
    *chunk.mutable_error() = rpc::MakeErrorInfo(code, std::string(base::Message(why)));
    Write(chunk);
  }

 private:
  // Somebody's duty to answer: a call that the loop dropped is answered too.
  class Duty {
   public:
    explicit Duty(Stream* stream) : stream_(stream) {}
    ~Duty() {
      if (stream_ != nullptr) stream_->Close(absl::UnavailableError("the node is stopping"));
    }
    Stream* Take() { return std::exchange(stream_, nullptr); }

   private:
    Stream* stream_;
  };

  void OnMessage(proto::PullRequest& request) override {
    range_ = {request.offset(), request.bytes()};
    chunk_bytes_ =
        request.chunk_bytes() == 0
            ? kChunkBytes
            : std::clamp<uint64_t>(request.chunk_bytes(), kChunkBytesMin, kChunkBytesMax);
    shared_->post([shared = shared_, duty = std::make_shared<Duty>(this),
                   source = scheduling::FromWire(request.source()), range = range_,
                   asker = model::NodeNumber{request.node()}] {
      if (shared->store == nullptr) return;
      auto object = shared->store->Serve(source, range, asker);
      if (object.ok()) {
        duty->Take()->Begin(*std::move(object));
      } else {
        duty->Take()->Refuse(object.status());
      }
    });
  }
  void OnEnd() override { Close(absl::InvalidArgumentError("a pull without a request")); }

  void OnWritten(bool ok) override {
    if (!ok) return Close(absl::CancelledError("the reader has gone"));
    if (object_ == nullptr) return Close(base::OkStatus());  // the refusal is on its way
    WriteNext();
  }

  void WriteNext() {
    if (range_.bytes == 0) return Close(base::OkStatus());
    const uint64_t bytes = std::min(range_.bytes, chunk_bytes_ - range_.offset % chunk_bytes_);
    const auto data = object_->Read(range_.offset, bytes);
    outgoing_ = EncodeChunk(
        range_.offset, *data, object_,
        std::exchange(tells_copies_, false) ? object_->copies() : std::vector<model::NodeNumber>());
    range_ = {range_.offset + bytes, range_.bytes - bytes};
    StartWrite(&outgoing_);
  }

  const std::shared_ptr<Shared> shared_;
  ByteRange range_;  // still to be sent
  uint64_t chunk_bytes_ = kChunkBytes;
  bool tells_copies_ = true;  // with the first chunk
  std::shared_ptr<const ServedObject> object_;
};

PullServer::PullServer(NodeStore& store, Post post)
    : shared_(std::make_shared<Shared>(Shared{std::move(post), &store})) {}

PullServer::PullServer(Post post)
    : shared_(std::make_shared<Shared>(Shared{std::move(post), nullptr})) {}

void PullServer::SetStore(NodeStore& store) {
  shared_->store = &store;
}

PullServer::~PullServer() {
  Stop();
}

void PullServer::Stop() {
  shared_->store = nullptr;
}

void PullServer::AddTo(rpc::RpcServer& server) {
  server.HandleStream<proto::PullRequest, proto::PullChunk>(
      rpc::kNodePull,
      [shared = shared_]() -> rpc::ServerStreamBase* { return new Stream(shared); });
}

}  // namespace rayx::store
