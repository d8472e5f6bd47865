#include "rpc/grpc_process.h"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>

#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>

#include "base/log.h"

namespace rayx::rpc {
namespace {

// gRPC calls "error" what is an ordinary refused connection: debug for us. But before it aborts it
// says why.
void Forward(gpr_log_func_args* arguments) {
  if (std::strstr(arguments->message, "assertion failed") == nullptr) {
    RAYX_LOG(kDebug) << "grpc: " << arguments->message;
  } else {
    RAYX_LOG(kError) << "grpc: " << arguments->file << ":" << arguments->line << ": "
                     << arguments->message;
  }
}

// gRPC frees its queue of callbacks with the last channel or server of the process, also when that
// ends in a callback, on a thread that goes on using the queue. So one channel is never given up.
// It connects to nothing: its only call, which makes the queue, is cancelled before it starts.
void KeepCallbackQueue() {
  struct Call {
    std::shared_ptr<grpc::Channel> channel =
        grpc::CreateChannel("unix:rayx-never", grpc::InsecureChannelCredentials());
    grpc::GenericStub stub{channel};
    grpc::ClientContext context;
    grpc::Slice nothing;
    grpc::ByteBuffer request{&nothing, 1};
    grpc::ByteBuffer answer;
  };
  static auto* const call = new Call;  // for ever
  call->context.TryCancel();
  call->stub.UnaryCall(&call->context, "/rayx/Never", {}, &call->request, &call->answer,
                       [](const grpc::Status&) {});
}

}  // namespace

void PrepareGrpc() {
  static std::once_flag once;
  std::call_once(once, [] {
    ::setenv("GRPC_ENABLE_FORK_SUPPORT", "0", 1);
    gpr_set_log_function(&Forward);
    google::protobuf::SetLogHandler(nullptr);  // a peer's wrong bytes are an error, not our output
    gpr_set_log_verbosity(GPR_LOG_SEVERITY_ERROR);
    KeepCallbackQueue();
  });
}

}  // namespace rayx::rpc
