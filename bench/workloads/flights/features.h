// bench/workloads/flights/features.h
//
// From clean rows to features, and from scores to the AUC: the same LibTorch operators in the same
// order as bench/native/flights.py, so that every bit agrees.
// Owner:    tasks of the arm rayx.              Threads: one; computes on `threads`.
// Promises: a block's result depends on nothing but the block and what is passed with it.
#pragma once

#include <rayx/torch.h>

#include <cstdint>
#include <string>
#include <vector>

#include "bench/workloads/flights/flight_rows.h"

namespace rayx::bench {

// One-hot hour, one-hot weekday, standardised numbers.
inline constexpr int64_t kHours = 24, kWeekdays = 7;
inline constexpr int64_t kFeatures = kHours + kWeekdays + kNumbers;
// Every fourth block is for evaluation.
inline constexpr int64_t kEvaluationEvery = 4;
inline bool IsForEvaluation(int64_t block) {
  return block % kEvaluationEvery == kEvaluationEvery - 1;
}

// Sums over the rows of a block, of each number and of its square.
struct Moments {
  int64_t rows = 0;
  std::vector<double> first, second;
};
Moments MomentsOf(const FlightBlock& block);

struct Scale {
  std::vector<float> mean, deviation;
};
// Adds up in double in the order of blocks; the result is cast once.
Scale ScaleOf(const std::vector<Moments>& blocks);

// Features [rows, kFeatures] float32 and labels [rows] float32.
torch::TensorBlock Encode(const FlightBlock& block, const Scale& scale);
// Binary SHA-256 of the features' values, then the labels'.
std::string DigestOf(const torch::TensorBlock& block);

// Logistic regression: one score a row.
::torch::nn::Sequential MakeModel();
at::Tensor LogisticLoss(const at::Tensor& output, const at::Tensor& labels);

// How many rows of each label have a probability in each of kBins equal bins: [2][kBins].
inline constexpr int64_t kBins = 4096;
using Histogram = std::vector<int64_t>;
Histogram HistogramOf(const torch::TensorBlock& block, ::torch::nn::Sequential model);
// The area under the ROC curve of probabilities known by bin: equal ones count half. NaN where a
// label is missing.
double AreaUnderCurve(const Histogram& histogram);

}  // namespace rayx::bench
