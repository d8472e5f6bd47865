#include "client/daemon_link.h"

#include "base/check.h"
#include "rayx/detail/error_record.h"

namespace rayx::client {
namespace {

constexpr std::chrono::seconds kHandshakeTimeout(10);
constexpr size_t kWelcomeFds = 5;

std::span<const std::byte> Bytes(const std::string& text) {
  return std::as_bytes(std::span(text));
}

}  // namespace

base::StatusOr<WelcomePacket> DaemonLink::Handshake(const proto::Hello& hello,
                                                    proto::ErrorInfo& refused) {
  proto::ClientMessage message;
  *message.mutable_hello() = hello;
  const std::string bytes = message.SerializeAsString();
  if (socket_.Send(Bytes(bytes)) != io::SocketResult::kOk) {
    return absl::UnavailableError("the node daemon closed the connection at once");
  }
  io::Packet packet;
  switch (socket_.ReceiveWithin(packet, kHandshakeTimeout)) {
    case io::SocketResult::kOk:
      break;
    case io::SocketResult::kFdsLost:
      return absl::ResourceExhaustedError(
          "this process has no room for five more descriptors (ulimit -n)");
    case io::SocketResult::kAgain:
      return absl::DeadlineExceededError("the node daemon did not answer within 10 s");
    default:
      return absl::UnavailableError("the node daemon closed the connection instead of answering");
  }
  proto::DaemonMessage answer;
  if (!answer.ParseFromArray(packet.bytes.data(), static_cast<int>(packet.bytes.size()))) {
    return absl::DataLossError("the node daemon's answer is malformed");
  }
  if (answer.has_refused()) {
    refused = answer.refused().error();
    return absl::PermissionDeniedError("refused");
  }
  if (!answer.has_welcome() || packet.fds.size() != kWelcomeFds) {
    return absl::DataLossError("the node daemon's answer is not a welcome with 5 descriptors");
  }
  RAYX_RETURN_IF_ERROR(socket_.SetNonBlocking());
  return WelcomePacket{answer.welcome(), std::move(packet.fds)};
}

bool DaemonLink::Send(const proto::ClientMessage& message) {
  if (!socket_.valid() || !broken_.empty()) return false;
  std::string bytes = message.SerializeAsString();
  if (bytes.size() > io::kPacketBytesMax) return AnswerTooLarge(message, bytes.size());
  if (queued_.empty()) {
    switch (socket_.Send(Bytes(bytes))) {
      case io::SocketResult::kOk:
        return true;
      case io::SocketResult::kAgain:
        break;
      default:
        return false;
    }
  }
  if (queued_bytes_ + bytes.size() > queued_bytes_max_) {
    broken_ = "it has not taken " + std::to_string(queued_bytes_ >> 10) + " KiB of messages";
    return false;
  }
  queued_bytes_ += bytes.size();
  queued_.push_back(std::move(bytes));
  return true;
}

bool DaemonLink::AnswerTooLarge(const proto::ClientMessage& message, size_t bytes) {
  proto::DaemonMessage answer;
  proto::ErrorInfo* error = nullptr;
  if (message.has_lease_request()) {
    answer.mutable_lease_failed()->set_request_id(message.lease_request().request_id());
    error = answer.mutable_lease_failed()->mutable_error();
  } else if (message.has_head_request()) {
    answer.mutable_head_response()->set_request_id(message.head_request().request_id());
    error = answer.mutable_head_response()->mutable_error();
  } else {
    return false;  // the others have a fixed size
  }
  error->set_code(static_cast<int32_t>(ErrorCode::kInvalidOption));
  error->set_message("the request has " + std::to_string(bytes) + " bytes; at most " +
                     std::to_string(io::kPacketBytesMax) + " are allowed");
  answers_.push_back(std::move(answer));
  return true;
}

bool DaemonLink::Flush() {
  while (!queued_.empty()) {
    if (socket_.Send(Bytes(queued_.front())) != io::SocketResult::kOk) return false;
    queued_bytes_ -= queued_.front().size();
    queued_.pop_front();
  }
  return true;
}

DaemonLink::Result DaemonLink::Receive(proto::DaemonMessage& message,
                                       std::vector<base::UniqueFd>& fds, std::string& why) {
  if (!socket_.valid()) {
    why = "the connection was closed";
    return Result::kGone;
  }
  if (!broken_.empty()) {
    why = broken_;
    return Result::kGone;
  }
  if (!answers_.empty()) {
    message = std::move(answers_.front());
    answers_.pop_front();
    fds.clear();
    return Result::kMessage;
  }
  io::Packet packet;
  switch (socket_.Receive(packet)) {
    case io::SocketResult::kAgain:
      return Result::kNothing;
    case io::SocketResult::kFdsLost:  // whoever needs them sees that they are missing
    case io::SocketResult::kOk:
      break;
    case io::SocketResult::kClosed:
      why = "it closed the connection (it died or was stopped)";
      return Result::kGone;
    case io::SocketResult::kError:
      why = "the connection failed";
      return Result::kGone;
  }
  if (!message.ParseFromArray(packet.bytes.data(), static_cast<int>(packet.bytes.size()))) {
    why = "it sent a malformed packet";
    return Result::kGone;
  }
  fds = std::move(packet.fds);
  return Result::kMessage;
}

}  // namespace rayx::client
