#include "client/daemon_link.h"

#include "base/check.h"

namespace rayx::client {
namespace {

constexpr int kHandshakeTimeoutMs = 10'000;
constexpr size_t kQueuedBytesMax = 64u << 20;
constexpr size_t kWelcomeFds = 5;

std::span<const std::byte> Bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

}  // namespace

base::StatusOr<WelcomePacket> DaemonLink::Handshake(const proto::Hello& hello, proto::ErrorInfo& refused) {
  proto::ClientMessage message;
  *message.mutable_hello() = hello;
  const std::string bytes = message.SerializeAsString();
  if (socket_.Send(Bytes(bytes)) != io::SocketResult::kOk) {
    return absl::UnavailableError("the node daemon closed the connection at once");
  }
  io::Packet packet;
  switch (socket_.ReceiveWithin(packet, kHandshakeTimeoutMs)) {
    case io::SocketResult::kOk:
      break;
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
  if (!socket_.valid()) return false;
  std::string bytes = message.SerializeAsString();
  if (bytes.size() > io::kPacketBytesMax) return false;
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
  queued_bytes_ += bytes.size();
  if (queued_bytes_ > kQueuedBytesMax) return false;
  queued_.push_back(std::move(bytes));
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

DaemonLink::Result DaemonLink::Receive(proto::DaemonMessage& message, std::vector<base::UniqueFd>& fds,
                                       std::string& why) {
  if (!socket_.valid()) {
    why = "the connection was closed";
    return Result::kGone;
  }
  io::Packet packet;
  switch (socket_.Receive(packet)) {
    case io::SocketResult::kAgain:
      return Result::kNothing;
    case io::SocketResult::kClosed:
      why = "it closed the connection (it died or was stopped)";
      return Result::kGone;
    case io::SocketResult::kError:
      why = "the connection failed";
      return Result::kGone;
    case io::SocketResult::kOk:
      break;
  }
  if (!message.ParseFromArray(packet.bytes.data(), static_cast<int>(packet.bytes.size()))) {
    why = "it sent a malformed packet";
    return Result::kGone;
  }
  fds = std::move(packet.fds);
  return Result::kMessage;
}

}  // namespace rayx::client
