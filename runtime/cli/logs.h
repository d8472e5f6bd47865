// runtime/cli/logs.h
//
// `rayx logs`: which log files there are and whose, and what is in them.
// Owner:    the command line.
// Threads:  one.
// Promises: where less than was asked for is shown, stderr says so; exit code 0 only when nothing
//           has failed. A log's lines are whole.
// Limits:   whose file a worker's is, is known while its cluster runs and the worker lives, and is
//           asked for 2 s at most. --follow looks five times a second: files that were begun and
//           full between two looks are shown as long as they are there, else their loss is told; a
//           line is shown once its end is written or the file is removed.
#pragma once

#include <cstdint>
#include <string>

#include "proto/node.pb.h"

namespace rayx::cli {

struct LogOptions {
  std::string file;      // "" = list them
  uint32_t tail = 1000;  // lines
  uint32_t node = 0;     // 0 = this VM's session, the last one if none runs
  bool names = false;    // only the files' names, without a question to the cluster
  bool follow = false;   // of this VM: print what is added until interrupted or the file is removed
};
int RunLogs(const LogOptions& options);

// Whose log the file is: "head", "p1.3 actor, Counter::Add"; "worker, ended" when `state` does not
// have it. `state` may be nullptr: nobody could be asked.
std::string LogOwner(const std::string& file, const proto::NodeState* state);

}  // namespace rayx::cli
