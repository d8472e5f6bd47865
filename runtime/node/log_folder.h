// runtime/node/log_folder.h
//
// Bounds what all the logs of a session take on disk. (Each alone is bounded by whoever writes it.)
// Owner:    WorkerStarter.
// Threads:  the node loop only.
// Promises: what ended processes left goes first, oldest first, then the old files of those that
//           live; a file that is being written is never removed. Each removal is told in the node
//           daemon's log. A daemon's *.err, which it does not write by itself, begins anew when it
//           is full, and says so.
// Limits:   between two sweeps the folder may be larger.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace rayx::node {

struct LogLimits {
  uint64_t file_bytes_max = 16u << 20;
  uint32_t files_max = 4;  // of one process: the one that is written and old ones
  uint64_t total_bytes_max = 1u << 30;
};

struct LogFile {
  std::string name;  // worker-7.log.1
  uint64_t bytes = 0;
  int64_t changed = 0;  // any scale
};

// Which to remove so that the rest has at most `bytes_max`, if possible. `written` holds the names
// of the logs that live processes write. Pure.
std::vector<LogFile> LogsToRemove(std::vector<LogFile> files, const std::set<std::string>& written,
                                  uint64_t bytes_max);

void SweepLogs(const std::string& folder, const std::set<std::string>& written,
               const LogLimits& limits);

}  // namespace rayx::node
