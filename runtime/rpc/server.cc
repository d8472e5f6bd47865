#include "rpc/server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <string_view>
#include <unordered_map>

#include <grpcpp/resource_quota.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/fd.h"
#include "rpc/errors.h"
#include "rpc/grpc_process.h"
#include "rpc/secret.h"
#include "rpc/server_stream.h"

namespace rayx::rpc {
namespace server_internal {

// A call that is refused without reading from it.
class RefusedCall final : public grpc::ServerGenericBidiReactor {
 public:
  explicit RefusedCall(const base::Status& status) { Finish(ToGrpc(status)); }
  void OnDone() override { delete this; }
};

// Reads one message, hands it to the handler, writes one answer.
class UnaryCall final : public grpc::ServerGenericBidiReactor {
 public:
  UnaryCall(const UnaryHandler& handler, std::atomic<int>& open) : handler_(handler), open_(open) {
    StartRead(&request_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) return Fail(absl::InvalidArgumentError("the call has no message, or one too large"));
    const auto message = handler_.make_request();
    grpc::ProtoBufferReader reader(&request_);
    const bool parsed = reader.status().ok() && message->ParseFromZeroCopyStream(&reader);
    request_.Clear();
    if (!parsed)
      return Fail(absl::InvalidArgumentError("bytes that are no message of this method"));
    handler_.handle(*message, RawResponder(this));
  }

  void Reply(const google::protobuf::MessageLite& reply) {
    bool own = false;
    const grpc::Status status =
        grpc::GenericSerialize<grpc::ProtoBufferWriter, google::protobuf::MessageLite>(
            reply, &reply_, &own);
    if (!status.ok()) return Finish(status);
    StartWriteAndFinish(&reply_, grpc::WriteOptions(), grpc::Status::OK);
  }
  void Fail(const base::Status& status) { Finish(ToGrpc(status)); }

  void OnDone() override {
    open_.fetch_sub(1, std::memory_order_relaxed);
    delete this;
  }

 private:
  const UnaryHandler& handler_;
  std::atomic<int>& open_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer reply_;
};

RawResponder::~RawResponder() {
  if (call_ != nullptr) Fail(absl::UnavailableError("the server is stopping"));
}
void RawResponder::Reply(const google::protobuf::MessageLite& reply) {
  RAYX_CHECK(call_ != nullptr, "a call is answered once");
  std::exchange(call_, nullptr)->Reply(reply);
}
void RawResponder::Fail(const base::Status& status) {
  RAYX_CHECK(call_ != nullptr, "a call is answered once");
  std::exchange(call_, nullptr)->Fail(status);
}

class Dispatcher final : public grpc::CallbackGenericService {
 public:
  explicit Dispatcher(const ServerOptions& options)
      : expected_(absl::StrCat("Bearer ", options.credentials.token)),
        calls_max_(options.calls_max) {
    RAYX_CHECK(IsToken(options.credentials.token), "a server has a token");
  }

  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* call) override {
    const base::Status authorised = Authorise(*call);
    if (!authorised.ok()) return new RefusedCall(authorised);
    if (stopping.load(std::memory_order_acquire)) {
      return new RefusedCall(absl::UnavailableError("the server is stopping"));
    }
    if (const auto stream = streams.find(call->method()); stream != streams.end()) {
      ServerStreamBase* reactor = stream->second();
      reactor->OnOpen();
      return reactor;
    }
    const auto unary = unaries.find(call->method());
    if (unary == unaries.end()) {
      return new RefusedCall(
          absl::UnimplementedError(absl::StrCat("no method ", call->method().substr(0, 200))));
    }
    if (call->deadline() == std::chrono::system_clock::time_point::max()) {
      return new RefusedCall(absl::InvalidArgumentError("a call needs a deadline"));
    }
    if (open_.fetch_add(1, std::memory_order_relaxed) >= calls_max_) {
      open_.fetch_sub(1, std::memory_order_relaxed);
      return new RefusedCall(
          absl::ResourceExhaustedError(absl::StrCat("more than ", calls_max_, " calls are open")));
    }
    return new UnaryCall(unary->second, open_);
  }

  std::unordered_map<std::string, UnaryHandler> unaries;
  std::unordered_map<std::string, std::function<ServerStreamBase*()>> streams;
  std::atomic<bool> stopping{false};

