#include "bench/runner/catalogue/arms.h"
#include "bench/runner/catalogue/workloads.h"

namespace rayx::bench {
namespace {

// Of the complete rows: the class centres lie 3 standard deviations apart, so that the best
// classifier is right with probability Phi(3 / 2).
constexpr double kKnownBest = 0.93319279873114191;

// Both models, but for what they are and how long they are trained.
WorkloadSpec Classification(const std::string& model) {
  return {
      .name = "classification-" + model,
      .dataset_folder = "classification-393216x32-s1",
      .dataset_files = {"meta.json"},  // written last
      .dataset_sha256 = "33a7bd1199451e320a4c4c9c45c764361138b28075ae6020c5887aa67d422a04",
      .dataset_command =
          "rayx-data gen classification --num_samples 393216 --num_features 32 --missing 0.002 "
          "--seed 1 --format parquet",
      .arguments = {"--model=" + model},
      .phases = {"load", "clean", "split", "standardise", "train", "evaluate"},
      .main_phase = "train",
      .compared_phases = {"load", "standardise", "train"},
      .gates = TrainingGates({{"rows", "rows", "rows without empty cells", GateKind::kValue},
                              {"features", "features", "features", GateKind::kHash}},
                             "accuracy", "accuracy", 0.001),
      .series = {{.name = "loss"}},
      .qualities = {{"accuracy", "accuracy", 4}, {"best_accuracy", "best possible", 4}},
      .curve = {"loss", "Do they learn the same?", "training loss"},
      .exchanged_what = "gradients",
      .remark =
          "All arms compute with the same LibTorch and read with the same Arrow: RayX against "
          "native "
          "C++ compares runtimes, against native Python runtime and language together. The models "
          "are so small that on several VMs the latency of a reduction decides.",
      .arms = Join({RayxArm("classification",
                            "RayX: C++, tasks over blocks in the object store, "
                            "DataParallelTrainer"),
                    NativeCppArm("classification")},
                   PythonArms("classification",
                              "as a student would: every rank reads and cleans everything, DDP, "
                              "DataLoader"))};
}

// From `steps` on the model is as good as any can be.
KnownSpec KnownBest(int64_t steps) {
  return {.name = "known best",
          .value = "accuracy",
          .words = "accuracy",
          .by_steps = {{steps, kKnownBest}},
          .tolerance = 0.002,
          .and_beyond = true};
}

}  // namespace

WorkloadSpec ClassificationLogreg() {
  WorkloadSpec workload = Classification("logreg");
  workload.title =
      "Logistic regression on 393,216 made-up rows of 32 columns: clean, split, standardise, SGD "
      "0.3, global batch 512";
  workload.smallest_suite = "full";
  workload.steps = {
      .smoke = 100, .quick = 200, .quick_warm_up = 20, .full = 500, .full_warm_up = 50};
  workload.known.push_back(KnownBest(100));
  workload.exchanged_bytes = 4 * 33 * 2;
  return workload;
}

WorkloadSpec ClassificationMlp() {
  WorkloadSpec workload = Classification("mlp");
  workload.title =
      "Multilayer perceptron 32-64-64-2 on 393,216 made-up rows of 32 columns: clean, split, "
      "standardise, SGD 0.3, global batch 512";
  workload.smallest_suite = "full";
  workload.steps = {
      .smoke = 60, .quick = 200, .quick_warm_up = 20, .full = 500, .full_warm_up = 50};
  workload.known.push_back(KnownBest(500));
  workload.exchanged_bytes = 4 * (33 * 64 + 65 * 64 + 65 * 2);
  return workload;
}

}  // namespace rayx::bench
