#include "client/core/error_info.h"

namespace rayx::client {

std::string EncodeError(ErrorCode code, const std::string& message) {
  proto::ErrorInfo info;
  info.set_code(static_cast<int>(code));
  info.set_message(message);
  return info.SerializeAsString();
}

std::string EncodeDeath(ErrorCode code, const std::string& what, const proto::DeathCause& cause,
                        uint32_t attempt) {
  proto::ErrorInfo info;
  info.set_code(static_cast<int>(code));
  info.set_message(what + (cause.reason().empty() ? "" : ": " + cause.reason()));
  info.set_signal(cause.signal());
  info.set_exit_code(cause.exit_code());
  *info.mutable_log_lines() = cause.log_lines();
  info.set_pid(cause.pid());
  info.set_host(cause.host());
  info.set_attempt(attempt);
  return info.SerializeAsString();
}

}  // namespace rayx::client
