#include "io/packet_queue.h"

#include <fcntl.h>

namespace rayx::io {

bool PacketQueue::Send(std::span<const std::byte> bytes, std::span<const int> fds) {
  if (broken_ || bytes.size() > kPacketBytesMax || fds.size() > kPacketFdsMax) return false;
  if (waiting_.empty()) {
    const SocketResult result = socket_.Send(bytes, fds);
    if (result == SocketResult::kOk) return true;
    if (result != SocketResult::kAgain) return !(broken_ = true);
  }
  Packet packet;
  packet.bytes.assign(bytes.begin(), bytes.end());
  for (int fd : fds) {
    base::UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!copy) return !(broken_ = true);
    packet.fds.push_back(std::move(copy));
  }
  bytes_ += bytes.size();
  waiting_.push_back(std::move(packet));
  broken_ = waiting_.size() > limits_.packets_max || bytes_ > limits_.bytes_max;
  return !broken_;
}

bool PacketQueue::Flush() {
  while (!broken_ && !waiting_.empty()) {
    Packet& packet = waiting_.front();
    std::vector<int> fds;
    for (const auto& fd : packet.fds) fds.push_back(fd.get());
    const SocketResult result = socket_.Send(packet.bytes, fds);
    if (result == SocketResult::kAgain) return true;
    if (result != SocketResult::kOk) {
      broken_ = true;
      break;
    }
    bytes_ -= packet.bytes.size();
    waiting_.pop_front();
  }
  return !broken_;
}

}  // namespace rayx::io
