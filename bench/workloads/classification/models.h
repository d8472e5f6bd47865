// bench/workloads/classification/models.h
//
// The two models of classification-*. Made with push_back: a constructor's arguments are evaluated
// in any order, and with them the initialisation.
// Pairs:    MODELS of bench/native/classification.py.
#pragma once

#include <torch/torch.h>

#include "bench/workloads/classification/table_blocks.h"

namespace rayx::bench {

inline ::torch::nn::Sequential MakeLogisticRegression() {
  ::torch::nn::Sequential model;
  model->push_back(::torch::nn::Linear(kFeatures, kClasses));
  return model;
}

inline ::torch::nn::Sequential MakeMultilayerPerceptron() {
  constexpr int64_t kHidden = 64;
  ::torch::nn::Sequential model;
  model->push_back(::torch::nn::Linear(kFeatures, kHidden));
  model->push_back(::torch::nn::ReLU());
  model->push_back(::torch::nn::Linear(kHidden, kHidden));
  model->push_back(::torch::nn::ReLU());
  model->push_back(::torch::nn::Linear(kHidden, kClasses));
  return model;
}

}  // namespace rayx::bench
