// Goal: nobody calls anything without the token. Method: every method of every service of the
// linked descriptors, and names that are no method, are called by generic stubs without a token and
// with wrong ones; a new method is covered by itself.
#include <chrono>
#include <future>
#include <string>
#include <vector>

#include <google/protobuf/descriptor.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>
#include <catch2/catch.hpp>

#include "rpc/channel.h"
#include "tests/unit/rpc/test_server.h"

namespace rayx::rpc {
namespace {

std::vector<std::string> AllMethods() {
  std::vector<std::string> paths;
  for (const auto* file : {proto::StatusRequest::descriptor()->file(),
                           proto::NodeStateRequest::descriptor()->file()}) {
    for (int s = 0; s < file->service_count(); ++s) {
      const auto* service = file->service(s);
      for (int m = 0; m < service->method_count(); ++m) {
        paths.push_back("/" + service->full_name() + "/" + service->method(m)->name());
      }
    }
  }
  return paths;
}

class RawClient {
 public:
  explicit RawClient(const io::Address& address)
      : stub_(grpc::CreateChannel(address.ToString(), grpc::InsecureChannelCredentials())) {}

  grpc::Status Call(const std::string& path, const std::vector<std::string>& authorization,
                    bool deadline = true, const std::string& body = "") {
    grpc::ClientContext context;
    for (const auto& value : authorization) context.AddMetadata("authorization", value);
    if (deadline) context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    const grpc::Slice slice(body);
    grpc::ByteBuffer request(&slice, 1);
    grpc::ByteBuffer reply;
    std::promise<grpc::Status> answer;
    stub_.UnaryCall(&context, path, {}, &request, &reply,
                    [&](grpc::Status status) { answer.set_value(std::move(status)); });
    return answer.get_future().get();
  }

 private:
  grpc::GenericStub stub_;
};

}  // namespace

TEST_CASE("Auth: every method of every service refuses a call without the token") {
  TestServer test;
  REQUIRE(test.server.Start().ok());
  RawClient client(test.server.address());
  std::vector<std::string> paths = AllMethods();
  REQUIRE(paths.size() >= 22);
  paths.insert(paths.end(), {"/rayx.proto.Head/NoSuchMethod", "/grpc.health.v1.Health/Check", "/x",
                             "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"});
  const std::string& token = test.options.credentials.token;
  const std::vector<std::vector<std::string>> wrong = {
      {},
      {""},
      {"Bearer "},
      {token},
      {"bearer " + token},
      {"Bearer " + token + "0"},
      {"Bearer " + token.substr(0, 63)},
      {"Bearer " + RandomHex(kTokenBytes)},
      {"Bearer " + token, "Bearer " + token},
      {"Bearer " + std::string(4000, '0')},
  };
  for (const auto& path : paths) {
    for (const auto& authorization : wrong) {
      const grpc::Status status = client.Call(path, authorization);
      INFO(path << " with " << authorization.size() << " values: " << status.error_message());
      CHECK(status.error_code() == grpc::StatusCode::UNAUTHENTICATED);
    }
  }
  CHECK(test.calls == 0);
}

TEST_CASE("Auth: with the token a call is handled, an unknown method is named") {
  TestServer test;
  REQUIRE(test.server.Start().ok());
  RawClient client(test.server.address());
  const std::string bearer = "Bearer " + test.options.credentials.token;
  CHECK(client.Call("/rayx.proto.Head/Status", {bearer}).ok());
  const grpc::Status unknown = client.Call("/rayx.proto.Head/NoSuchMethod", {bearer});
  CHECK(unknown.error_code() == grpc::StatusCode::UNIMPLEMENTED);
  CHECK_THAT(unknown.error_message(), Catch::Contains("/rayx.proto.Head/NoSuchMethod"));
  CHECK(test.calls == 1);
}

TEST_CASE("Auth: a call without a deadline is refused") {
  TestServer test;
  REQUIRE(test.server.Start().ok());
  RawClient client(test.server.address());
  const std::string bearer = "Bearer " + test.options.credentials.token;
  const grpc::Status status = client.Call("/rayx.proto.Head/Status", {bearer}, false);
  CHECK(status.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  CHECK_THAT(status.error_message(), Catch::Contains("deadline"));
}

TEST_CASE("RpcServer: bytes that are no message are refused, the server goes on") {
  TestServer test;
  REQUIRE(test.server.Start().ok());
  RawClient client(test.server.address());
  const std::string bearer = "Bearer " + test.options.credentials.token;
  for (const std::string& body :
       {std::string("\xff\xff\xff"), std::string("\x0a\x7f"), std::string(1, '\0')}) {
    const grpc::Status status = client.Call("/rayx.proto.Head/Stop", {bearer}, true, body);
    CHECK(status.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  }
  CHECK(test.calls == 0);
  // A user's text that is no UTF-8 is no such thing: the handler gets it.
  client.Call("/rayx.proto.Head/Stop", {bearer}, true, std::string("\x0a\x02\xc3\x28"));
  CHECK(test.calls == 1);
  CHECK(client.Call("/rayx.proto.Head/Status", {bearer}).ok());
}

}  // namespace rayx::rpc
