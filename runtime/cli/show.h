// runtime/cli/show.h
//
// `rayx status`, `rayx list` and `rayx logs`.
// Owner:    the command line.
// Threads:  one.
// Promises: exit code 0 only when all that was asked for is shown; --format json prints one JSON
//           value on stdout and nothing else.
#pragma once

#include <cstdint>
#include <string>

namespace rayx::cli {

int RunStatus(bool json);
// nodes, actors, workers, objects, jobs, leases.
int RunList(const std::string& what, bool json);

struct LogOptions {
  std::string file;      // "" = list them
  uint32_t tail = 1000;  // lines
  uint32_t node = 0;     // 0 = this VM's session, the last one if none runs
};
int RunLogs(const LogOptions& options);

}  // namespace rayx::cli
