// Goal: an error is the same in its three forms.
// Method: there and back; nonsense from a peer.
#include "rpc/errors.h"

#include <grpcpp/support/status.h>
#include <catch2/catch.hpp>

namespace rayx::rpc {

TEST_CASE("Errors: an ErrorInfo survives Status and gRPC") {
  proto::ErrorInfo error = MakeErrorInfo(ErrorCode::kWorkerDied, "worker 7 died");
  error.set_signal(11);
  error.add_log_lines("last words");
  error.set_host("vm3");
  const base::Status status = FromGrpc(ToGrpc(ToStatus(error)));
  CHECK(ToErrorInfo(status).SerializeAsString() == error.SerializeAsString());
  CHECK(CodeOf(status) == ErrorCode::kWorkerDied);
}

TEST_CASE("Errors: every code of the list comes back from a Status") {
  for (int code = 1; code <= 26; ++code) {
    const base::Status status = MakeError(static_cast<ErrorCode>(code), "m");
    CHECK_FALSE(status.ok());
    CHECK(ToErrorInfo(FromGrpc(ToGrpc(status))).code() == code);
  }
}

TEST_CASE("Errors: the reason is gRPC's last word") {
  const auto reason = [](const char* text) {
    return ReasonOf(grpc::Status(grpc::StatusCode::UNAVAILABLE, text));
  };
  CHECK(reason("failed to connect to all addresses; last error: UNKNOWN: ipv4:10.0.0.1:7399: "
               "Failed to connect to remote host: Connection refused") == "Connection refused");
  CHECK(reason("failed to connect to all addresses; last error: timed out") == "timed out");
  CHECK(reason("Socket closed") == "Socket closed");
}

TEST_CASE("Errors: no error is OK in all forms") {
  CHECK(ToStatus(proto::ErrorInfo()).ok());
  CHECK(ToErrorInfo(base::OkStatus()).code() == 0);
  CHECK(ToGrpc(base::OkStatus()).ok());
  CHECK(CodeOf(base::OkStatus()) == ErrorCode::kNone);
}

TEST_CASE("Errors: details that are nonsense leave a plain error") {
  const base::Status status =
      FromGrpc(grpc::Status(grpc::StatusCode::UNAVAILABLE, "gone", "\xff\xff\xff"));
  CHECK(status.code() == absl::StatusCode::kUnavailable);
  CHECK(CodeOf(status) == ErrorCode::kHeadUnavailable);
  const base::Status unknown(static_cast<absl::StatusCode>(77), "odd");
  CHECK_FALSE(ToGrpc(unknown).ok());
  CHECK(ToErrorInfo(unknown).code() != 0);
}

}  // namespace rayx::rpc
