// The socket to this VM's node daemon.
//
// Purpose:  encodes ClientMessage, decodes DaemonMessage, carries descriptors.
// Owner:    ClusterClient.      Threads: one at a time (under the baton after the handshake).
// Promises: Send never blocks: what the socket does not take is queued and flushed later; a malformed
//           packet from the daemon is the end of the link, with a sentence.
#ifndef RAYX_CLIENT_DAEMON_LINK_H_
#define RAYX_CLIENT_DAEMON_LINK_H_

#include <deque>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/status.h"
#include "io/packet_socket.h"
#include "proto/local.pb.h"

namespace rayx::client {

// Welcome and its five descriptors.
struct WelcomePacket {
  proto::Welcome welcome;
  std::vector<base::UniqueFd> fds;  // process page, eventfd, daemon channel, daemon page, daemon eventfd
};

class DaemonLink {
 public:
  DaemonLink() = default;
  explicit DaemonLink(io::PacketSocket socket) : socket_(std::move(socket)) {}

  // Says Hello and waits (<= 10 s) for Welcome. The daemon's refusal comes back in `refused`.
  base::StatusOr<WelcomePacket> Handshake(const proto::Hello& hello, proto::ErrorInfo& refused);

  // False: the daemon is gone.
  bool Send(const proto::ClientMessage& message);
  bool Flush();                          // true when nothing is queued any more
  bool HasQueued() const { return !queued_.empty(); }
  enum class Result { kMessage, kNothing, kGone };
  Result Receive(proto::DaemonMessage& message, std::vector<base::UniqueFd>& fds, std::string& why);
  bool connected() const { return socket_.valid(); }
  int fd() const { return socket_.fd(); }
  void Close() { socket_.Close(); }

 private:
  io::PacketSocket socket_;
  std::deque<std::string> queued_;
  size_t queued_bytes_ = 0;
};

}  // namespace rayx::client

#endif  // RAYX_CLIENT_DAEMON_LINK_H_
