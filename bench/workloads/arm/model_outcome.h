// bench/workloads/arm/model_outcome.h
//
// What the gates look at of a trained model, for arms in C++.
// Pairs:    weights_sha256, weights_abs_sum of bench/native/training.py.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "bench/workloads/arm/arm_program.h"

namespace rayx::bench {

// Adds the hash `weights` and the value `weights_abs_sum`.
void AddWeights(const std::vector<at::Tensor>& parameters, ArmOutcome& outcome);

// Of LibTorch, for the `ready` event.
std::string BlasOfLibTorch();

}  // namespace rayx::bench