 private:
  // The one place that decides who may call.
  base::Status Authorise(const grpc::GenericCallbackServerContext& call) const {
    const auto& metadata = call.client_metadata();
    const auto [first, last] = metadata.equal_range("authorization");
    if (first == last) {
      return MakeError(ErrorCode::kUnauthenticated,
                       "the call carries no token; every call of this cluster needs one");
    }
    const std::string_view given(first->second.data(), first->second.size());
    if (std::next(first) == last && EqualInConstantTime(given, expected_)) return base::OkStatus();
    return MakeError(ErrorCode::kUnauthenticated, "the call carries a token of another cluster");
  }

  const std::string expected_;
  const int calls_max_;
  std::atomic<int> open_{0};
};

}  // namespace server_internal

namespace {

// gRPC does not tell why it could not listen: try with a socket of our own.
base::Status WhyNot(const io::Address& address) {
  const base::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in name = {};
  name.sin_family = AF_INET;
  name.sin_port = htons(address.port);
  ::inet_pton(AF_INET, address.ip.c_str(), &name.sin_addr);
  const bool fails = ::bind(fd.get(), reinterpret_cast<sockaddr*>(&name), sizeof name) != 0 ||
                     ::listen(fd.get(), 1) != 0;
  const int error = fails ? errno : 0;
  const std::string where = absl::StrCat("cannot listen on ", address.ToString(), ": ");
  switch (error) {
    case EADDRINUSE:
      return absl::UnavailableError(absl::StrCat(
          where, "the port is in use by another program; choose another one with --port"));
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(
          absl::StrCat(where, "no permission; ports below 1024 are for root"));
    case EADDRNOTAVAIL:
      return absl::InvalidArgumentError(absl::StrCat(where, "not an address of this VM"));
    case 0:
      return absl::UnavailableError(absl::StrCat(where, "gRPC did not say why"));
    default:
      return absl::UnavailableError(absl::StrCat(where, std::strerror(error)));
  }
}

}  // namespace

struct RpcServer::Impl {
  explicit Impl(const ServerOptions& options) : dispatcher(options) {}
  server_internal::Dispatcher dispatcher;
  std::unique_ptr<grpc::Server> server;
};

RpcServer::RpcServer(ServerOptions options)
    : options_(std::move(options)), impl_(std::make_unique<Impl>(options_)) {
  PrepareGrpc();
}

RpcServer::~RpcServer() {
  Stop(std::chrono::milliseconds(0));
}

void RpcServer::AddUnary(const char* path, server_internal::UnaryHandler handler) {
  RAYX_CHECK(impl_->server == nullptr, "methods are added before Start");
  RAYX_CHECK(impl_->dispatcher.unaries.emplace(path, std::move(handler)).second, path);
}

void RpcServer::AddStream(const char* path, std::function<ServerStreamBase*()> factory) {
  RAYX_CHECK(impl_->server == nullptr, "methods are added before Start");
  RAYX_CHECK(impl_->dispatcher.streams.emplace(path, std::move(factory)).second, path);
}

base::Status RpcServer::Start() {
  const io::Address wanted{options_.ip, options_.port};
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(wanted.ToString(), MakeServerCredentials(options_.credentials), &port);
  builder.RegisterCallbackGenericService(&impl_->dispatcher);
  builder.SetMaxReceiveMessageSize(options_.message_bytes_max);
  builder.SetMaxSendMessageSize(options_.message_bytes_max);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, options_.streams_per_connection_max);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS,
                             static_cast<int>(options_.handshake_max.count()));
  // Whoever has no token has no call either, and does not keep a descriptor for longer.
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS,
                             static_cast<int>(options_.idle_max.count()));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 10000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5000);
  // Clients ping every 10 s (channel.cc), also when no call is open.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 2000);
  grpc::ResourceQuota quota("rayx");
  quota.Resize(static_cast<size_t>(options_.buffer_bytes_max));
  builder.SetResourceQuota(quota);
  impl_->server = builder.BuildAndStart();
  if (impl_->server == nullptr || port == 0) {
    impl_->server = nullptr;
    return WhyNot(wanted);
  }
  address_ = {options_.ip, static_cast<uint16_t>(port)};
  return base::OkStatus();
}

void RpcServer::Stop(std::chrono::milliseconds grace) {
  if (impl_->server == nullptr) return;
  impl_->dispatcher.stopping.store(true, std::memory_order_release);
  impl_->server->Shutdown(std::chrono::system_clock::now() + grace);
  impl_->server->Wait();
  impl_->server = nullptr;
}

}  // namespace rayx::rpc
