// Whether a trainer's options make sense together.
#ifndef RAYX_RUNTIME_TORCH_TRAINER_OPTIONS_H_
#define RAYX_RUNTIME_TORCH_TRAINER_OPTIONS_H_

#include "rayx/torch/trainer.h"

namespace rayx::torch {

// Throws InvalidOption that names the first wrong option and what was expected.
void CheckTrainerOptions(const TrainerOptions& options);

}  // namespace rayx::torch

#endif  // RAYX_RUNTIME_TORCH_TRAINER_OPTIONS_H_
