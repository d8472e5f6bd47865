// runtime/rpc/credentials.h
//
// What a process holds to speak to its cluster: the token, and beyond loopback TLS.
// Owner:    values, handed to servers and channels.     Threads: any.
// Promises: with a ca_pem everything is TLS 1.2 or later and the peer's role is checked; without,
//           plain TCP: for loopback and --insecure only, which whoever starts a server decides.
#pragma once

#include <memory>
#include <string>

#include "rpc/certificate.h"

namespace grpc {
class ChannelCredentials;
class ServerCredentials;
}  // namespace grpc

namespace rayx::rpc {

struct ClusterCredentials {
  std::string token;            // 64 hex digits
  std::string ca_pem;           // empty = no TLS
  std::string certificate_pem;  // this server's; clients have none
  std::string key_pem;
  bool tls() const { return !ca_pem.empty(); }
};

std::shared_ptr<grpc::ServerCredentials> MakeServerCredentials(const ClusterCredentials& own);
std::shared_ptr<grpc::ChannelCredentials> MakeChannelCredentials(const ClusterCredentials& own);

}  // namespace rayx::rpc
