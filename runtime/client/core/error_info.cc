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

std::string ActorLabel(const std::string& class_name, const std::string& name) {
  return name.empty() ? class_name : class_name + " \"" + name + "\"";
}

std::string OfActor(const std::string& label, const std::string& sentence) {
  if (sentence.starts_with("actor ")) return sentence;
  return "actor " + label + (sentence.empty() ? " ended" : ": " + sentence);
}

std::string EncodeActorEnd(const std::string& label, proto::ErrorInfo cause) {
  switch (static_cast<ErrorCode>(cause.code())) {
    case ErrorCode::kNone:
    case ErrorCode::kTaskError:
    case ErrorCode::kWorkerDied:
    case ErrorCode::kNodeDied:
      cause.set_code(static_cast<int>(ErrorCode::kActorDied));
      break;
    default:
      break;
  }
  if (cause.code() == static_cast<int>(ErrorCode::kActorDied)) {
    cause.set_message(OfActor(label, cause.message()));
  }
  return cause.SerializeAsString();
}

}  // namespace rayx::client
