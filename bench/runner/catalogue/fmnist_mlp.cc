#include "bench/runner/catalogue/arms.h"
#include "bench/runner/catalogue/workloads.h"

namespace rayx::bench {

WorkloadSpec FmnistMlp() {
  return {
      .name = "fmnist-mlp",
      .title = "Fashion-MNIST, multilayer perceptron 784-512-512-10, SGD 0.001, global batch 64",
      .dataset_folder = "fashion-mnist",
      .dataset_files = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                        "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"},
      .dataset_sha256 = "14410854cf7a289477dcfc7df3f8ec24741e281cdcc425ede0d9a748ca630214",
      .dataset_command = "rayx-data fetch fashion-mnist",
      .steps = {.smoke = 40, .quick = 100, .quick_warm_up = 10, .full = 938, .full_warm_up = 100},
      .smallest_suite = "smoke",
      .phases = {"load", "preprocess", "train", "evaluate"},
      .main_phase = "train",
      .compared_phases = {"preprocess", "train"},
      .gates = TrainingGates({{"features", "features", "features", GateKind::kHash}}, "accuracy",
                             "accuracy", 0.001),
      .series = {{.name = "loss"}},
      .qualities = {{"accuracy", "accuracy", 4}},
      .curve = {"loss", "Do they learn the same?", "training loss"},
      .exchanged_bytes = 4 * (785 * 512 + 513 * 512 + 513 * 10),
      .exchanged_what = "gradients",
      .remark =
          "All arms compute with the same LibTorch: RayX against native C++ compares runtimes, "
          "against native Python runtime and language together.",
      .arms =
          Join({RayxArm("fmnist_mlp",
                        "RayX: C++ program, preprocessing as tasks, "
                        "DataParallelTrainer"),
                NativeCppArm("fmnist_mlp")},
               PythonArms("fmnist_mlp", "torch.distributed as in a tutorial: DDP, DataLoader"))};
}

}  // namespace rayx::bench
