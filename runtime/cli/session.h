// runtime/cli/session.h
//
// The life of session folders on this VM: made, found again after a crash, cleaned.
// Owner:    the command line and the supervisor.
// Threads:  any (no state).
// Promises: nothing of a session is left after CleanFolder but logs/ with its logs and the record
//           of its stop (and, when asked, what tells why it ended); processes are signalled by
//           pidfd and only after their start time was compared, never by a recycled pid; old logs
//           are bounded.
#pragma once

#include <string>
#include <vector>

#include "base/fd.h"
#include "base/status.h"
#include "io/session_folder.h"

namespace rayx::cli {

// Why a session ended that nobody had stopped: ended.json.
struct Ending {
  std::string what;  // "the head", "the node daemon"
  int pid = 0;
  int signal = 0;
  int exit_code = 0;
  int64_t unix_ms = 0;
  std::vector<std::string> log_lines;
  std::string log_path;
  std::string ToString() const;  // several lines for a person
};
base::Status WriteEnding(const std::string& folder, const Ending& ending);
base::StatusOr<Ending> ReadEnding(const std::string& folder);

// That somebody stopped a session, or cleaned up after it, and nothing of it runs any more:
// logs/stopped.json, which is kept as long as its logs.
struct StopRecord {
  std::string head_address;
  bool had_head = true;  // the cluster ended; else this node of it alone
  int64_t unix_ms = 0;
};
void RecordStop(const io::SessionInfo& session);
// The newest one of the base folder.
base::StatusOr<StopRecord> LastStop(const std::string& base);

// A lock against two starts at once; released by closing.
base::StatusOr<base::UniqueFd> LockBase(const std::string& base);

// <base>/<cluster>-<pid> with logs/, both 0700.
base::StatusOr<std::string> MakeSessionFolder(const std::string& base, const std::string& cluster,
                                              int pid);

// Any of its processes still runs.
bool IsAlive(const io::SessionInfo& session);
// The running, not embedded sessions of this user: none, or one unless starts raced.
std::vector<io::SessionInfo> StartedSessions(const std::string& base);

// Ends what still runs of a session whose supervisor is gone or stuck: SIGTERM, then SIGKILL.
// Returns what could not be ended (pids).
std::vector<int> EndProcesses(const io::SessionInfo& session);
// Removes all but logs/ (and, with keep_ending, the files that tell why it ended).
void CleanFolder(const std::string& folder, bool keep_ending);
// Ends and cleans what crashed sessions left (embedded_only: a driver leaves started ones to `rayx
// start` and `stop`), and removes all but the newest few folders of logs.
void CleanUpDead(const std::string& base, bool embedded_only);

}  // namespace rayx::cli
