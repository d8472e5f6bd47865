// runtime/cli/show.h
//
// `rayx status` and `rayx list`.
// Owner:    the command line.
// Threads:  one.
// Promises: exit code 0 only when all that was asked for is shown; --format json prints one JSON
//           value on stdout and nothing else.
#pragma once

#include <string>

namespace rayx::cli {

int RunStatus(bool json);

struct ListOptions {
  std::string what;  // nodes, actors, workers, objects, jobs, leases
  bool all = false;  // dead actors too; JSON always has them
  bool json = false;
};
int RunList(const ListOptions& options);

}  // namespace rayx::cli
