#include <string>

#include "bench/runner/catalogue/arms.h"
#include "bench/runner/catalogue/workloads.h"

namespace rayx::bench {

WorkloadSpec Flights() {
  constexpr int64_t kTrainSteps = 50;
  return {
      .name = "flights",
      .title =
          "3,000,000 flights of 2001: clean, join airports, one-hot, standardise, and logistic "
          "regression of \"more than 15 minutes late\"",
      .dataset_folder = "flights",
      .dataset_files = {"flights-3m.parquet", "airports.csv"},
      .dataset_sha256 = "b4b4a132466a6a856967b13c48f20d7404c16dc49ad029b954752a66b8536311",
      .dataset_command = "rayx-data fetch flights",
      .arguments = {"--block-rows=65536", "--train-steps=" + std::to_string(kTrainSteps),
                    "--batch=8192", "--lr=2"},
      .steps = {.smoke = 8, .quick = 24, .quick_warm_up = 4, .full = 46, .full_warm_up = 8},
      .step_word = "block",
      .phases = {"load", "preprocess", "train", "evaluate"},
      .main_phase = "preprocess",
      .compared_phases = {"load", "preprocess", "train"},
      .gates = TrainingGates({{"clean rows", "clean_rows", "clean rows", GateKind::kValue},
                              {"features", "features", "features and labels", GateKind::kHash}},
                             "auc", "area under the ROC curve", 1e-4),
      // Counted without blocks, ranks or joins.
      .known = {{"known clean rows",
                 "clean_rows",
                 "clean rows",
                 {{8, 524228}, {24, 1572712}, {46, 2999781}}}},
      .series = {{.name = "loss", .length = kTrainSteps}},
      .qualities = {{"auc", "AUC", 4}},
      .curve = {"loss", "Do they learn the same?", "training loss"},
      .remark =
          "All arms compute with the same LibTorch and read with the same Arrow; RayX cleans and "
          "encodes row by row in C++, the Python arms column by column with NumPy and LibTorch.",
      .arms =
          Join({RayxArm("flights",
                        "RayX: C++ program, preprocessing as tasks where the rows are, "
                        "DataParallelTrainer")},
               PythonArms("flights", "as in a tutorial: every rank preprocesses everything, DDP"))};
}

}  // namespace rayx::bench
