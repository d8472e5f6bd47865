// runtime/node/program_identity.h
//
// Whether the program that a driver runs is the one that lies on this VM.
// Owner:    NodeShell.
// Threads:  the node loop only.
// Inputs:   paths and hashes out of messages; files of this VM.
// Promises: a program gets the same key on every VM; another build or no file at the path is told
//           by name (MissingLibrary, LibraryMismatch) before a worker is started. A file is hashed
//           once as long as its device, inode, size and times stay.
// Limits:   the executable itself; the libraries that it loads are not compared.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>

#include "base/status.h"
#include "proto/types.pb.h"

namespace rayx::node {

class ProgramIdentity {
 public:
  // Fills in key and executable_sha256 of a program of this VM's driver. NotFound: it cannot be
  // read.
  base::Status Complete(proto::Program& program);
  // A program that a driver elsewhere runs. error.code 0: it lies here too, and is the same.
  proto::ErrorInfo Check(const proto::Program& program, const std::string& host_name);

 private:
  using FileState = std::tuple<uint64_t, uint64_t, int64_t, int64_t, int64_t>;
  base::StatusOr<std::string> FileHash(const std::string& path);

  std::map<FileState, std::string> hashes_;
};

}  // namespace rayx::node
