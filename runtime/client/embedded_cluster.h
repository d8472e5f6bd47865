// runtime/client/embedded_cluster.h
//
// The one-VM cluster that a driver starts for itself.
//
// Purpose:  spawns `rayx start --head --embedded`, waits until it serves, ends it with the driver.
// Owner:    the ClusterClient that is connected to it.
// Threads:  one.
// Promises: it ends by end-of-file on a pipe that only the driver holds, and when the driver's
//           process is gone (its pid is handed over, because a user's fork keeps a pipe open). A
//           start that fails says how the starter ended and what it printed: InvalidArgument when
//           it refused an option, NotFound without a `rayx`, else Unavailable.
// Limits:   a start that takes longer than 30 s has failed.
#pragma once

#include <memory>
#include <string>

#include "base/fd.h"
#include "base/status.h"
#include "rayx/options.h"

namespace rayx::client {

class EmbeddedCluster {
 public:
  static base::StatusOr<std::shared_ptr<EmbeddedCluster>> Start(const Options& options);
  // Closes the pipe and waits (bounded) until the session is gone.
  ~EmbeddedCluster();
  const std::string& session_folder() const { return session_folder_; }
  const std::string& head_address() const { return head_address_; }

 private:
  EmbeddedCluster() = default;
  base::UniqueFd life_;         // write end; its closing ends the cluster
  int starter_ = 0;             // pid of `rayx start`, which becomes the supervisor
  base::UniqueFd starter_end_;  // its pidfd
  std::string session_folder_;
  std::string head_address_;
};

// RAYX_BIN, then beside the library or program, then PATH. NotFound lists what was tried.
base::StatusOr<std::string> FindRayxBinary();

}  // namespace rayx::client
