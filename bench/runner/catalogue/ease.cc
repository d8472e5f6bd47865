#include "bench/runner/ease_card.h"

namespace rayx::bench {

// Data and libraries must lie on every VM in both cases, and are left out.
const std::vector<EaseFact>& EaseFacts(ArmKind kind) {
  static const std::vector<EaseFact> rayx = {
      {.label = "commands for the first run",
       .reason = "rayx start on each VM, once for all programs; then the program on one VM",
       .fixed = 1,
       .per_vm = 1},
      {.label = "commands for each further run", .reason = "the program, on one VM", .fixed = 1},
      {.label = "shells held while it runs", .reason = "the program's own", .fixed = 1},
      {.label = "addresses typed for the first run",
       .reason = "rayx start --listen on the first VM, --address on each other; the program finds "
                 "the cluster of its VM by --address auto",
       .per_vm = 1},
      {.label = "addresses typed for each further run", .reason = "--address auto"},
      {.label = "files copied by hand",
       .reason = "the join file, a secret, to each other VM; the program is shipped",
       .per_other_vm = 1},
  };
  static const std::vector<EaseFact> ranks = {
      {.label = "commands for the first run",
       .reason = "torchrun on each VM, with another --node-rank on each",
       .per_vm = 1},
      {.label = "commands for each further run", .reason = "the same again", .per_vm = 1},
      {.label = "shells held while it runs",
       .reason = "each VM's torchrun runs until the program ends",
       .per_vm = 1},
      {.label = "addresses typed for the first run",
       .reason = "--master-addr on each VM",
       .per_vm = 1},
      {.label = "addresses typed for each further run",
       .reason = "--master-addr on each VM",
       .per_vm = 1},
      {.label = "files copied by hand",
       .reason = "the program's files to each other VM (or a shared file system)",
       .per_source_and_other_vm = 1},
  };
  static const std::vector<EaseFact> none;
  switch (kind) {
    case ArmKind::kRayx:
      return rayx;
    case ArmKind::kTorchrun:
      return ranks;
    default:
      return none;
  }
}

}  // namespace rayx::bench
