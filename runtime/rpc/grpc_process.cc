#include "rpc/grpc_process.h"

#include <cstdlib>
#include <mutex>

#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>

#include "base/log.h"

namespace rayx::rpc {
namespace {

// gRPC calls "error" what is an ordinary refused connection: debug for us.
void Forward(gpr_log_func_args* arguments) { RAYX_LOG(kDebug) << "grpc: " << arguments->message; }

}  // namespace

void PrepareGrpc() {
  static std::once_flag once;
  std::call_once(once, [] {
    ::setenv("GRPC_ENABLE_FORK_SUPPORT", "0", 1);
    gpr_set_log_function(&Forward);
    google::protobuf::SetLogHandler(nullptr);  // a peer's wrong bytes are an error, not our output
    gpr_set_log_verbosity(GPR_LOG_SEVERITY_ERROR);
  });
}

}  // namespace rayx::rpc
