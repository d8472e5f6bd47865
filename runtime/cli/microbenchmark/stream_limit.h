// runtime/cli/microbenchmark/stream_limit.h
//
// One stream between two VMs without RayX: the limit of a transfer.
//
// Purpose:  a TCP socket, or TLS 1.3 on it (OpenSSL), moves what a transfer moves, memory to
//           memory.
// Owner:    a sampler.
// Threads:  the main thread; each end is a part (fresh_program.h) in its VM.
// Promises: the receiver compares every byte after the time was taken. Its memory was touched
//           before, as that of a store that has had objects.
#pragma once

#include <memory>
#include <vector>

#include "cli/microbenchmark/fresh_program.h"
#include "cli/microbenchmark/vm_cluster.h"

namespace rayx::cli {

// From VM 1 to VM 2.
class StreamLimit {
 public:
  StreamLimit(const std::shared_ptr<VmCluster>& cluster, Wire wire);

  // Sends kTransferBytes, until the receiver says that it has them all. Seconds.
  double Seconds();

 private:
  VmProgram receiver_;
  VmProgram sender_;
};

std::vector<Part> StreamParts();

}  // namespace rayx::cli
