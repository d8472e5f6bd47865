// runtime/bin/daemon_options.h
//
// What head and node daemon share at their start.
// Owner:    main.     Threads: the main thread.
#pragma once

#include <string>

#include "base/status.h"
#include "cli/start_plan.h"

namespace rayx::bin {

struct DaemonOptions {
  std::string session_folder;
  int ready_fd = -1;
  int pipe_fd = -1;    // supervise
  int driver_pid = 0;  // supervise
};

// Of an internal command's arguments.
base::StatusOr<DaemonOptions> ParseDaemonOptions(int argc, char** argv);

// Log file in the session folder, open files, signals that must not kill.
base::Status PrepareDaemon(const DaemonOptions& options, const cli::LogBounds& logs,
                           const char* name);

// Once; the descriptor is closed afterwards.
void AnswerReady(int ready_fd, const cli::ReadyAnswer& answer);

int RunHead(const DaemonOptions& options);
int RunNode(const DaemonOptions& options);

}  // namespace rayx::bin
