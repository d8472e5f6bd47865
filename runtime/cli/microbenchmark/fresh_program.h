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

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "base/fd.h"
#include "io/processes.h"

namespace rayx::cli {

class FreshProgram {
 public:
  // `rayx microbenchmark --probe probe`, without a cluster in its environment but for `additions`
  // (NAME=value). Throws std::runtime_error when it cannot be started.
  explicit FreshProgram(const std::string& probe, const std::vector<std::string>& additions = {});
  FreshProgram(const FreshProgram&) = delete;
  FreshProgram& operator=(const FreshProgram&) = delete;
  // Kills it if it still runs.
  ~FreshProgram();

  // Waits for its one line and gives the `count` numbers in it. Throws std::runtime_error when it
  // ends, or a minute, without them.
  std::vector<double> Numbers(size_t count);
  // Waits until it has ended by itself; throws std::runtime_error when it failed.
  void ExpectEnd();
  pid_t pid() const { return process_.pid; }

 private:
  std::string probe_;
  base::UniqueFd output_;
  io::Process process_;
};

// The numbers of a line that a part says; `who` is said in errors. Throws std::runtime_error when
// the line does not come in time or has other than `count` of them.
std::vector<double> ReadNumbers(int fd, size_t count, const std::string& who,
                                std::chrono::milliseconds wait);
// Says such a line, in the part's own process.
void SayNumbers(const std::vector<double>& numbers);

// A part: its name, and what its process does; it throws what goes wrong.
struct Part {
  std::string name;
  void (*run)();
};
std::vector<Part> FreshParts();
std::vector<Part> VmParts();
std::vector<Part> LibtorchParts();

// The names of those of FreshParts.
inline constexpr char kProbeFirstTask[] = "first-task";  // says 1 when it has returned
inline constexpr char kProbePutCold[] = "put-cold";      // GB/s
inline constexpr char kProbeQueued[] = "queued";         // seconds, bytes each
inline constexpr char kProbeBusy[] = "busy";             // says nothing, and never ends
inline constexpr char kProbeIdle[] = "idle";             // says 1, and does nothing

// The part's own process: does it and prints the line. The process's exit code.
int RunProbe(const std::string& probe);

}  // namespace rayx::cli
