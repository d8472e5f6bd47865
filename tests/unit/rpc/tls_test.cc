// Goal: beyond loopback both ends know each other: right authority, right role. Method: a
// certificate authority, signed servers and channels on loopback, one thing wrong at a time.
#include <catch2/catch.hpp>

#include "rpc/certificate.h"
#include "rpc/channel.h"
#include "rpc/errors.h"
#include "rpc/join.h"
#include "tests/unit/rpc/test_server.h"

namespace rayx::rpc {
namespace {

ClusterCredentials SignedBy(const CertificateAuthority& authority, Role role) {
  const SigningRequest request = MakeSigningRequest().value();
  ClusterCredentials credentials;
  credentials.token = RandomHex(kTokenBytes);
  credentials.ca_pem = authority.certificate_pem();
  credentials.key_pem = request.key_pem;
  credentials.certificate_pem = authority.Sign(request.request_pem, role, "10.1.2.3").value();
  return credentials;
}

ServerOptions With(const ClusterCredentials& credentials) {
  ServerOptions options;
  options.credentials = credentials;
  return options;
}

CallOptions Short() {
  CallOptions options;
  options.deadline = std::chrono::milliseconds(4000);
  return options;
}

}  // namespace

TEST_CASE("Tls: a call between members of one cluster") {
  const auto authority = CertificateAuthority::Make("test").value();
  const ClusterCredentials own = SignedBy(*authority, Role::kHead);
  TestServer test(With(own));
  REQUIRE(test.server.Start().ok());
  ClusterCredentials client;
  client.token = own.token;
  client.ca_pem = own.ca_pem;
  RpcChannel channel(test.server.address(), Role::kHead, client);
  CHECK(channel.CallAndWait(kHeadStatus, proto::StatusRequest()).ok());
}

TEST_CASE("Tls: another authority, another role, and plain TCP are refused") {
  const auto authority = CertificateAuthority::Make("test").value();
  const ClusterCredentials own = SignedBy(*authority, Role::kNode);
  TestServer test(With(own));
  REQUIRE(test.server.Start().ok());
  ClusterCredentials client;
  client.token = own.token;

  client.ca_pem = CertificateAuthority::Make("test").value()->certificate_pem();
  RpcChannel other(test.server.address(), Role::kNode, client);
  CHECK_FALSE(other.CallAndWait(kHeadStatus, proto::StatusRequest(), Short()).ok());

  client.ca_pem = own.ca_pem;
  RpcChannel as_head(test.server.address(), Role::kHead, client);
  CHECK_FALSE(as_head.CallAndWait(kHeadStatus, proto::StatusRequest(), Short()).ok());
  RpcChannel as_node(test.server.address(), Role::kNode, client);
  CHECK(as_node.CallAndWait(kHeadStatus, proto::StatusRequest(), Short()).ok());

  client.ca_pem.clear();
  RpcChannel plain(test.server.address(), Role::kNode, client);
  CHECK_FALSE(plain.CallAndWait(kHeadStatus, proto::StatusRequest(), Short()).ok());
}

TEST_CASE("Tls: a signing request from a peer is checked") {
  const auto authority = CertificateAuthority::Make("test").value();
  const std::string good = MakeSigningRequest().value().request_pem;
  CHECK(authority->Sign(good, Role::kNode, "10.0.0.7").ok());
  CHECK_FALSE(authority->Sign(good, Role::kNode, "10.0.0.7,DNS:head.rayx").ok());
  CHECK_FALSE(authority->Sign("", Role::kNode, "10.0.0.7").ok());
  CHECK_FALSE(authority->Sign(std::string(20000, 'A'), Role::kNode, "10.0.0.7").ok());
  CHECK_FALSE(authority->Sign(authority->certificate_pem(), Role::kNode, "10.0.0.7").ok());
  std::string broken = good;
  broken[broken.size() / 2] = broken[broken.size() / 2] == 'A' ? 'B' : 'A';
  CHECK_FALSE(authority->Sign(broken, Role::kNode, "10.0.0.7").ok());
}

TEST_CASE("Tls: joining gives a certificate that other members accept") {
  const auto authority = CertificateAuthority::Make("test").value();
  const ClusterCredentials own = SignedBy(*authority, Role::kHead);
  TestServer head(With(own));
  head.server.Handle<proto::JoinRequest, proto::JoinReply>(
      kHeadJoin, [&](proto::JoinRequest& request, Responder<proto::JoinReply> responder) {
        proto::JoinReply reply;
        reply.set_cluster("c1");
        reply.set_certificate_pem(
            authority->Sign(request.certificate_request_pem(), Role::kNode, request.ip()).value());
        responder.Reply(reply);
      });
  REQUIRE(head.server.Start().ok());
  JoinFile join;
  join.address = head.server.address().ToString();
  join.token = own.token;
  join.ca_pem = own.ca_pem;
  const std::chrono::milliseconds wait(5000);
  const auto member = JoinCluster(join, head.server.address(), "127.0.0.1", wait);
  REQUIRE(member.ok());
  CHECK(member->cluster == "c1");
  TestServer node(With(member->credentials));
  REQUIRE(node.server.Start().ok());
  RpcChannel channel(node.server.address(), Role::kNode, own);
  CHECK(channel.CallAndWait(kHeadStatus, proto::StatusRequest()).ok());

  join.token = RandomHex(kTokenBytes);
  const auto refused = JoinCluster(join, head.server.address(), "127.0.0.1", wait);
  CHECK(CodeOf(refused.status()) == ErrorCode::kUnauthenticated);
  join.token = own.token;
  join.ca_pem = CertificateAuthority::Make("other").value()->certificate_pem();
  const auto start = std::chrono::steady_clock::now();
  const auto foreign =
      JoinCluster(join, head.server.address(), "127.0.0.1", std::chrono::seconds(30));
  CHECK(CodeOf(foreign.status()) == ErrorCode::kUnauthenticated);
  CHECK_THAT(std::string(base::Message(foreign.status())),
             Catch::Contains(join.address) && Catch::Contains("of another cluster"));
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(15));  // not repeated
  join.ca_pem.clear();
  const auto plain =
      JoinCluster(join, head.server.address(), "127.0.0.1", std::chrono::milliseconds(500));
  CHECK(CodeOf(plain.status()) == ErrorCode::kHeadUnavailable);
}

TEST_CASE("Tls: other versions are named on both sides") {
  const model::Versions ours = model::OwnVersions(model::kNoLayout);
  proto::Versions theirs;
  model::VersionsToWire(ours, theirs);
  CHECK(CheckVersions("the head", ours, "the node", theirs).ok());
  theirs.set_release("9.9.9");
  const base::Status status = CheckVersions("the head", ours, "the node", theirs);
  CHECK(CodeOf(status) == ErrorCode::kVersionMismatch);
  CHECK_THAT(std::string(base::Message(status)),
             Catch::Contains("9.9.9") && Catch::Contains(ours.release));
}

}  // namespace rayx::rpc
