// A training state as bytes, and those bytes as a file.
//
// Purpose:  checkpoints travel as objects (a std::string) and lie on disk as files of the same
//           bytes.
// Owner:    plain functions.
// Threads:  any; a model by one at a time.
// Promises: a file is written whole or not at all: a reader sees the old one or the new one, also
//           after a crash in between.
// Format:   a PyTorch archive (torch::serialize) with the entries "model", "optimizer" and "step".
// Errors:   SerializationError for bytes that are no checkpoint of this model; OutOfDisk for a full
//           disk; InvalidOption for a path that cannot be written or read. Each names the path.
#ifndef RAYX_TORCH_CHECKPOINT_H_
#define RAYX_TORCH_CHECKPOINT_H_

#include <cstdint>
#include <string>

#include "rayx/torch/model.h"

namespace rayx::torch {

// Parameters and buffers of the model, the optimiser's state, and the step.
std::string SaveCheckpoint(const Model& model, const ::torch::optim::Optimizer& optimizer,
                           std::int64_t step);

// Fills the model (and the optimiser, unless null) and returns the step.
std::int64_t LoadCheckpoint(const std::string& bytes, const Model& model,
                            ::torch::optim::Optimizer* optimizer = nullptr);

// Replaces the file in one step; its folder has to be there.
void WriteCheckpointFile(const std::string& path, const std::string& bytes);
// The whole file; LoadCheckpoint says whether it is a checkpoint.
std::string ReadCheckpointFile(const std::string& path);

}  // namespace rayx::torch

#endif  // RAYX_TORCH_CHECKPOINT_H_
