#include "client/error_bridge.h"

#include <charconv>
#include <string_view>

#include "rayx/detail/entry.h"

namespace rayx::client {
namespace {

constexpr std::string_view kFunctionWord = "function ";
constexpr size_t kIdDigits = 16;

// The program that lacks a function knows its id alone; the one that called it knows its name.
void NameFunction(std::string& message) {
  const size_t at = message.find(kFunctionWord);
  if (at == std::string::npos) return;
  const char* const begin = message.data() + at + kFunctionWord.size();
  const char* const end = message.data() + message.size();
  std::uint64_t id = 0;
  const auto [stop, error] = std::from_chars(begin, end, id, 16);
  if (error != std::errc() || stop != begin + kIdDigits) return;
  if (const detail::FunctionEntry* entry = detail::FindFunction(id)) {
    message.replace(at + kFunctionWord.size(), kIdDigits, "'" + entry->name + "'");
  }
}

}  // namespace

detail::ErrorRecord ToRecord(const proto::ErrorInfo& info) {
  detail::ErrorRecord record;
  record.code = static_cast<ErrorCode>(info.code());
  record.message = info.message();
  if (record.code == ErrorCode::kUnknownFunction) NameFunction(record.message);
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
