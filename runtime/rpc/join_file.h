// runtime/rpc/join_file.h
//
// The one file that lets a VM join: where the head is, how to know it, and the cluster's token.
// Owner:    the head writes it into its session folder; people copy it.
// Threads:  any.
// Promises: JSON, mode 0600; whatever is missing or wrong in it is an error that names file and
//           field.
// Limits:   64 KiB.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "rpc/credentials.h"

namespace rayx::rpc {

struct JoinFile {
  std::string address;         // ip:port of the head
  std::string ca_pem;          // the cluster's authority; empty = no TLS
  std::string ca_fingerprint;  // SHA-256 of it, for people to compare
  std::string token;
  // the cluster was started with --insecure: no TLS beyond loopback either
  bool insecure = false;
};

base::Status WriteJoinFile(const std::string& path, const JoinFile& join);
base::StatusOr<JoinFile> ReadJoinFile(const std::string& path);
// `name` stands for the file in errors.
base::StatusOr<JoinFile> ParseJoinFile(const std::string& text, const std::string& name);

// From `path` if not empty ("-" = standard input), else RAYX_JOIN_FILE, ~/.rayx/join, and standard
// input when that is no terminal; NotFound lists what was tried.
base::StatusOr<JoinFile> FindJoinFile(const std::string& path);

// What a client of this cluster needs; no certificate of its own.
ClusterCredentials ClientCredentials(const JoinFile& join);

}  // namespace rayx::rpc
