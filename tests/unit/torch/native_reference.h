// tests/unit/torch/native_reference.h
//
// The numbers of native torch.distributed, from native_ddp.py, and the same job for RayX.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <string>
#include <vector>

#include "rayx/torch/model.h"

namespace rayx::torch::test {

struct Job {
  int ranks = 1;
  std::int64_t rows = 1610;  // 25 batches of 64 and one of 10
  int epochs = 2;
  std::int64_t batch = 64;
  double learning_rate = 1e-3;
  std::uint64_t seed = 1;
};

struct Reference {
  std::vector<std::vector<float>> losses;  // [rank][step]
  std::uint64_t checksum = 0;
  double absolute_sum = 0;
};

// Runs native_ddp.py in the virtual environment. Throws std::runtime_error when it fails.
Reference RunNative(const Job& job);

::torch::nn::Sequential MakePerceptron();
at::Tensor JobFeatures(const Job& job);
at::Tensor JobLabels(const Job& job);

}  // namespace rayx::torch::test
