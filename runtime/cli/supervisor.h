// runtime/cli/supervisor.h
//
// The small process that a start leaves behind: parent of head and node daemon.
// Owner:    `rayx supervise`, one a session.
// Threads:  one.
// Inputs:   start.json in the session folder; signals; the ends of its children and of its driver.
// Outputs:  session.json, ended.json; one StartAnswer line on the readiness descriptor.
// Promises: when the node daemon dies, some seconds after the head has, or when it is told to end
//           (SIGTERM, SIGINT, its driver's end), it ends the others in order (head, node, whatever
//           they left), removes all of the session but its logs (and, after a death, what tells
//           why), and returns. Its own death by SIGKILL reaches the children as SIGTERM.
// Limits:   starts nothing anew. Uses no gRPC.
#pragma once

#include <string>

namespace rayx::cli {

struct SupervisorOptions {
  std::string session_folder;
  int ready_fd = -1;
  // Of an embedded cluster: it ends with end-of-file on the pipe or with the driver.
  int pipe_fd = -1;
  int driver_pid = 0;
};

// The exit code: 0 = it was told to end.
int Supervise(const SupervisorOptions& options);

}  // namespace rayx::cli
