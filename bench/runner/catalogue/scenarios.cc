#include "bench/runner/scenario.h"

namespace rayx::bench {

const std::vector<ScenarioSpec>& Scenarios() {
  static const std::vector<ScenarioSpec> scenarios = {
      {.name = "cold-start",
       .title = "Cold start",
       .what = "nothing runs yet on fresh VMs: until the first training step is done",
       .kind = ScenarioKind::kColdStart,
       .workload = "fmnist-mlp",
       .steps = 1,
       .pairs = 3},
      {.name = "worker-killed",
       .title = "A worker is killed half-way",
       .what = "SIGKILL for the process that computes in the last VM",
       .kind = ScenarioKind::kWorkerKilled,
       .workload = "kmeans-blobs",
       .steps = 20},
      {.name = "vm-lost",
       .title = "A VM is lost half-way",
       .what = "the last VM is gone as if its power failed: no packet tells the others",
       .kind = ScenarioKind::kVmLost,
       .workload = "kmeans-blobs",
       .steps = 20},
      {.name = "straggler",
       .title = "One VM is slow",
       .what = "the last VM has half the CPU quota of the others",
       .kind = ScenarioKind::kStraggler,
       .workload = "fmnist-mlp",  // every VM has the same to do in each step
       .steps = 200,
       .pairs = 3},
      {.name = "slow-link",
       .title = "A slow network",
       .what = "what each VM sends goes at 1 Gbit/s (a token bucket of 128 KiB)",
       .kind = ScenarioKind::kSlowLink,
       .workload = "fmnist-mlp",
       .steps = 200,
       .pairs = 3},
      {.name = "twice-the-store",
       .title = "Data twice the object store",
       .what = "more data than the VMs’ object stores hold",
       .not_run_because = "spilling to disk does not exist yet"},
      {.name = "mistakes",
       .title = "Mistakes at a launch",
       .what = "how long until a user’s mistake is named",
       .kind = ScenarioKind::kMistakes,
       .workload = "fmnist-mlp",
       .nodes = 2},
  };
  return scenarios;
}

}  // namespace rayx::bench
