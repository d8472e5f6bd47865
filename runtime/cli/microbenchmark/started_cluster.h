// runtime/cli/microbenchmark/started_cluster.h
//
// A cluster of `rayx start --head`, for one sample.
//
// Purpose:  what users wait for, and what daemons cost.
// Owner:    a sampler.
// Threads:  the main thread.
// Promises: has a session folder and a port of its own. Is stopped, and its folder gone, by the
//           end of the destructor, and soon after the end of this process, however it ends.
#pragma once

#include <string>
#include <vector>

#include "base/fd.h"
#include "io/processes.h"
#include "io/session_folder.h"

namespace rayx::cli {

class StartedCluster {
 public:
  // Returns when the command has ended. Throws std::runtime_error when it fails.
  StartedCluster();
  StartedCluster(const StartedCluster&) = delete;
  StartedCluster& operator=(const StartedCluster&) = delete;
  ~StartedCluster();

  // NAME=value for programs of this cluster.
  std::vector<std::string> Environment() const;
  io::SessionInfo Session() const;

 private:
  void StartStopper();
  void StartHead();

  std::string base_;  // the session folders' folder
  base::UniqueFd stopper_input_;
  io::Process stopper_;
};

}  // namespace rayx::cli
