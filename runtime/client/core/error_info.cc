#include "client/core/error_info.h"

#include "scheduling/wire.h"

namespace rayx::client {

std::string EncodeError(ErrorCode code, const std::string& message) {
  proto::ErrorInfo info;
  info.set_code(static_cast<int>(code));
  info.set_message(message);
  return info.SerializeAsString();
}

std::string EncodeDeath(ErrorCode code, const std::string& what, const proto::DeathCause& cause,
                        uint32_t attempt) {
  proto::ErrorInfo info = scheduling::ErrorOf(cause);
  info.set_code(static_cast<int>(code));
  info.set_message(what + (cause.reason().empty() ? "" : ": " + cause.reason()));
  info.set_attempt(attempt);
  return info.SerializeAsString();
}

}  // namespace rayx::client
