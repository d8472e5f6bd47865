// bench/workloads/classification/table_blocks.h
//
// The table of classification-*, a block of rows at a time: read, clean, split, standardise. The
// arms rayx and native-cpp share it; it uses the LibTorch operators of
// bench/native/classification.py wherever rounding depends on them, so that every bit agrees.
// Threads:  one at a time; LibTorch computes on as many as at::set_num_threads says.
// Inputs:   Parquet files with columns `label` (int32) and f0..f31 (double); what is missing,
//           damaged or out of range is a std::runtime_error that names file or folder.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "bench/workloads/arm/share.h"

namespace rayx::bench {

inline constexpr int64_t kFeatures = 32, kClasses = 2;
inline constexpr double kTestShare = 0.2;

// Columns [kFeatures][rows] double, NaN where a cell is empty; once standardised: rows
// [rows][kFeatures] float32. Labels [rows] int64.
struct LabelledRows {
  at::Tensor features, labels;
};

// The blocks of a table.
struct TablePlan {
  std::string folder;
  int64_t block_rows = 65536, rows = 0;

  int64_t blocks() const { return BlockCount(rows, block_rows); }
};

// Looks at the files' row groups.
TablePlan PlanOfTable(const std::string& folder, int64_t block_rows);

LabelledRows ReadBlock(const TablePlan& plan, int64_t block);

// Bool [rows]: whether all cells are there and finite.
at::Tensor CompleteRows(const LabelledRows& block);

struct SplitRows {
  LabelledRows train, test;
};

// The complete rows. Row r of the table is for the test if number r of `seed` is below kTestShare.
SplitRows Split(const TablePlan& plan, int64_t block, const LabelledRows& rows,
                const at::Tensor& complete, uint64_t seed);

// Over the training rows of a block.
struct Moments {
  int64_t rows = 0;
  std::vector<double> sums, squares;  // of each column; of its squares
};

Moments MomentsOf(const LabelledRows& train);

struct Scale {
  std::vector<double> mean, deviation;  // of each column; a deviation of 0 counts as 1
};

// Merged in the order of blocks.
Scale ScaleOf(const std::vector<Moments>& blocks);

// (x - mean) / deviation in double, cast once.
LabelledRows Standardise(const LabelledRows& columns, const Scale& scale);

// Binary SHA-256 of the features' values, then of the labels'.
std::string DigestOf(const LabelledRows& rows);

// What no classifier can exceed, as meta.json of the data set says.
double BestAccuracy(const std::string& folder);

}  // namespace rayx::bench
