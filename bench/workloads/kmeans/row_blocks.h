// bench/workloads/kmeans/row_blocks.h
//
// The blocks of rows that one VM has, and what is computed on them where they are. As an actor of
// RayX or as a rank of c10d: the same class.
// Owner:    a worker process.                   Threads: one.
// Inputs:   a table in a folder of Parquet files; errors name the file.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bench/workloads/arm/share.h"
#include "bench/workloads/kmeans/lloyd.h"

namespace rayx::bench {

// What to read, and which part of it. Travels to the workers.
struct RowPlan {
  std::string folder;
  std::vector<std::string> columns;
  int64_t block_rows = 65536;
  int worker = 0, workers = 1;
};

class RowBlocks {
 public:
  static std::unique_ptr<RowBlocks> Create(const RowPlan& plan);
  explicit RowBlocks(const RowPlan& plan);

  // Reads the blocks; the next repetition's Load replaces them. Returns the whole table's rows.
  int64_t Load();
  // Counts `centre` as one more centre; for each block the sum of the rows' squared distances to
  // the nearest centre so far.
  std::vector<double> AddCentre(const Points& centre);
  // The row of a block, by its number in the whole table, at `target` of the running sum of those.
  Points RowAtSum(int64_t block, double target) const;
  Points RowAt(int64_t row) const;
  // Assigns every row; the sums of each block, see lloyd.h.
  std::vector<double> AssignAll(const Points& centres);
  std::vector<int32_t> Labels() const;

  // The blocks and rows of this worker, by their numbers in the whole table.
  Range blocks() const;
  Range rows() const;

 private:
  Points Row(size_t block, size_t place) const;

  const RowPlan plan_;
  int64_t table_rows_ = 0;
  std::vector<Block> blocks_;
  std::vector<std::vector<double>> nearest_;  // by block, of each row
  std::vector<std::vector<int32_t>> labels_;
};

}  // namespace rayx::bench
