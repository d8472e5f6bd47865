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
       // How many there are, or who is missing: a line that speaks of nodes alone names nothing.
       .useful = {{"1 VM", "1 node", "1/2", "1 of 2", "2 members", "missing_ranks="},
                  {"join", "waiting", "timed out", "there is", "has", "only"}}},
      {.name = "missing-library",
       .title = "LibTorch is missing on the second VM",
       .hides_library = true,
       .useful = {{"libtorch", "libc10"}}},
  };
  return mistakes;
}

}  // namespace rayx::bench
