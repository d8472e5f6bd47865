// runtime/cli/microbenchmark/process_memory.h
//
// How much memory processes cost together: what several share counts once (PSS).
// Owner:    none (no state).      Threads: the main thread.
// Promises: pages of object stores are left out. This process has let go of the pages of files that
//           it shares with the others, so that its own part in them is not missing in theirs.
// Limits:   pages that processes of others have too (a library's) count in part.
#pragma once

#include <sys/types.h>

#include <string_view>
#include <vector>

namespace rayx::cli {

// Throws std::runtime_error when one of them cannot be read.
double ProportionalBytes(const std::vector<pid_t>& processes);

// Of the text of a process's smaps, store pages left out.
double ProportionalBytesIn(std::string_view smaps);

}  // namespace rayx::cli
