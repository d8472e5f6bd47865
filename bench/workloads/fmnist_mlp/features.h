// bench/workloads/fmnist_mlp/features.h
//
// Preprocessing of Fashion-MNIST as remote tasks over blocks of rows: the same LibTorch operators
// in the same order as bench/native/fmnist.py, so that every bit agrees.
// Inputs:   raw IDX files that the driver has checked; a VM reads them at the same path.
// Promises: a task reads its own rows only. What it returns goes to the object store.
// Limits:   each thread computes in memory that it keeps, so that only its first task pays for the
//           first touch: what Standardise returned is good until the thread's next call.
#pragma once

#include <rayx/rayx.h>
#include <rayx/torch.h>

#include <cstdint>
#include <string>

namespace rayx::bench {

inline constexpr int64_t kPixels = 784;
inline constexpr int64_t kFeatureBlockRows = 5000;

// The raw IDX files are there, complete and of the right shape; else std::runtime_error.
void CheckRawFiles(const std::string& images_path, const std::string& labels_path, int64_t rows);

// A range of rows of one pair of raw files.
struct RowBlock {
  std::string images_path, labels_path;
  int64_t file_rows = 0, begin = 0, rows = 0;
  int threads = 1;
};

// Sums over the pixels of a block, of x/255 and of its square.
struct Moments {
  double first = 0, second = 0;
};

struct Scale {
  double mean = 0, deviation = 1;
};

Moments MomentsOf(const RowBlock& block);

// Features [rows, 784] float32 = (x / 255 - mean) / deviation, labels [rows] int64.
torch::TensorBlock Standardise(const RowBlock& block, const Scale& scale);

}  // namespace rayx::bench
