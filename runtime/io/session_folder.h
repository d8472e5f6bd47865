// runtime/io/session_folder.h
//
// What `rayx start` leaves on disk while it runs, and how others on this VM find it.
//
//   <base>/                     RAYX_SESSION_DIR, else $XDG_RUNTIME_DIR/rayx, else /tmp/rayx-<uid>
//     <cluster>-<pid>/          one started session, 0700; pid of the `rayx start`
//       session.json            SessionInfo
//       node.sock               the node daemon's SOCK_SEQPACKET socket for drivers
//       join                    the join file, 0600: what other VMs need (rpc/join_file.h)
//       ended.json              why head or node died (cli/), until the next start or stop
//       parts/                  files of other VMs' programs (node/)
//       jobs/                   working folders of jobs whose driver's folder is not here (node/)
//       logs/                   head.log node.log supervisor.log and the workers' output;
//                               stopped.json (cli/) after an orderly end
//
// Owner:    cli/ writes; client/, node/ and cli/ read.
// Threads:  any (no state).
// Promises: files are replaced atomically; whatever is wrong in them is an error that names the
//           file; a base folder that others may write is refused.
// Limits:   the path of node.sock has to fit sun_path (108 bytes).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"

namespace rayx::io {

// A process that cannot be mistaken for a later one with its pid.
struct ProcessStamp {
  pid_t pid = 0;
  uint64_t start_ticks = 0;  // field 22 of /proc/<pid>/stat
  explicit operator bool() const { return pid > 0; }
  friend bool operator==(const ProcessStamp&, const ProcessStamp&) = default;
};
ProcessStamp StampOf(pid_t pid);              // {0, 0} when there is no such process
bool IsRunning(const ProcessStamp& process);  // a zombie does not run
bool IsStopped(const ProcessStamp& process);  // by SIGSTOP and its kin: runs, and does nothing

struct SessionInfo {
  std::string folder;        // absolute; not in the file
  std::string head_address;  // ip:port
  std::string cluster;       // id
  uint32_t node_number = 0;  // 0 until the node daemon has registered
  ProcessStamp supervisor;
  ProcessStamp head;  // {0, 0}: the head is on another VM
  ProcessStamp node;
  int64_t started_unix_ms = 0;
  bool embedded = false;  // belongs to one driver: never found by FindSession
  std::string socket_path() const { return folder + "/node.sock"; }
  std::string join_path() const { return folder + "/join"; }
  std::string logs_folder() const { return folder + "/logs"; }
};

// The base folder's path. Only reads the environment.
std::string SessionBase();
// Makes it, 0700, or checks that only we may write it. InvalidArgument if RAYX_SESSION_DIR names
// it.
base::Status PrepareSessionBase(const std::string& base);

base::Status WriteSession(const SessionInfo& session);
base::StatusOr<SessionInfo> ReadSession(const std::string& folder);

// Every session folder of the base, newest first. What cannot be read is told in `problems`.
std::vector<SessionInfo> ListSessions(const std::string& base,
                                      std::vector<std::string>* problems = nullptr);

// The started session of this user whose head is at `head_address` ("ip:port"), or the only one
// ("auto"), and whose daemon accepts connections. NotFound lists what was tried and says to start
// a node; several are an InvalidArgument that names them. Embedded sessions are never found.
base::StatusOr<SessionInfo> FindSession(const std::string& head_address);

// The one line that `rayx start --ready-fd N` writes to N: the outcome of the start.
struct StartAnswer {
  std::string error;  // empty = it serves
  std::string head_address;
  std::string session_folder;
};
// Its exit code, and that of every other command, when what was asked is wrong in itself.
constexpr int kUsageExit = 2;
std::string FormatStartAnswer(const StartAnswer& answer);  // ends with a newline
base::StatusOr<StartAnswer> ParseStartAnswer(const std::string& line);

}  // namespace rayx::io
