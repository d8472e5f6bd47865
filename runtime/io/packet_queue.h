// runtime/io/packet_queue.h
//
// What could not be sent at once on a non-blocking PacketSocket.
// Owner:    the connection's shell.        Threads: one.
// Promises: packets leave in order and whole; a queued packet keeps its own duplicates of the
//           descriptors. Once broken it stays broken.
// Limits:   packets_max and bytes_max wait; a peer that reads slower than that is broken off.
#pragma once

#include <cstddef>
#include <deque>
#include <span>

#include "io/packet_socket.h"

namespace rayx::io {

class PacketQueue {
 public:
  struct Limits {
    size_t packets_max = 16384;
    size_t bytes_max = 64 << 20;
  };
  explicit PacketQueue(PacketSocket& socket) : PacketQueue(socket, Limits{}) {}
  PacketQueue(PacketSocket& socket, Limits limits) : socket_(socket), limits_(limits) {}

  // False: the peer is gone or too slow (broken), close the connection; or the packet is larger
  // than packets may be, which is no fault of the peer's and changes nothing.
  bool Send(std::span<const std::byte> bytes, std::span<const int> fds = {});
  // When the socket is writable. False as above.
  bool Flush();
  bool empty() const { return waiting_.empty(); }  // not empty: ask for EPOLLOUT
  bool broken() const { return broken_; }

 private:
  PacketSocket& socket_;
  const Limits limits_;
  std::deque<Packet> waiting_;
  size_t bytes_ = 0;
  bool broken_ = false;
};

}  // namespace rayx::io
