// runtime/io/processes.h
//
// Children: start, watch, reap, signal.
// Owner:    a daemon.        Threads: the main thread alone starts children (PDEATHSIG follows the
//           thread that forks).
// Promises: a child inherits exactly the descriptors that are named, default signal handling and an
//           empty signal mask; it gets SIGKILL when the starting thread ends. A failed exec is an
//           error of Spawn, not a child that dies. Signals go by pidfd, so never to a recycled pid.
// Limits:   Linux >= 5.4 (pidfd_open, waitid P_PIDFD).
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/status.h"

namespace rayx::io {

struct SpawnOptions {
  std::string executable;                // absolute path
  std::vector<std::string> arguments;    // argv, the name included
  std::vector<std::string> environment;  // NAME=value, the whole of it
  std::string working_folder;            // "" = the parent's
  // {here, number in the child}; 0, 1, 2 default to /dev/null
  std::vector<std::pair<int, int>> fds;
  int death_signal = 9;  // 0 = outlives the parent
};

struct Process {
  pid_t pid = 0;
  base::UniqueFd pidfd;
};

struct ExitStatus {
  int signal = 0;                // that killed it, or 0
  int exit_code = 0;             // when it exited by itself
  std::string ToString() const;  // "was killed by signal 9 (Killed)", "exited with code 1"
};

base::StatusOr<Process> Spawn(const SpawnOptions& options);
// This process's own, for SpawnOptions.
std::vector<std::string> OwnEnvironment();

// For a process that cannot be reaped meanwhile by anybody else (a child, or a peer whose socket is
// still open). Invalid when there is none.
base::UniqueFd OpenPidfd(pid_t pid);
// True when all threads of the process are gone.
bool HasExited(int pidfd);
// The same, within a time.
bool WaitExited(int pidfd, std::chrono::milliseconds wait);
// What a child says when it is ready: one line, its end included, of at most 64 KiB.
// DeadlineExceeded; Unavailable when the pipe was closed before the end of the line.
base::StatusOr<std::string> ReadLine(int fd, std::chrono::milliseconds wait);
// A child's end, taking it from the process table; nothing when it still runs or is no child.
std::optional<ExitStatus> Reap(int pidfd);
bool Signal(int pidfd, int signal);

// From now on whoever loses its parent among the descendants of this process becomes its child,
// whatever session or group it has made for itself.
bool AdoptOrphans();
struct Child {
  pid_t pid = 0;
  bool is_zombie = false;
};
std::vector<Child> Children();
// Kills and reaps every child, also those that come to us by the death of another. False: some were
// left after `limit`.
bool EndAllChildren(std::chrono::milliseconds limit);

}  // namespace rayx::io
