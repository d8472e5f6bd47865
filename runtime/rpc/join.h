// runtime/rpc/join.h
//
// How a node becomes a member: it proves the token, compares versions, and beyond loopback gets its
// certificate by a signing request. Joining needs only the join file and the head's address.
// Owner:    `rayx node` at its start.       Threads: the caller's; waits for the head.
// Promises: the errors that a person has to tell apart are apart: the head cannot be reached, the
//           token is wrong, the versions differ, the certificate is not that of the join file.
#pragma once

#include <chrono>
#include <string>

#include "base/status.h"
#include "io/address.h"
#include "model/versions.h"
#include "proto/types.pb.h"
#include "rpc/credentials.h"
#include "rpc/join_file.h"

namespace rayx::rpc {

struct Membership {
  std::string cluster;
  ClusterCredentials credentials;  // with a certificate for `ip` when the cluster uses TLS
};

// `head` may differ from the join file's address (another way to the same head). `ip`: where this
// node's server will listen.
base::StatusOr<Membership> JoinCluster(const JoinFile& join, const io::Address& head,
                                       const std::string& ip, std::chrono::milliseconds wait);

// VersionMismatch names both sides, `we` and `they`.
base::Status CheckVersions(const std::string& we, const model::Versions& ours,
                           const std::string& they, const proto::Versions& theirs);

}  // namespace rayx::rpc
