// Goal: each call ends once and by its deadline, whatever the server does; a server says why it
// cannot listen. Method: a real server and channel on loopback, ports given by the kernel.
#include "rpc/channel.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <chrono>
#include <future>

#include <catch2/catch.hpp>

#include "rpc/errors.h"
#include "tests/eventually.h"
#include "tests/unit/rpc/test_server.h"

namespace rayx::rpc {
namespace {

using std::chrono::milliseconds;

CallOptions Within(int ms, bool idempotent = false) {
  CallOptions options;
  options.deadline = milliseconds(ms);
  options.idempotent = idempotent;
  return options;
}

}  // namespace

TEST_CASE("RpcChannel: a call is answered") {
  TestServer test;
  REQUIRE(test.server.Start().ok());
  RpcChannel channel(test.server.address(), Role::kHead, test.options.credentials);
  const auto reply = channel.CallAndWait(kHeadStatus, proto::StatusRequest());
  REQUIRE(reply.ok());
  CHECK(reply->cluster() == "test");
}

TEST_CASE("RpcChannel: a typed error arrives as it was") {
  TestServer test;
  REQUIRE(test.server.Start().ok());
  RpcChannel channel(test.server.address(), Role::kHead, test.options.credentials);
  const auto reply = channel.CallAndWait(kHeadStop, proto::StopRequest());
  REQUIRE_FALSE(reply.ok());
  CHECK(CodeOf(reply.status()) == ErrorCode::kInfeasible);
  CHECK(ToErrorInfo(reply.status()).message() == "no room for a \"piano\"");
}

TEST_CASE("RpcChannel: a wrong token is Unauthenticated") {
  TestServer test;
  REQUIRE(test.server.Start().ok());
  ClusterCredentials wrong;
  wrong.token = RandomHex(kTokenBytes);
  RpcChannel channel(test.server.address(), Role::kHead, wrong);
  const auto reply = channel.CallAndWait(kHeadStatus, proto::StatusRequest(), Within(5000, true));
  CHECK(CodeOf(reply.status()) == ErrorCode::kUnauthenticated);
}

TEST_CASE("RpcChannel: nobody listens: an error that names the address, repeats or not") {
  io::Address address;
  {
    TestServer test;
    REQUIRE(test.server.Start().ok());
    address = test.server.address();
  }
  ClusterCredentials credentials;
  credentials.token = RandomHex(kTokenBytes);
  RpcChannel channel(address, Role::kHead, credentials);
  const auto once = channel.CallAndWait(kHeadStatus, proto::StatusRequest(), Within(20000));
  CHECK(once.status().code() == absl::StatusCode::kUnavailable);
  CHECK_THAT(std::string(base::Message(once.status())), Catch::Contains(address.ToString()));
  const auto repeated = channel.CallAndWait(kHeadStatus, proto::StatusRequest(), Within(300, true));
  CHECK_FALSE(repeated.ok());
}

TEST_CASE("RpcChannel: an idempotent call waits for a server that comes back") {
  ServerOptions options = PlainOptions();
  {
    TestServer first(options);
    REQUIRE(first.server.Start().ok());
    options.port = first.server.address().port;
  }
  RpcChannel channel({"127.0.0.1", options.port}, Role::kHead, options.credentials);
  std::promise<base::StatusOr<proto::StatusReply>> answer;
  channel.Call<proto::StatusRequest, proto::StatusReply>(
      kHeadStatus, {}, Within(30000, true),
      [&](base::StatusOr<proto::StatusReply> reply) { answer.set_value(std::move(reply)); });
  TestServer second(options);
  REQUIRE(second.server.Start().ok());
  CHECK(answer.get_future().get().ok());
}

TEST_CASE("RpcChannel: a call that was repeated and is over holds its connection no longer") {
  ServerOptions options = PlainOptions();
  {
    TestServer first(options);
    REQUIRE(first.server.Start().ok());
    options.port = first.server.address().port;
  }
  std::weak_ptr<grpc::Channel> connection;
  {
    RpcChannel channel({"127.0.0.1", options.port}, Role::kHead, options.credentials);
    connection = channel.grpc_channel();
    const auto reply = channel.CallAndWait(kHeadStatus, proto::StatusRequest(), Within(400, true));
    CHECK_FALSE(reply.ok());
  }
  CHECK(testing::Eventually([&] { return connection.expired(); }));
}

TEST_CASE("RpcServer: a connection without calls is closed after idle_max") {
  ServerOptions options = PlainOptions();
  options.idle_max = std::chrono::milliseconds(1000);
  TestServer test(options);
  REQUIRE(test.server.Start().ok());
  const auto stranger =
      grpc::CreateChannel(test.server.address().ToString(), grpc::InsecureChannelCredentials());
  const auto deadline = std::chrono::system_clock::now() + std::chrono::seconds(20);
  REQUIRE(stranger->WaitForConnected(deadline));
  CHECK(stranger->WaitForStateChange(GRPC_CHANNEL_READY, deadline));
}

TEST_CASE("RpcChannel: destroying it ends its open calls") {
  ServerOptions options = PlainOptions();
  TestServer test(options);
  std::promise<Responder<proto::JoinReply>> parked;
  test.server.Handle<proto::JoinRequest, proto::JoinReply>(
      kHeadJoin, [&](proto::JoinRequest&, Responder<proto::JoinReply> responder) {
        parked.set_value(std::move(responder));
      });
  REQUIRE(test.server.Start().ok());
  std::promise<base::Status> answer;
  auto channel =
      std::make_unique<RpcChannel>(test.server.address(), Role::kHead, options.credentials);
  channel->Call<proto::JoinRequest, proto::JoinReply>(
      kHeadJoin, {}, Within(60000),
      [&](base::StatusOr<proto::JoinReply> reply) { answer.set_value(reply.status()); });
  const auto responder = parked.get_future().get();
  channel.reset();
  CHECK(answer.get_future().get().code() == absl::StatusCode::kCancelled);
}

TEST_CASE("RpcChannel: a server that never answers is a deadline that names it") {
  TestServer test;
  std::promise<Responder<proto::JoinReply>> parked;
  test.server.Handle<proto::JoinRequest, proto::JoinReply>(
      kHeadJoin, [&](proto::JoinRequest&, Responder<proto::JoinReply> responder) {
        parked.set_value(std::move(responder));
      });
  REQUIRE(test.server.Start().ok());
  RpcChannel channel(test.server.address(), Role::kHead, test.options.credentials);
  const auto reply = channel.CallAndWait(kHeadJoin, proto::JoinRequest(), Within(200));
  CHECK(reply.status().code() == absl::StatusCode::kDeadlineExceeded);
  CHECK_THAT(std::string(base::Message(reply.status())),
             Catch::Contains("did not answer within 200 ms"));
}

TEST_CASE("RpcServer: a responder that is dropped answers") {
  TestServer test;
  test.drop_stop = true;
  REQUIRE(test.server.Start().ok());
  RpcChannel channel(test.server.address(), Role::kHead, test.options.credentials);
  const auto reply = channel.CallAndWait(kHeadStop, proto::StopRequest());
  CHECK(reply.status().code() == absl::StatusCode::kUnavailable);
}

TEST_CASE("RpcServer: a message too large is refused, the server goes on") {
  ServerOptions options = PlainOptions();
  options.message_bytes_max = 1024;
  TestServer test(options);
  REQUIRE(test.server.Start().ok());
  RpcChannel channel(test.server.address(), Role::kHead, options.credentials);
  proto::StopRequest request;
  request.set_reason(std::string(2000, 'x'));
  CHECK(channel.CallAndWait(kHeadStop, request).status().code() ==
        absl::StatusCode::kResourceExhausted);
  CHECK(channel.CallAndWait(kHeadStatus, proto::StatusRequest()).ok());
}

TEST_CASE("RpcServer: more open calls than the limit are refused, the others go on") {
  ServerOptions options = PlainOptions();
  options.calls_max = 1;
  TestServer test(options);
  std::promise<Responder<proto::JoinReply>> parked;
  test.server.Handle<proto::JoinRequest, proto::JoinReply>(
      kHeadJoin, [&](proto::JoinRequest&, Responder<proto::JoinReply> responder) {
        parked.set_value(std::move(responder));
      });
  REQUIRE(test.server.Start().ok());
  RpcChannel channel(test.server.address(), Role::kHead, options.credentials);
  std::promise<base::Status> answer;
  channel.Call<proto::JoinRequest, proto::JoinReply>(
      kHeadJoin, {}, Within(60000),
      [&](base::StatusOr<proto::JoinReply> reply) { answer.set_value(reply.status()); });
  auto responder = parked.get_future().get();
  CHECK(channel.CallAndWait(kHeadStatus, proto::StatusRequest()).status().code() ==
        absl::StatusCode::kResourceExhausted);
  responder.Reply(proto::JoinReply());
  CHECK(answer.get_future().get().ok());
}

TEST_CASE("RpcServer: a port in use, an address of another VM, no permission: each says so") {
  TestServer first;
  REQUIRE(first.server.Start().ok());
  ServerOptions options = PlainOptions();
  options.port = first.server.address().port;
  TestServer second(options);
  const base::Status used = second.server.Start();
  CHECK_THAT(std::string(base::Message(used)), Catch::Contains("the port is in use"));
  options.port = 0;
  options.ip = "192.0.2.1";
  TestServer third(options);
  CHECK_THAT(std::string(base::Message(third.server.Start())),
             Catch::Contains("not an address of this VM"));
}

}  // namespace rayx::rpc
