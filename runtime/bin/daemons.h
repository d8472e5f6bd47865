// runtime/bin/daemons.h
//
// The internal commands of `rayx`: head, node, supervise. Each reads its options, constructs, runs.
// Owner:    main.
// Threads:  the main thread.
// Promises: head and node answer once on --ready-fd (cli/start_plan.h), also when their start
//           fails.
#pragma once

namespace rayx::bin {

// True when argv names one of them; `exit_code` is then what it came to.
bool RunDaemon(int argc, char** argv, int& exit_code);

}  // namespace rayx::bin
