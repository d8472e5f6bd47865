#include "torch/trainer_options.h"

#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <string>
#include <system_error>

namespace rayx::torch {
namespace {

constexpr int kWorkersMax = 4096;

void Demand(bool holds, const char* option, const std::string& expected) {
  if (holds) return;
  throw InvalidOption(std::string("TrainerOptions::") + option + " must be " + expected);
}

// Found out before the training rather than after it.
void CheckFolderOf(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "."
                             : slash == 0               ? "/"
                                                        : path.substr(0, slash);
  if (::access(folder.c_str(), W_OK | X_OK) == 0) return;
  throw InvalidOption("TrainerOptions::checkpoint_path " + path + ": cannot write to the folder " +
                      folder + ": " + std::generic_category().message(errno));
}

}  // namespace

void CheckTrainerOptions(const TrainerOptions& options) {
  Demand(options.workers >= 1 && options.workers <= kWorkersMax, "workers",
         "1 to " + std::to_string(kWorkersMax) + ", not " + std::to_string(options.workers));
  Demand(std::isfinite(options.cpus_per_worker) && options.cpus_per_worker > 0, "cpus_per_worker",
         "more than 0");
  Demand(options.epochs >= 1, "epochs", "at least 1");
  Demand(options.global_batch >= options.workers, "global_batch",
         "at least the number of workers, " + std::to_string(options.workers) + ", not " +
             std::to_string(options.global_batch));
  Demand(std::isfinite(options.learning_rate), "learning_rate", "a finite number");
  Demand(options.report_every_steps >= 0, "report_every_steps", "0 (an epoch) or more");
  Demand(options.evaluation_batch >= 1, "evaluation_batch", "at least 1");
  Demand(options.overlap_above_bytes >= 0, "overlap_above_bytes", "0 or more");
  Demand(options.group_timeout.count() >= 1, "group_timeout", "at least 1 ms");
  Demand(options.checkpoint_every_epochs >= 0, "checkpoint_every_epochs", "0 (at the end) or more");
  Demand(options.checkpoint_every_epochs == 0 || !options.checkpoint_path.empty(),
         "checkpoint_path", "given when checkpoint_every_epochs is");
  if (!options.checkpoint_path.empty()) CheckFolderOf(options.checkpoint_path);
}

}  // namespace rayx::torch
