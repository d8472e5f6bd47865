// runtime/rpc/byte_stream.h
//
// One TCP connection between two daemons, for bytes that are too many for messages: plain, or TLS
// where the cluster has it.
// Owner:    whoever carries the bytes, one a connection.
// Threads:  a stream is used by one at a time; a StreamSecurity by any number of streams.
// Promises: no call blocks, allocates by a peer's word or raises SIGPIPE. The rule is that of
//           rpc/credentials.h: with a ca_pem everything is TLS, 1.3 here, and a client sends
//           nothing before it has seen a certificate of the cluster's authority for the role that
//           it called; without, plain TCP. Servers ask for no certificate: the token, which is the
//           caller's business, says who a client is.
// Limits:   IPv4. A connection whose other side has vanished fails within half a minute.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/fd.h"
#include "base/status.h"
#include "io/address.h"
#include "rpc/credentials.h"

namespace rayx::rpc {

// What all streams of one kind share.
class StreamSecurity {
 public:
  // InvalidArgument: credentials that are none.
  static base::StatusOr<std::shared_ptr<const StreamSecurity>> OfServer(
      const ClusterCredentials& own);
  static base::StatusOr<std::shared_ptr<const StreamSecurity>> OfClient(
      const ClusterCredentials& own, Role peer);
  ~StreamSecurity();

 private:
  friend class ByteStream;
  struct Tls;
  StreamSecurity();
  std::unique_ptr<Tls> tls_;  // null: plain TCP
};

enum class StreamStep : uint8_t {
  kDone,        // some bytes at least
  kWantsRead,   // again when the descriptor is readable
  kWantsWrite,  // again when it is writable
  kEnded,       // the other side has closed
  kFailed,      // error() says why
};

struct StreamProgress {
  StreamStep step = StreamStep::kFailed;
  size_t bytes = 0;  // kDone: > 0
};

class ByteStream {
 public:
  // A descriptor from accept4(SOCK_NONBLOCK).
  static std::unique_ptr<ByteStream> Accepted(base::UniqueFd fd,
                                              std::shared_ptr<const StreamSecurity> security);
  // Begun; Handshake finishes it. Errors: ResourceExhausted (no descriptor), Unavailable.
  static base::StatusOr<std::unique_ptr<ByteStream>> Connect(
      const io::Address& peer, std::shared_ptr<const StreamSecurity> security);
  ~ByteStream();
  ByteStream(const ByteStream&) = delete;
  ByteStream& operator=(const ByteStream&) = delete;

  int fd() const { return fd_.get(); }

  // First of all, until kDone.
  StreamStep Handshake();
  // As many bytes as are there, at least one; neither span is empty. Wait for the descriptor only
  // after kWantsRead: bytes that have come may have left it already.
  StreamProgress Read(std::span<std::byte> into);
  // What is not taken is given again from its first byte on, after kWantsWrite no less of it.
  StreamProgress Write(std::span<const std::byte> from);

  // The descriptor is to be readable only when so many bytes have come, or none come any more: a
  // hint, at first 1. Read gives what is there in any case.
  void BeReadableFrom(size_t bytes);

  const std::string& error() const { return error_; }

 private:
  struct Connection;
  ByteStream(base::UniqueFd fd, std::shared_ptr<const StreamSecurity> security, bool is_connected);
  StreamStep FinishConnect();
  StreamStep FromErrno(StreamStep would_block);
  // Of an OpenSSL call that returned `result`.
  StreamStep FromTls(int result);

  const base::UniqueFd fd_;
  const std::shared_ptr<const StreamSecurity> security_;
  std::unique_ptr<Connection> tls_;  // null: plain TCP
  bool is_connected_ = false;
  size_t readable_from_ = 1;
  std::string error_;
};

}  // namespace rayx::rpc
