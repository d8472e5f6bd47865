#include "rpc/channel.h"

#include <mutex>
#include <set>
#include <vector>

#include <grpcpp/alarm.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/support/client_interceptor.h>

#include "absl/strings/str_cat.h"
#include "rpc/errors.h"
#include "rpc/foreign_certificate.h"
#include "rpc/grpc_process.h"
#include "rpc/secret.h"

namespace rayx::rpc {
namespace {

using WallClock = std::chrono::system_clock;  // what gRPC's deadlines are made of
// What ours are made of: a step of the wall clock moves no deadline of repeated attempts.
using SteadyClock = std::chrono::steady_clock;

WallClock::time_point OnWallClock(SteadyClock::time_point when) {
  return WallClock::now() +
         std::chrono::duration_cast<WallClock::duration>(when - SteadyClock::now());
}

// Puts the token on every call of a channel, streams and generated stubs included.
class TokenInterceptor final : public grpc::experimental::Interceptor {
 public:
  explicit TokenInterceptor(const std::string& value) : value_(value) {}
  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    using grpc::experimental::InterceptionHookPoints;
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_INITIAL_METADATA)) {
      methods->GetSendInitialMetadata()->insert({"authorization", value_});
    }
    methods->Proceed();
  }

 private:
  const std::string& value_;
};

class TokenInterceptorFactory final : public grpc::experimental::ClientInterceptorFactoryInterface {
 public:
  explicit TokenInterceptorFactory(const std::string& token)
      : value_(absl::StrCat("Bearer ", token)) {}
  grpc::experimental::Interceptor* CreateClientInterceptor(
      grpc::experimental::ClientRpcInfo*) override {
    return new TokenInterceptor(value_);
  }

 private:
  const std::string value_;
};

std::shared_ptr<grpc::Channel> MakeGrpcChannel(const io::Address& peer, Role role,
                                               const ClusterCredentials& credentials) {
  PrepareGrpc();
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(8 * 1024 * 1024);
  arguments.SetMaxSendMessageSize(8 * 1024 * 1024);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);  // repeats are decided here
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 3000);  // also the longest connect
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5000);
  if (credentials.tls()) arguments.SetSslTargetNameOverride(RoleHostName(role));
  std::vector<std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(std::make_unique<TokenInterceptorFactory>(credentials.token));
  return grpc::experimental::CreateCustomChannelWithInterceptors(
      absl::StrCat("ipv4:", peer.ToString()), MakeChannelCredentials(credentials), arguments,
      std::move(interceptors));
}

uint64_t SeedOf(const void* object) {
  return reinterpret_cast<uintptr_t>(object);
}

}  // namespace

// One call with its repeats. Alive while gRPC or the timer holds it.
struct RpcChannel::OpenCall : std::enable_shared_from_this<OpenCall> {
  OpenCall(const std::shared_ptr<grpc::Channel>& channel, io::Address to)
      : peer(std::move(to)), stub(channel) {}

  void Attempt();
  void OnAnswer(const grpc::Status& status);
  base::Status Explain(const grpc::Status& status) const;
  void Cancel();

  const io::Address peer;
  grpc::GenericStub stub;
  std::string path;
  CallOptions options;
  SteadyClock::time_point deadline;
  grpc::ByteBuffer request;
  grpc::ByteBuffer answer;
  std::shared_ptr<google::protobuf::MessageLite> reply;
  std::function<void(const base::Status&)> done;
  std::function<void()> forget;
  uint32_t attempts = 0;

  std::mutex mutex;  // of the three below: Cancel comes from another thread
  std::unique_ptr<grpc::ClientContext> context;
  std::unique_ptr<grpc::Alarm> alarm;
  bool cancelled = false;
};

struct RpcChannel::OpenCalls {
  std::mutex mutex;
  std::set<std::shared_ptr<OpenCall>> calls;
};

