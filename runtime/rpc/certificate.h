// runtime/rpc/certificate.h
//
// The cluster's own certificate authority (EC P-256, SHA-256), used beyond loopback.
// Owner:    the head holds the CertificateAuthority; its key never leaves the head's memory.
// Threads:  any (the authority is immutable).
// Promises: a signing request from a peer is bounded and checked; only its public key is taken,
//           every name in the certificate is ours. Certificates name a role ("head.rayx",
//           "node.rayx") and an address; clients check the role, so that a node cannot pose as the
//           head.
// Limits:   no revocation: a node is shut out by a new cluster.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"

namespace rayx::rpc {

enum class Role { kHead, kNode };
const char* RoleHostName(Role role);  // "head.rayx"

struct SigningRequest {
  std::string key_pem;  // private: stays where it was made
  std::string request_pem;
};
base::StatusOr<SigningRequest> MakeSigningRequest();

// SHA-256 of a PEM certificate, lower-case hex.
base::StatusOr<std::string> CertificateFingerprint(const std::string& certificate_pem);

class CertificateAuthority {
 public:
  static base::StatusOr<std::unique_ptr<CertificateAuthority>> Make(const std::string& cluster);
  ~CertificateAuthority();

  const std::string& certificate_pem() const { return certificate_pem_; }
  // InvalidArgument says what is wrong with the request.
  base::StatusOr<std::string> Sign(const std::string& request_pem, Role role,
                                   const std::string& ip) const;

 private:
  struct Keys;
  explicit CertificateAuthority(std::unique_ptr<Keys> keys, std::string certificate_pem);

  const std::unique_ptr<Keys> keys_;
  const std::string certificate_pem_;
};

}  // namespace rayx::rpc
