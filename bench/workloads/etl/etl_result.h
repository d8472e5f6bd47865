// bench/workloads/etl/etl_result.h
//
// What the C++ arms of etl share beside sales.h: flags, which rows a repetition has, its result.
// Owner:    an arm's main and its workers.      Threads: one.
// Inputs:   <folder>/part-*.parquet and stores.parquet; errors name the file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench/workloads/arm/arm_program.h"
#include "bench/workloads/arm/share.h"
#include "bench/workloads/etl/sales.h"

namespace rayx::bench {

struct EtlOptions {
  std::string folder;
  int64_t block_rows = 65536;
};

// Declares the workload's flags.
void AddEtlFlags(CLI::App& app, EtlOptions& options);

// The parts of the table, without the stores.
std::vector<std::string> SalesFiles(const std::string& folder);

// The rows of the first `steps` blocks, which the table must have.
int64_t RowsOf(const EtlOptions& options, int64_t steps);

// SHA-256 (hex) of all that the files hold, however it is stored.
std::string HashOfTable(const std::string& folder);

ArmOutcome EtlOutcome(const std::string& dataset, const RepCommand& command, const Totals& totals,
                      const Fingerprint& sorted);

}  // namespace rayx::bench
