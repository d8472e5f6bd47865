// runtime/rpc/errors.h
//
// One error in its three forms: absl::Status inside, proto ErrorInfo in messages, grpc::Status on
// the wire.
// Owner:    no state.
// Threads:  any.
// Promises: an ErrorInfo survives all of them unchanged (it rides along as the Status's payload and
//           as the details of the gRPC status); what came from a peer is bounded and may be
//           nonsense, and then becomes a plain error, never a crash.
#pragma once

#include <string>

#include "base/status.h"
#include "proto/types.pb.h"
#include "rayx/detail/error_record.h"

namespace grpc {
class Status;
}

namespace rayx::rpc {

proto::ErrorInfo MakeErrorInfo(ErrorCode code, const std::string& message);
// MakeErrorInfo as a Status.
base::Status MakeError(ErrorCode code, const std::string& message);

// code 0 = OK.
base::Status ToStatus(const proto::ErrorInfo& error);
// The payload, or a code that fits the Status. An OK status gives code 0.
proto::ErrorInfo ToErrorInfo(const base::Status& status);
// kNone when it is OK.
ErrorCode CodeOf(const base::Status& status);

grpc::Status ToGrpc(const base::Status& status);
base::Status FromGrpc(const grpc::Status& status);
// gRPC's words without its preamble of addresses: "Connection refused".
std::string ReasonOf(const grpc::Status& status);

}  // namespace rayx::rpc
