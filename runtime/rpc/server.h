// runtime/rpc/server.h
//
// A daemon's gRPC server. Every call of every service enters by one generic dispatcher, which looks
// at the token first: what is not authorised is refused (UNAUTHENTICATED) before its method is
// looked up or a byte of its message is read. There is no other way in: no generated service is
// registered.
//
// Owner:    a shell (HeadServer, NodeShell).
// Threads:  Handle and Start from the owner; handlers run on gRPC's threads and hand over to the
//           owner's loop; Responder and Stop from any.
// Inputs:   calls of methods.h.
// Outputs:  the handlers.
// Promises: each call is answered once; a Responder that is dropped answers UNAVAILABLE; a unary
//           call without a deadline, a message above the limit and bytes that are no message are
//           refused.
// Limits:   ServerOptions.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include <google/protobuf/message_lite.h>

#include "base/status.h"
#include "io/address.h"
#include "rpc/credentials.h"
#include "rpc/methods.h"

namespace rayx::rpc {

struct ServerOptions {
  std::string ip = "127.0.0.1";
  uint16_t port = 0;  // 0 = any free one
  ClusterCredentials credentials;
  int message_bytes_max = 8 * 1024 * 1024;
  int calls_max = 16384;  // unary ones open at once, long polls included
  int streams_per_connection_max = 8192;
  std::chrono::milliseconds handshake_max{5000};
  std::chrono::milliseconds idle_max{60000};     // of a connection without calls: then it is closed
  int64_t buffer_bytes_max = 512 * 1024 * 1024;  // gRPC's memory quota
};

namespace server_internal {
class UnaryCall;
class Dispatcher;

class RawResponder {
 public:
  explicit RawResponder(UnaryCall* call) : call_(call) {}
  RawResponder(RawResponder&& other) noexcept : call_(std::exchange(other.call_, nullptr)) {}
  RawResponder& operator=(RawResponder&&) = delete;
  ~RawResponder();
  void Reply(const google::protobuf::MessageLite& reply);
  void Fail(const base::Status& status);

 private:
  UnaryCall* call_;  // ends itself after the answer
};

struct UnaryHandler {
  std::function<std::unique_ptr<google::protobuf::MessageLite>()> make_request;
  std::function<void(google::protobuf::MessageLite& request, RawResponder responder)> handle;
};
}  // namespace server_internal

// Answers one call, once, from any thread, now or later.
template <typename ReplyMessage>
class Responder {
 public:
  explicit Responder(server_internal::RawResponder raw) : raw_(std::move(raw)) {}
  void Reply(const ReplyMessage& reply) { raw_.Reply(reply); }
  void Fail(const base::Status& status) { raw_.Fail(status); }

 private:
  server_internal::RawResponder raw_;
};

class ServerStreamBase;  // rpc/server_stream.h

class RpcServer {
 public:
  explicit RpcServer(ServerOptions options);
  ~RpcServer();  // Stop(0)

  // Before Start. The request may be moved from.
  template <typename Request, typename Reply>
  void Handle(const Method<Request, Reply>& method,
              std::function<void(Request& request, Responder<Reply> responder)> handler) {
    AddUnary(method.path, {[] { return std::make_unique<Request>(); },
                           [handler = std::move(handler)](google::protobuf::MessageLite& request,
                                                          server_internal::RawResponder responder) {
                             handler(static_cast<Request&>(request),
                                     Responder<Reply>(std::move(responder)));
                           }});
  }
  // Before Start. The factory makes a ServerStream<In, Out> that deletes itself in OnDone.
  template <typename In, typename Out>
  void HandleStream(const Method<In, Out>& method, std::function<ServerStreamBase*()> factory) {
    AddStream(method.path, std::move(factory));
  }

  // Says clearly why it cannot listen: port in use, no permission, no such address.
  base::Status Start();
  const io::Address& address() const { return address_; }  // after Start: with the port it got
  // Refuses new calls, waits up to `grace` for open ones, cancels the rest. Every Responder has to
  // be used or dropped, every stream closed, meanwhile: it waits for them.
  void Stop(std::chrono::milliseconds grace);

 private:
  void AddUnary(const char* path, server_internal::UnaryHandler handler);
  void AddStream(const char* path, std::function<ServerStreamBase*()> factory);

  const ServerOptions options_;
  io::Address address_;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace rayx::rpc
