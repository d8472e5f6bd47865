#include "cli/stop.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "cli/session.h"
#include "io/processes.h"

namespace rayx::cli {
namespace {

// Longer than the supervisor gives head and node together.
constexpr std::chrono::seconds kSupervisorWait(20);

// The orderly way: the supervisor ends the others and cleans up.
bool AskSupervisor(const io::SessionInfo& session) {
  const base::UniqueFd pidfd = io::OpenPidfd(session.supervisor.pid);
  if (!pidfd || !io::IsRunning(session.supervisor)) return false;
  io::Signal(pidfd.get(), SIGTERM);
  io::Signal(pidfd.get(), SIGCONT);  // a stopped one hears nothing else
  return io::WaitExited(pidfd.get(), kSupervisorWait);
}

bool Stop(const io::SessionInfo& session) {
  const bool orderly = AskSupervisor(session);
  const std::vector<int> left = EndProcesses(session);
  CleanFolder(session.folder, false);
  if (left.empty()) RecordStop(session);  // the supervisor has not if it was dead or had failed
  if (!left.empty()) {
    std::cerr << "rayx stop: could not end pid " << absl::StrJoin(left, ", ") << "\n";
    return false;
  }
  std::cout << (session.head ? "Stopped the cluster at " : "Stopped this node of the cluster at ")
            << session.head_address
            << (orderly ? "" : ", which had crashed; ended and removed what it had left") << ".\n";
  return true;
}

}  // namespace

int RunStop() {
  const std::string base = io::SessionBase();
  bool found = false;
  bool stopped = true;
  std::vector<std::string> problems;
  for (const io::SessionInfo& session : io::ListSessions(base, &problems)) {
    if (session.embedded) continue;
    found = true;
    stopped = Stop(session) && stopped;
  }
  const bool there = ::access(base.c_str(), F_OK) == 0 || errno != ENOENT;
  if (there && !problems.empty()) {
    std::cerr << "rayx stop: " << absl::StrJoin(problems, "; ")
              << "; what is in there cannot be ended. If a `rayx supervise` with that folder runs, "
                 "end it with SIGTERM, then remove the folder\n";
    return 1;
  }
  if (!found) std::cout << "No session of this user runs on this VM (looked in " << base << ").\n";
  return stopped ? 0 : 1;
}

}  // namespace rayx::cli
