// bench/workloads/pagerank/ranking.h
//
// What the C++ arms of pagerank share: flags, the files, and the result of a repetition.
// Owner:    an arm's main and its workers.      Threads: one.
// Inputs:   <folder>/edges.parquet (source, target: int32) and nodes.parquet, of which only the
//           number of rows counts; errors name the file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench/workloads/arm/arm_program.h"
#include "bench/workloads/pagerank/link_graph.h"

namespace rayx::bench {

inline constexpr size_t kHighestNodes = 10;

// Travels to the workers.
struct RankPlan {
  std::string folder;
  double damping = 0.85;
  int worker = 0, workers = 1;
};

// Declares the workload's flags.
void AddPagerankFlags(CLI::App& app, RankPlan& plan);

// The edges in the order of the file, checked.
Edges ReadEdges(const std::string& folder);

// `changes`: of each iteration, [iterations][blocks].
ArmOutcome OutcomeOf(const std::string& folder, const std::vector<double>& ranks,
                     const std::vector<std::vector<double>>& changes);

}  // namespace rayx::bench
