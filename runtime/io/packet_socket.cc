#include "io/packet_socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace rayx::io {
namespace {

constexpr int kBacklog = 1024;

base::Status FromErrno(const std::string& what) {
  return absl::UnavailableError(what + ": " + std::strerror(errno));
}

base::StatusOr<sockaddr_un> SocketAddress(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return absl::InvalidArgumentError("socket path '" + path + "' has " +
                                      std::to_string(path.size()) +
                                      " bytes; a unix socket allows 1 to 107");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

base::StatusOr<base::UniqueFd> NewSocket(int flags) {
  base::UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0));
  if (!fd) return FromErrno("socket");
  return fd;
}

SocketResult FailedToReceive() {
  if (errno == EAGAIN || errno == EWOULDBLOCK) return SocketResult::kAgain;
  return errno == ECONNRESET ? SocketResult::kClosed : SocketResult::kError;
}

void TakeFds(msghdr& message, std::vector<base::UniqueFd>& fds) {
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof fd);
      fds.emplace_back(fd);
    }
  }
}

}  // namespace

base::StatusOr<PacketSocket> PacketSocket::Connect(const std::string& path) {
  RAYX_ASSIGN_OR_RETURN(const sockaddr_un address, SocketAddress(path));
  RAYX_ASSIGN_OR_RETURN(base::UniqueFd fd, NewSocket(0));
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return FromErrno(path);
  }
  return PacketSocket(std::move(fd));
}

base::StatusOr<std::pair<PacketSocket, PacketSocket>> PacketSocket::Pair() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
    return FromErrno("socketpair");
  }
  return std::make_pair(PacketSocket(base::UniqueFd(fds[0])), PacketSocket(base::UniqueFd(fds[1])));
}

SocketResult PacketSocket::Send(std::span<const std::byte> bytes, std::span<const int> fds) {
  if (bytes.empty() || bytes.size() > kPacketBytesMax || fds.size() > kPacketFdsMax) {
    return SocketResult::kError;
  }
  iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(kPacketFdsMax * sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
    cmsghdr* c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
    std::memcpy(CMSG_DATA(c), fds.data(), fds.size() * sizeof(int));
  }
  for (;;) {
    if (::sendmsg(fd_.get(), &message, MSG_NOSIGNAL) >= 0) return SocketResult::kOk;
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return SocketResult::kAgain;
    return errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN ? SocketResult::kClosed
                                                                      : SocketResult::kError;
  }
}

SocketResult PacketSocket::Receive(Packet& packet) {
  packet.fds.clear();
  packet.bytes.clear();
  // Its size first: nearly always there is no packet, and a small one when there is.
  ssize_t size = -1;
  do {
    size = ::recv(fd_.get(), nullptr, 0, MSG_PEEK | MSG_TRUNC);
  } while (size < 0 && errno == EINTR);
  if (size < 0) return FailedToReceive();
  packet.bytes.resize(std::clamp<size_t>(static_cast<size_t>(size), 1, kPacketBytesMax));
  iovec part{packet.bytes.data(), packet.bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(kPacketFdsMax * sizeof(int))];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  do {
    size = ::recvmsg(fd_.get(), &message, MSG_CMSG_CLOEXEC);
  } while (size < 0 && errno == EINTR);
  if (size < 0) {
    packet.bytes.clear();
    return FailedToReceive();
  }
  TakeFds(message, packet.fds);
  packet.bytes.resize(static_cast<size_t>(size));
  if ((message.msg_flags & MSG_TRUNC) != 0) return SocketResult::kError;
  if ((message.msg_flags & MSG_CTRUNC) != 0) {
    const bool too_many = packet.fds.size() >= kPacketFdsMax;
    packet.fds.clear();
    return too_many ? SocketResult::kError : SocketResult::kFdsLost;
  }
  return size == 0 ? SocketResult::kClosed : SocketResult::kOk;
}

SocketResult PacketSocket::ReceiveWithin(Packet& packet, std::chrono::milliseconds timeout) {
  pollfd ready{fd_.get(), POLLIN, 0};
  int count = -1;
  do {
    count = ::poll(&ready, 1, static_cast<int>(timeout.count()));
  } while (count < 0 && errno == EINTR);
  if (count < 0) return SocketResult::kError;
  return count == 0 ? SocketResult::kAgain : Receive(packet);
}

base::Status PacketSocket::SetNonBlocking() {
  const int flags = ::fcntl(fd_.get(), F_GETFL);
  if (flags < 0 || ::fcntl(fd_.get(), F_SETFL, flags | O_NONBLOCK) != 0) return FromErrno("fcntl");
  return absl::OkStatus();
}

base::StatusOr<PacketListener> PacketListener::Listen(const std::string& path) {
  RAYX_ASSIGN_OR_RETURN(const sockaddr_un address, SocketAddress(path));
  RAYX_ASSIGN_OR_RETURN(base::UniqueFd fd, NewSocket(SOCK_NONBLOCK));
  ::unlink(path.c_str());
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::chmod(path.c_str(), 0600) != 0 || ::listen(fd.get(), kBacklog) != 0) {
    return FromErrno(path);
  }
  return PacketListener(std::move(fd), path);
}

PacketListener::~PacketListener() {
  if (fd_) ::unlink(path_.c_str());
}

SocketResult PacketListener::Accept(Accepted& accepted, std::string& why) {
  base::UniqueFd fd;
  do {  // a peer that has hung up already hides those behind it
    fd.Reset(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  } while (!fd && (errno == ECONNABORTED || errno == EINTR));
  if (!fd) {
    if (errno == EAGAIN || errno == EWOULDBLOCK) return SocketResult::kAgain;
    why = std::string("accept: ") + std::strerror(errno);
    return SocketResult::kError;
  }
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    why = std::string("SO_PEERCRED: ") + std::strerror(errno);
    return SocketResult::kError;
  }
  accepted.socket = PacketSocket(std::move(fd));
  accepted.pid = peer.pid;
  if (peer.uid == ::geteuid()) return SocketResult::kOk;
  why = "this session belongs to user id " + std::to_string(::geteuid()) + "; process " +
        std::to_string(peer.pid) + " is of user id " + std::to_string(peer.uid);
  return SocketResult::kError;
}

}  // namespace rayx::io
