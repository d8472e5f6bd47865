// bench/workloads/arm/trainer_run.h
//
// Training with a DataParallelTrainer as a repetition does it, for the arms `rayx`.
// Owner:    an arm's driver.                    Threads: one.
#pragma once

#include <rayx/rayx.h>
#include <rayx/torch.h>

#include <cstdint>
#include <vector>

#include "bench/workloads/arm/arm_program.h"

namespace rayx::bench {

// Trains so many steps and writes, as the trainer reports, the steps and the phases `train` and
// `evaluate`. They end with the last report: what the trainer does after it, fingerprint and
// checkpoint, is in no phase, as the checksums of the other arms.
torch::TrainResult TrainAndEvaluate(torch::TrainerBase& trainer, int64_t steps, ArmEvents& events);

// The mean over each global batch of `plan`, from the ranks' means over their parts, in float as
// the other arms compute it.
std::vector<double> GlobalLosses(const torch::TrainResult& result, const torch::BatchPlan& plan,
                                 int ranks);

}  // namespace rayx::bench
