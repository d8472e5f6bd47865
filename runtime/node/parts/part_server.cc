#include "node/parts/part_server.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "proto/node.pb.h"
#include "rpc/methods.h"
#include "rpc/server_stream.h"

namespace rayx::node {
namespace {

constexpr uint64_t kChunkBytes = uint64_t{1} << 20;

}  // namespace

struct PartServer::Shared {
  Post post;
  Find find;  // on the loop; empty after Stop
};

class PartServer::Stream final : public rpc::ServerStream<proto::PartRequest, proto::PartChunk> {
 public:
  explicit Stream(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}

  void OnOpen() override { Read(); }

 private:
  // Somebody's duty to answer: a call that the loop dropped is answered too.
  struct Duty {
    explicit Duty(Stream* its_stream) : stream(its_stream) {}
    ~Duty() {
      if (stream != nullptr) stream->Close(absl::UnavailableError("the node is stopping"));
    }
    Stream* stream;
  };

  void OnMessage(proto::PartRequest& request) override {
    shared_->post(
        [shared = shared_, duty = std::make_shared<Duty>(this), sha256 = request.sha256()] {
          if (!shared->find) return;
          auto file = shared->find(sha256);
          std::exchange(duty->stream, nullptr)->Begin(std::move(file));
        });
  }
  void OnEnd() override { Close(absl::InvalidArgumentError("a call without a request")); }

  void Begin(std::shared_ptr<const PartFile> file) {
    if (file == nullptr) {
      return Close(absl::NotFoundError("it has no such part"));
    }
    file_ = std::move(file);
    WriteNext();
  }

  void OnWritten(bool ok) override {
    if (!ok) return Close(absl::CancelledError("the reader has gone"));
    WriteNext();
  }

  void WriteNext() {
    const uint64_t bytes = std::min(file_->bytes - sent_, kChunkBytes);
    if (bytes == 0) return Close(base::OkStatus());
    chunk_.set_offset(sent_);
    std::string& data = *chunk_.mutable_data();
    data.resize(bytes);
    const ssize_t got = ::pread(file_->fd.get(), data.data(), bytes, static_cast<off_t>(sent_));
    if (got <= 0) return Close(absl::DataLossError("the file has become shorter"));
    data.resize(static_cast<size_t>(got));
    sent_ += static_cast<uint64_t>(got);
    Write(chunk_);
  }

  const std::shared_ptr<Shared> shared_;
  std::shared_ptr<const PartFile> file_;
  uint64_t sent_ = 0;
  proto::PartChunk chunk_;
};

PartServer::PartServer(Post post, Find find)
    : shared_(std::make_shared<Shared>(Shared{std::move(post), std::move(find)})) {}

PartServer::~PartServer() {
  Stop();
}

void PartServer::Stop() {
  shared_->find = nullptr;
}

void PartServer::AddTo(rpc::RpcServer& server) {
  server.HandleStream<proto::PartRequest, proto::PartChunk>(
      rpc::kNodeFetchPart,
      [shared = shared_]() -> rpc::ServerStreamBase* { return new Stream(shared); });
}

}  // namespace rayx::node
