// runtime/cli/start.h
//
// `rayx start`: checks, makes the session folder, leaves the supervisor behind and waits until head
// and node serve.
// Owner:    the command line.
// Threads:  one.
// Promises: exit code 0 only when all serves, io::kUsageExit when what was asked is wrong in
//           itself, else 1; if not 0, the reason on stderr (and on --ready-fd) and nothing left
//           but logs.
#pragma once

#include "cli/start_options.h"

namespace rayx::cli {

int RunStart(const StartOptions& options);

}  // namespace rayx::cli
