#include "rpc/errors.h"

#include <grpcpp/support/status.h>

#include "absl/strings/cord.h"

namespace rayx::rpc {
namespace {

constexpr char kPayloadUrl[] = "rayx.proto.ErrorInfo";
constexpr size_t kDetailsBytesMax = 64 * 1024;

absl::StatusCode StatusCodeOf(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNone:
      return absl::StatusCode::kOk;
    case ErrorCode::kTimeout:
      return absl::StatusCode::kDeadlineExceeded;
    case ErrorCode::kCancelled:
      return absl::StatusCode::kCancelled;
    case ErrorCode::kHeadUnavailable:
      return absl::StatusCode::kUnavailable;
    case ErrorCode::kUnauthenticated:
      return absl::StatusCode::kUnauthenticated;
    case ErrorCode::kInvalidOption:
    case ErrorCode::kSerializationError:
      return absl::StatusCode::kInvalidArgument;
    case ErrorCode::kNameTaken:
      return absl::StatusCode::kAlreadyExists;
    case ErrorCode::kOutOfMemory:
    case ErrorCode::kObjectStoreFull:
    case ErrorCode::kOutOfDisk:
      return absl::StatusCode::kResourceExhausted;
    default:
      return absl::StatusCode::kFailedPrecondition;
  }
}

ErrorCode ErrorCodeOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kOk:
      return ErrorCode::kNone;
    case absl::StatusCode::kCancelled:
      return ErrorCode::kCancelled;
    case absl::StatusCode::kDeadlineExceeded:
      return ErrorCode::kTimeout;
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
      return ErrorCode::kUnauthenticated;
    case absl::StatusCode::kAlreadyExists:
      return ErrorCode::kNameTaken;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kOutOfRange:
      return ErrorCode::kInvalidOption;
    case absl::StatusCode::kUnimplemented:
      return ErrorCode::kVersionMismatch;
    default:
      return ErrorCode::kHeadUnavailable;
  }
}

}  // namespace

proto::ErrorInfo MakeErrorInfo(ErrorCode code, const std::string& message) {
  proto::ErrorInfo error;
  error.set_code(static_cast<int32_t>(code));
  error.set_message(message);
  return error;
}

base::Status MakeError(ErrorCode code, const std::string& message) {
  return ToStatus(MakeErrorInfo(code, message));
}

base::Status ToStatus(const proto::ErrorInfo& error) {
  if (error.code() == 0) return base::OkStatus();
  base::Status status(StatusCodeOf(static_cast<ErrorCode>(error.code())),
                      base::ToAbsl(error.message()));
  status.SetPayload(kPayloadUrl, absl::Cord(error.SerializeAsString()));
  return status;
}

proto::ErrorInfo ToErrorInfo(const base::Status& status) {
  if (status.ok()) return {};
  if (const auto payload = status.GetPayload(kPayloadUrl); payload.has_value()) {
    proto::ErrorInfo error;
    if (error.ParseFromString(std::string(*payload)) && error.code() != 0) return error;
  }
  return MakeErrorInfo(ErrorCodeOf(status.code()), std::string(base::Message(status)));
}

ErrorCode CodeOf(const base::Status& status) {
  return static_cast<ErrorCode>(ToErrorInfo(status).code());
}

grpc::Status ToGrpc(const base::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  std::string details;
  if (const auto payload = status.GetPayload(kPayloadUrl); payload.has_value()) {
    details = std::string(*payload);
  }
  // The numbers of the two enumerations are the same by design. Header fields are bounded (8 KiB):
  // an error that does not fit goes without its details.
  if (details.size() > 4096) details.clear();
  return grpc::Status(static_cast<grpc::StatusCode>(static_cast<int>(status.code())),
                      std::string(base::Message(status).substr(0, 1024)), details);
}

base::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return base::OkStatus();
  base::Status result(static_cast<absl::StatusCode>(status.error_code()),
                      base::ToAbsl(status.error_message()));
  proto::ErrorInfo error;
  const std::string details = status.error_details();
  if (!details.empty() && details.size() <= kDetailsBytesMax && error.ParseFromString(details) &&
      error.code() != 0) {
    result.SetPayload(kPayloadUrl, absl::Cord(details));
  }
  return result;
}

std::string ReasonOf(const grpc::Status& status) {
  const std::string text = status.error_message();
  // gRPC's words for a stopped process, or for a server of something else that waits to be asked.
  if (text.find("before receiving SETTINGS frame") != std::string::npos) {
    return "it takes connections and says nothing";
  }
  for (const std::string preamble : {"Failed to connect to remote host: ", "last error: "}) {
    const size_t at = text.rfind(preamble);
    if (at != std::string::npos) return text.substr(at + preamble.size());
  }
  return text;
}

}  // namespace rayx::rpc
