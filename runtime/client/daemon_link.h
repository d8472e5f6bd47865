// runtime/client/daemon_link.h
//
// The socket to this VM's node daemon.
//
// Purpose:  encodes ClientMessage, decodes DaemonMessage, carries descriptors.
// Owner:    ClusterClient.
// Threads:  one at a time (under the baton after the handshake).
// Promises: Send never blocks: what the socket does not take is queued and flushed later; a
//           malformed packet from the daemon is the end of the link, with a sentence. A request too
//           large for a packet is answered by the link itself, with InvalidOption.
// Limits:   queued_bytes_max wait for a daemon that does not read; then the link is at its end: no
//           message is dropped in silence.
#pragma once

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
  // process page, eventfd, daemon channel, daemon page, daemon eventfd
  std::vector<base::UniqueFd> fds;
};

class DaemonLink {
 public:
  DaemonLink() = default;
  explicit DaemonLink(io::PacketSocket socket, size_t queued_bytes_max = 64u << 20)
      : socket_(std::move(socket)), queued_bytes_max_(queued_bytes_max) {}

  // Says Hello and waits (<= 10 s) for Welcome. The daemon's refusal comes back in `refused`.
  base::StatusOr<WelcomePacket> Handshake(const proto::Hello& hello, proto::ErrorInfo& refused);

  // False: the daemon is gone, or does not read (Receive then says kGone).
  bool Send(const proto::ClientMessage& message);
  bool Flush();  // true when nothing is queued any more
  // There is something to do without an event of the socket.
  bool HasQueued() const { return !queued_.empty() || !answers_.empty() || !broken_.empty(); }
  enum class Result { kMessage, kNothing, kGone };
  Result Receive(proto::DaemonMessage& message, std::vector<base::UniqueFd>& fds, std::string& why);
  bool connected() const { return socket_.valid(); }
  int fd() const { return socket_.fd(); }
  void Close() { socket_.Close(); }

 private:
  bool AnswerTooLarge(const proto::ClientMessage& message, size_t bytes);

  io::PacketSocket socket_;
  size_t queued_bytes_max_ = 0;
  std::deque<std::string> queued_;
  size_t queued_bytes_ = 0;
  std::deque<proto::DaemonMessage> answers_;  // of the link itself
  std::string broken_;                        // why it is at its end
};

}  // namespace rayx::client
