// tests/unit/rpc/test_server.h
//
// A server of the head's service for the tests of this folder: Status answers with `cluster`.
#pragma once

#include <memory>
#include <string>

#include <catch2/catch.hpp>

#include "rpc/errors.h"
#include "rpc/secret.h"
#include "rpc/server.h"

namespace rayx::rpc {

inline ServerOptions PlainOptions() {
  ServerOptions options;
  options.credentials.token = RandomHex(kTokenBytes);
  return options;
}

struct TestServer {
  explicit TestServer(ServerOptions given = PlainOptions())
      : options(std::move(given)), server(options) {
    server.Handle<proto::StatusRequest, proto::StatusReply>(
        kHeadStatus, [this](proto::StatusRequest&, Responder<proto::StatusReply> responder) {
          ++calls;
          proto::StatusReply reply;
          reply.set_cluster("test");
          responder.Reply(reply);
        });
    server.Handle<proto::StopRequest, proto::StopReply>(
        kHeadStop, [this](proto::StopRequest&, Responder<proto::StopReply> responder) {
          ++calls;
          if (drop_stop) return;  // the responder dies unanswered
          responder.Fail(MakeError(ErrorCode::kInfeasible, "no room for a \"piano\""));
        });
  }

  const ServerOptions options;
  std::atomic<int> calls{0};
  bool drop_stop = false;
  RpcServer server;
};

}  // namespace rayx::rpc
