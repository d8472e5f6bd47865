// runtime/cli/microbenchmark/microbenchmark.h
//
// rayx microbenchmark: what single calls cost, beside the physical limit measured in the same run.
//
// Purpose:  one row a kind of call, under Ray's names where Ray has the row; median and spread over
//           several samples; the limit and the ratio to it.
// Owner:    the `microbenchmark` subcommand.
// Threads:  the main thread; it is its own driver, and the embedded cluster's workers are this same
//           program.
// Promises: default options, but where a row is of something else (16 calls of an actor at once, 4
//           workers on fewer CPUs); distinct arguments; every result is compared with what was
//           sent, and a wrong one fails its row and the run. Nothing is tuned for the benchmark
//           that a user would not get. A row that cannot be measured here says why.
#pragma once

#include <string>
#include <vector>

namespace rayx::cli {

struct MicrobenchmarkOptions {
  std::string only;    // a row's name, or a part of several; "" = all
  double seconds = 2;  // a row
  bool json = false;
  std::string address;     // "" = an embedded cluster
  std::string libtorch;    // libtorch_cpu.so, for the rows of workers that have it; "" = not run
  bool vs_ray = false;     // Ray's numbers beside the rows that it has
  std::string ray_folder;  // where Ray is kept; "" = of the user's cache
  std::string probe;       // this is a process of a row, not a benchmark (fresh_program.h)
};

// The process's exit code: 0, also when rows were not run; io::kUsageExit when no row has the name;
// 1 when a row, the limits, Ray, or the cluster's start or end failed. Said on stderr.
int RunMicrobenchmark(const MicrobenchmarkOptions& options);

}  // namespace rayx::cli
