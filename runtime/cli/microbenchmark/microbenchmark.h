// runtime/cli/microbenchmark/microbenchmark.h
//
// rayx microbenchmark: what single calls cost, beside the physical limit measured in the same run.
//
// Purpose:  one row a kind of call, under Ray's names where Ray has the row; median and spread over
//           several samples; the limit and the ratio to it.
// Owner:    the `microbenchmark` subcommand.
// Threads:  the main thread; it is its own driver, and the embedded cluster's workers are this same
//           program.
// Promises: default options; distinct arguments; every result is compared with what was sent, and a
//           wrong one fails the run. Nothing is tuned for the benchmark that a user would not get.
#pragma once

#include <string>
#include <vector>

namespace rayx::cli {

struct MicrobenchmarkOptions {
  std::string only;    // substring of the rows' names; "" = all
  double seconds = 2;  // a row
  bool json = false;
  std::string address;  // "" = an embedded cluster
};

// The process's exit code: 0; io::kUsageExit when no row has the name; 1 when a row, the limits, or
// the cluster's start or end failed. Said on stderr.
int RunMicrobenchmark(const MicrobenchmarkOptions& options);

}  // namespace rayx::cli
