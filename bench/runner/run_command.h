// bench/runner/run_command.h
//
// `rayx-bench run` and `check`: runs the arms of the workloads on each number of VMs, interleaved
// in random order, gates every repetition, carries out scenarios, and writes results/<id>.
// Owner:    main.                               Threads: one.
// Promises: exit code 0 only when every asked-for arm ran, every gate passed and the results are
//           written (an arm that ran alone has no gate against another: it is said, and is no
//           failure, for only one was asked for or the others have failed); an arm that does not
//           survive a scenario is a result and no failure, one that ends it with another result is;
//           130 after Ctrl-C; what was started is taken down in every case.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench/runner/machines.h"

namespace rayx::bench {

struct RunOptions {
  std::string suite = "quick";         // smoke, check, quick or full
  std::string workload;                // a pattern; empty: the suite's
  std::vector<std::string> arms;       // empty: the suite's
  std::vector<int> nodes;              // empty: the suite's
  std::vector<std::string> scenarios;  // empty: the suite's
  bool only_scenarios = false;
  int pairs = 0;      // 0: the suite's
  int64_t steps = 0;  // 0: the suite's
  uint64_t seed = 0;  // of the order of the arms; 0: from the clock
  MachineShape shape;
  std::string data_folder, results_folder;
  std::string command_line;  // recorded
};

int Run(const RunOptions& options);

// The commands that bring the data which Run needs with these options, each once.
std::vector<std::string> DataCommands(const RunOptions& options);

}  // namespace rayx::bench
