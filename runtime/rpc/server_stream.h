// runtime/rpc/server_stream.h
//
// One open streaming call on the server's side (Node.Frames, Node.FetchPart): messages in and
// out, typed.
// Owner:    itself: made by the factory given to RpcServer::HandleStream, deletes itself in OnDone.
// Threads:  callbacks come on gRPC's threads, of one kind one at a time; the calls below from any.
// Promises: authorised before it is made; a message that cannot be parsed ends the stream.
// Limits:   one Read and one Write open at a time; a unary-in stream (FetchPart) reads once.
#pragma once

#include <atomic>
#include <memory>

#include <google/protobuf/message_lite.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include "base/status.h"
#include "rpc/errors.h"

namespace rayx::rpc {

class ServerStreamBase : public grpc::ServerGenericBidiReactor {
 public:
  // Called once the call belongs to the server: start reading here, not in the constructor.
  virtual void OnOpen() = 0;
  // Ends the call with this status; nothing may be read or written afterwards. The first call
  // decides, later ones do nothing (gRPC aborts the process at a second Finish).
  void Close(const base::Status& status) {
    if (!closed_.exchange(true)) Finish(ToGrpc(status));
  }

 protected:
  void OnReadDone(bool ok) final {
    if (ok) {
      Parse();
    } else {
      OnEnd();
    }
  }
  void OnWriteDone(bool ok) final { OnWritten(ok); }
  void OnDone() override { delete this; }

  virtual void OnEnd() {}  // the peer sends no more
  // The peer has sent bytes that are no message; nothing more is read. Must end in Close(why).
  virtual void OnMalformed(const base::Status& why) { Close(why); }
  virtual void OnWritten(bool) {}  // false: the stream is broken
  virtual void Parse() = 0;

  grpc::ByteBuffer incoming_;
  grpc::ByteBuffer outgoing_;

 private:
  std::atomic<bool> closed_{false};
};

template <typename In, typename Out>
class ServerStream : public ServerStreamBase {
 public:
  void Read() { StartRead(&incoming_); }
  void Write(const Out& message) {
    bool own = false;
    // What was written last is still in it, and gRPC aborts when it is to fill such a buffer.
    outgoing_.Clear();
    const grpc::Status status =
        grpc::GenericSerialize<grpc::ProtoBufferWriter, Out>(message, &outgoing_, &own);
    if (!status.ok()) return OnWritten(false);
    StartWrite(&outgoing_);
  }

 protected:
  virtual void OnMessage(In& message) = 0;

 private:
  void Parse() final {
    In message;
    const grpc::Status status =
        grpc::GenericDeserialize<grpc::ProtoBufferReader, In>(&incoming_, &message);
    if (!status.ok()) return OnMalformed(absl::InvalidArgumentError("bytes that are no message"));
    OnMessage(message);
  }
};

}  // namespace rayx::rpc
