#include "bench/runner/arm_catalogue.h"

#include <fnmatch.h>

namespace rayx::bench {

const std::vector<WorkloadSpec>& Workloads() {
  static const std::vector<WorkloadSpec> workloads = {
      {.name = "fmnist-mlp",
       .title = "Fashion-MNIST, multilayer perceptron 784-512-512-10, SGD 0.001, global batch 64",
       .dataset_folder = "fashion-mnist",
       .dataset_sha256 = "14410854cf7a289477dcfc7df3f8ec24741e281cdcc425ede0d9a748ca630214",
       .steps_per_epoch = 938,
       .gradient_bytes = 4 * (785 * 512 + 513 * 512 + 513 * 10),
       .arms =
           {
               {.name = "rayx",
                .kind = ArmKind::kRayx,
                .program = "bench/fmnist_mlp",
                .description = "RayX: C++ program, preprocessing as tasks, DataParallelTrainer"},
               {.name = "native-py",
                .kind = ArmKind::kTorchrun,
                .program = "fmnist_mlp_tuned.py",
                .description = "torch.distributed + Gloo under torchrun, tuned by hand"},
               {.name = "native-py-naive",
                .kind = ArmKind::kTorchrun,
                .program = "fmnist_mlp_naive.py",
                .description = "torch.distributed as in a tutorial: DDP, DataLoader"},
               {.name = "serial",
                .kind = ArmKind::kSerial,
                .program = "fmnist_mlp_tuned.py",
                .arguments = {"--serial"},
                .one_node_only = true,
                .description = "one process in one VM, nothing distributed"},
               {.name = "serial-unrestricted",
                .kind = ArmKind::kSerial,
                .program = "fmnist_mlp_tuned.py",
                .arguments = {"--serial"},
                .one_node_only = true,
                .unrestricted = true,
                .description = "one process on the whole machine, without quota"},
           }},
  };
  return workloads;
}

bool MatchesGlob(const std::string& pattern, const std::string& text) {
  return fnmatch(pattern.c_str(), text.c_str(), 0) == 0;
}

}  // namespace rayx::bench
