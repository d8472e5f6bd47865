#include "client/error_bridge.h"

namespace rayx::client {

detail::ErrorRecord ToRecord(const proto::ErrorInfo& info) {
  detail::ErrorRecord record;
  record.code = static_cast<ErrorCode>(info.code());
  record.message = info.message();
  record.type_name = info.type_name();
  record.base_name = info.base_name();
  record.what = info.what();
  record.signal = info.signal();
  record.exit_code = info.exit_code();
  record.log_lines.assign(info.log_lines().begin(), info.log_lines().end());
  record.node = info.node();
  record.pid = info.pid();
  record.host = info.host();
  record.attempt = info.attempt();
  return record;
}

proto::ErrorInfo ToInfo(const detail::ErrorRecord& record) {
  proto::ErrorInfo info;
  info.set_code(static_cast<int>(record.code));
  info.set_message(record.message);
  info.set_type_name(record.type_name);
  info.set_base_name(record.base_name);
  info.set_what(record.what);
  info.set_signal(record.signal);
  info.set_exit_code(record.exit_code);
  for (const std::string& line : record.log_lines) info.add_log_lines(line);
  info.set_node(record.node);
  info.set_pid(record.pid);
  info.set_host(record.host);
  info.set_attempt(record.attempt);
  return info;
}

detail::ErrorRecord DecodeError(std::span<const std::byte> bytes) {
  proto::ErrorInfo info;
  if (!info.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    info.Clear();
    info.set_code(static_cast<int>(ErrorCode::kSerializationError));
    info.set_message("an error arrived whose description is malformed");
  }
  return ToRecord(info);
}

void Throw(ErrorCode code, const std::string& message) {
  detail::ErrorRecord record;
  record.code = code;
  record.message = message;
  detail::ThrowError(record);
}

void Throw(ErrorCode code, const std::string& what, const base::Status& status) {
  Throw(code, what + ": " + std::string(base::Message(status)));
}

}  // namespace rayx::client
