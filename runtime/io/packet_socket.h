// runtime/io/packet_socket.h
//
// SOCK_SEQPACKET unix sockets: one message a packet, descriptors beside it.
// Owner:    one object a connection.
// Threads:  one at a time; Send and Receive may be two.
// Inputs:   bytes and descriptors of a peer of the same user.
// Promises: a packet is sent whole or not at all; received descriptors are close-on-exec and owned
//           by the packet, so that none leaks whatever the peer sends; a packet that does not fit
//           is an error, never cut silently. Peers of another user id are refused by Accept.
// Limits:   kPacketBytesMax, kPacketFdsMax a packet. An empty packet cannot be told from
//           end-of-file.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/status.h"

namespace rayx::io {

inline constexpr size_t kPacketBytesMax = 128 * 1024;
inline constexpr size_t kPacketFdsMax = 16;

struct Packet {
  std::vector<std::byte> bytes;
  std::vector<base::UniqueFd> fds;
};

enum class SocketResult {
  kOk,
  kAgain,   // a non-blocking socket would wait
  kClosed,  // the other side is gone
  // The packet is there without its descriptors: this process has no room for them (RLIMIT_NOFILE).
  // The connection is sound.
  kFdsLost,
  kError,  // this connection is of no use any more (malformed or too large packets included)
};

class PacketSocket {
 public:
  PacketSocket() = default;
  explicit PacketSocket(base::UniqueFd fd) : fd_(std::move(fd)) {}

  // Blocking sockets. `path` is shorter than 108 bytes.
  static base::StatusOr<PacketSocket> Connect(const std::string& path);
  static base::StatusOr<std::pair<PacketSocket, PacketSocket>> Pair();

  SocketResult Send(std::span<const std::byte> bytes, std::span<const int> fds = {});
  SocketResult Receive(Packet& packet);
  // Blocks at most so long for a packet; kAgain then.
  SocketResult ReceiveWithin(Packet& packet, std::chrono::milliseconds timeout);

  base::Status SetNonBlocking();
  int fd() const { return fd_.get(); }
  bool valid() const { return fd_.valid(); }
  base::UniqueFd Release() { return std::move(fd_); }
  void Close() { fd_.Reset(); }

 private:
  base::UniqueFd fd_;
};

struct Accepted {
  PacketSocket socket;
  pid_t pid = 0;  // in this process's pid namespace
};

class PacketListener {
 public:
  PacketListener() = default;
  // Replaces a socket file that is left over. Mode 0600. Non-blocking.
  static base::StatusOr<PacketListener> Listen(const std::string& path);
  PacketListener(PacketListener&&) = default;
  PacketListener& operator=(PacketListener&&) = default;
  ~PacketListener();

  // kAgain: nobody waits. kError: this peer was refused (`why` says so); without a socket in
  // `accepted` it could not even be accepted (no descriptors) and goes on waiting.
  SocketResult Accept(Accepted& accepted, std::string& why);
  int fd() const { return fd_.get(); }

 private:
  PacketListener(base::UniqueFd fd, std::string path)
      : fd_(std::move(fd)), path_(std::move(path)) {}
  base::UniqueFd fd_;
  std::string path_;  // unlinked by the destructor
};

}  // namespace rayx::io
