// runtime/torch/trainer_options.h
//
// Whether a trainer's options make sense together.
//
// Owner:    no state.
// Threads:  any.
// Errors:   InvalidOption.
#pragma once

#include "rayx/torch/trainer.h"

namespace rayx::torch {

// Throws InvalidOption that names the first wrong option and what was expected.
void CheckTrainerOptions(const TrainerOptions& options);

}  // namespace rayx::torch
