#include "bench/runner/mistake_run.h"

namespace rayx::bench {

const std::vector<MistakeSpec>& Mistakes() {
  static const std::vector<MistakeSpec> mistakes = {
      {.name = "wrong-port",
       .title = "another port than that where the others meet",
       .mistake = Mistake::kWrongPort,
       .useful = {{"10.77.0.1", "vm1"},
                  {"refused", "timed out", "annot", "failed to connect", "no node daemon"}}},
      {.name = "no-data",
       .title = "the data's folder is misspelt",
       .mistake = Mistake::kNoData,
       .useful = {{"-typo"}, {"No such", "cannot", "not found", "no such", "there is no"}}},
      {.name = "missing-vm",
       .title = "the program is told of two VMs, the second is not started",
       .mistake = Mistake::kMissingNode,
       .useful = {{"1 VM", "1 node", "1/2", "world-size", "world size", "2 workers", "nodes"},
                  {"has", "waiting", "timed out", "joined", "not", "only"}}},
      {.name = "missing-library",
       .title = "LibTorch is missing on the second VM",
       .hides_library = true,
       .useful = {{"libtorch", "libc10"}}},
  };
  return mistakes;
}

}  // namespace rayx::bench
