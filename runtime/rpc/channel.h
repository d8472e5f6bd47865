// runtime/rpc/channel.h
//
// The way to one server: head or node daemon. Every call carries the token and a deadline.
// Owner:    a shell; destroy it when no call of it is wanted any more (open ones are cancelled).
// Threads:  any. Callbacks run on gRPC's threads: hand over, do not work there.
// Promises: each callback runs exactly once, by the deadline; with `idempotent` an UNAVAILABLE call
//           is repeated with back-off until the deadline, which no step of the wall clock moves;
//           errors name the peer. A call that is over holds nothing any more, the connection
//           included.
// Limits:   messages up to 8 MiB.
#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <utility>

#include <google/protobuf/message_lite.h>

#include "base/backoff.h"
#include "base/status.h"
#include "io/address.h"
#include "rpc/credentials.h"
#include "rpc/methods.h"

namespace grpc {
class Channel;
}

namespace rayx::rpc {

struct CallOptions {
  std::chrono::milliseconds deadline{5000};
  bool idempotent = false;  // may be repeated: the receiver answers a repeat the same way
  base::BackoffOptions backoff = {std::chrono::milliseconds(50), std::chrono::milliseconds(1000)};
};

class RpcChannel {
 public:
  // No connection is made before the first call.
  RpcChannel(io::Address peer, Role role, const ClusterCredentials& credentials);
  ~RpcChannel();  // cancels; callbacks of open calls may still run for a moment afterwards

  const io::Address& peer() const { return peer_; }

  template <typename Request, typename Reply>
  void Call(const Method<Request, Reply>& method, const Request& request,
            const CallOptions& options, std::function<void(base::StatusOr<Reply>)> done) {
    auto reply = std::make_shared<Reply>();
    Start(method.path, request, reply, options,
          [reply, done = std::move(done)](const base::Status& status) {
            if (status.ok()) return done(std::move(*reply));
            done(status);
          });
  }

  // Waits. For the command line and start-up; never on a loop's thread.
  template <typename Request, typename Reply>
  base::StatusOr<Reply> CallAndWait(const Method<Request, Reply>& method, const Request& request,
                                    const CallOptions& options = {}) {
    auto promise = std::make_shared<std::promise<base::StatusOr<Reply>>>();
    auto future = promise->get_future();
    Call<Request, Reply>(method, request, options, [promise](base::StatusOr<Reply> reply) {
      promise->set_value(std::move(reply));
    });
    return future.get();
  }

  // For streams: the generated stubs and reactors on it carry the token by themselves.
  const std::shared_ptr<grpc::Channel>& grpc_channel() const { return channel_; }

 private:
  struct OpenCall;
  struct OpenCalls;
  void Start(const char* path, const google::protobuf::MessageLite& request,
             std::shared_ptr<google::protobuf::MessageLite> reply, const CallOptions& options,
             std::function<void(const base::Status&)> done);

  const io::Address peer_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::shared_ptr<OpenCalls> open_;
};

}  // namespace rayx::rpc
