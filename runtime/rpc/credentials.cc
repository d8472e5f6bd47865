#include "rpc/credentials.h"

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>

#include "base/check.h"

namespace rayx::rpc {

std::shared_ptr<grpc::ServerCredentials> MakeServerCredentials(const ClusterCredentials& own) {
  if (!own.tls()) return grpc::InsecureServerCredentials();
  RAYX_CHECK(!own.certificate_pem.empty() && !own.key_pem.empty(),
             "a TLS server has a certificate");
  // The token says who a client is: no client certificates.
  grpc::SslServerCredentialsOptions options(GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
  options.pem_key_cert_pairs.push_back({own.key_pem, own.certificate_pem});
  return grpc::SslServerCredentials(options);
}

std::shared_ptr<grpc::ChannelCredentials> MakeChannelCredentials(const ClusterCredentials& own) {
  if (!own.tls()) return grpc::InsecureChannelCredentials();
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = own.ca_pem;
  return grpc::SslCredentials(options);
}

}  // namespace rayx::rpc
