// runtime/cli/microbenchmark/fresh_program.h
//
// Another process of this program that does one part of a row.
//
// Purpose:  what only a process shows that has done nothing before (cold start, memory), and
//           processes that RayX knows nothing of.
// Owner:    a sampler.
// Threads:  the main thread: the process ends with the thread that starts it.
// Promises: never outlives its FreshProgram. Its part is no part of the command line: `--probe` is
//           not shown to anybody.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/fd.h"
#include "io/processes.h"

namespace rayx::cli {

class FreshProgram {
 public:
  // `rayx microbenchmark --probe probe`, without a cluster in its environment. Throws
  // std::runtime_error when it cannot be started.
  explicit FreshProgram(const std::string& probe);
  FreshProgram(const FreshProgram&) = delete;
  FreshProgram& operator=(const FreshProgram&) = delete;
  // Kills it if it still runs.
  ~FreshProgram();

  // Waits for its one line and gives the `count` numbers in it. Throws std::runtime_error when it
  // ends, or a minute, without them.
  std::vector<double> Numbers(size_t count);
  // Waits until it has ended by itself; throws std::runtime_error when it failed.
  void ExpectEnd();

 private:
  std::string probe_;
  base::UniqueFd output_;
  io::Process process_;
};

// The names of the parts.
inline constexpr char kProbeFirstTask[] = "first-task";  // says 1 when it has returned
inline constexpr char kProbePutCold[] = "put-cold";      // GB/s
inline constexpr char kProbeQueued[] = "queued";         // seconds, bytes each
inline constexpr char kProbeBusy[] = "busy";             // says nothing, and never ends

// The part's own process: does it and prints the line. The process's exit code.
int RunProbe(const std::string& probe);

}  // namespace rayx::cli