void RpcChannel::OpenCall::Attempt() {
  std::unique_ptr<grpc::Alarm> fired;  // it holds this call: kept, both would live for ever
  const std::lock_guard lock(mutex);
  fired = std::move(alarm);
  context = std::make_unique<grpc::ClientContext>();
  context->set_deadline(OnWallClock(deadline));
  if (cancelled) context->TryCancel();
  answer.Clear();
  stub.UnaryCall(
      context.get(), path, {}, &request, &answer,
      [self = shared_from_this()](const grpc::Status& status) { self->OnAnswer(status); });
}

void RpcChannel::OpenCall::OnAnswer(const grpc::Status& status) {
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE && options.idempotent &&
      !SaysForeignCertificate(status.error_message())) {
    const auto delay = base::BackoffDelay(options.backoff, attempts,
                                          base::RandomWord(SeedOf(this), 0, 0, attempts));
    ++attempts;
    const std::lock_guard lock(mutex);
    if (!cancelled && SteadyClock::now() + delay < deadline) {
      alarm = std::make_unique<grpc::Alarm>();
      // A cancelled timer fires too (with false): the attempt then ends at once.
      alarm->Set(WallClock::now() + delay, [self = shared_from_this()](bool) { self->Attempt(); });
      return;
    }
  }
  base::Status result = Explain(status);
  if (result.ok()) {
    grpc::ProtoBufferReader reader(&answer);
    if (!reader.status().ok() || !reply->ParseFromZeroCopyStream(&reader)) {
      result = absl::InternalError(
          absl::StrCat(peer.ToString(), " answered with bytes that are no message of ", path));
    }
  }
  const auto callback = std::exchange(done, nullptr);
  forget();
  callback(result);
}

base::Status RpcChannel::OpenCall::Explain(const grpc::Status& status) const {
  base::Status plain = FromGrpc(status);
  if (plain.ok() || !status.error_details().empty()) return plain;
  const auto text = base::ToAbsl(base::Message(plain));
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE) {
    return absl::UnavailableError(
        absl::StrCat(peer.ToString(), " does not answer: ", ReasonOf(status)));
  }
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    return absl::DeadlineExceededError(
        absl::StrCat(peer.ToString(), " did not answer within ", options.deadline.count(), " ms"));
  }
  return base::Status(plain.code(), absl::StrCat(peer.ToString(), ": ", text));
}

void RpcChannel::OpenCall::Cancel() {
  const std::lock_guard lock(mutex);
  cancelled = true;
  if (context != nullptr) context->TryCancel();
  if (alarm != nullptr) alarm->Cancel();
}

RpcChannel::RpcChannel(io::Address peer, Role role, const ClusterCredentials& credentials)
    : peer_(std::move(peer)),
      channel_(MakeGrpcChannel(peer_, role, credentials)),
      open_(std::make_shared<OpenCalls>()) {}

RpcChannel::~RpcChannel() {
  std::vector<std::shared_ptr<OpenCall>> calls;
  {
    const std::lock_guard lock(open_->mutex);
    calls.assign(open_->calls.begin(), open_->calls.end());
  }
  for (const auto& call : calls) call->Cancel();
}

void RpcChannel::Start(const char* path, const google::protobuf::MessageLite& request,
                       std::shared_ptr<google::protobuf::MessageLite> reply,
                       const CallOptions& options, std::function<void(const base::Status&)> done) {
  auto call = std::make_shared<OpenCall>(channel_, peer_);
  call->path = path;
  call->options = options;
  call->deadline = SteadyClock::now() + options.deadline;
  call->reply = std::move(reply);
  call->done = std::move(done);
  bool own = false;
  const grpc::Status serialized =
      grpc::GenericSerialize<grpc::ProtoBufferWriter, google::protobuf::MessageLite>(
          request, &call->request, &own);
  if (!serialized.ok()) return call->done(FromGrpc(serialized));
  {
    const std::lock_guard lock(open_->mutex);
    open_->calls.insert(call);
  }
  call->forget = [open = open_, raw = call.get()] {
    const std::lock_guard lock(open->mutex);
    open->calls.erase(raw->shared_from_this());
  };
  call->Attempt();
}

}  // namespace rayx::rpc
