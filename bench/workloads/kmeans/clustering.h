// bench/workloads/kmeans/clustering.h
//
// One repetition of the workload, phase by phase, over workers that are somewhere: what is done is
// said here once, how workers are reached is the arm's.
// Owner:    an arm's main.                      Threads: one.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "bench/workloads/arm/arm_program.h"
#include "bench/workloads/arm/share.h"
#include "bench/workloads/kmeans/row_blocks.h"

namespace rayx::bench {

struct KmeansOptions {
  std::string folder;
  std::vector<std::string> columns;
  int64_t clusters = 8, block_rows = 65536;
  uint64_t seed = 1;
};

// Declares the workload's flags.
void AddKmeansFlags(CLI::App& app, KmeansOptions& options);
RowPlan PlanOf(const KmeansOptions& options, int worker, int workers);

// All workers together. Each call is RowBlocks' on each of them; results are in block order.
class BlockWorkers {
 public:
  virtual ~BlockWorkers() = default;
  virtual int64_t Load() = 0;
  virtual std::vector<double> AddCentre(const Points& centre) = 0;
  // Of the worker that has the block or row.
  virtual Points RowAtSum(int64_t block, double target) = 0;
  virtual Points RowAt(int64_t row) = 0;
  virtual std::vector<double> AssignAll(const Points& centres) = 0;
  // What rank 0 needs for the gates; others may return nothing.
  virtual std::vector<int32_t> Labels() = 0;
};

// Runs one repetition and writes its phases and its result.
void RunKmeans(const KmeansOptions& options, const RepCommand& command, BlockWorkers& workers,
               ArmEvents& events);

// The worker of `workers` that has the block.
int WorkerOfBlock(int64_t block, int64_t blocks, int workers);

}  // namespace rayx::bench
