// Arm native-cpp of classification-*: the preprocessing of the RayX program on c10d.
#include <ATen/Parallel.h>

#include <CLI/CLI.hpp>

#include "bench/workloads/arm/gloo_ranks.h"
#include "bench/workloads/arm/model_outcome.h"
#include "bench/workloads/classification/classification_options.h"
#include "bench/workloads/classification/classification_rank.h"

namespace rayx::bench {
namespace {

int Main(int argc, char** argv) {
  ClassificationOptions classification;
  const ArmOptions options = ParseArmOptions(
      argc, argv, [&](CLI::App& app) { AddClassificationFlags(app, classification); });
  at::set_num_threads(options.threads);
  ArmEvents events(options.out, options.rank);
  return RunArm("classification_native", events, [&] {
    GlooRanks ranks(options);
    events.Ready({{"arm", "native-cpp"},
                  {"world_size", options.world_size},
                  {"threads", at::get_num_threads()},
                  {"torch", GlooRanks::LibraryVersion()},
                  {"blas", BlasOfLibTorch()}});
    return ServeRepetitions(
        options, events,
        [&](const RepCommand& command) {
          RunClassification(options, classification, command, ranks, events);
        },
        [&](const std::string& line) { return ranks.Share(line); });
  });
}

}  // namespace
}  // namespace rayx::bench

int main(int argc, char** argv) {
  return rayx::bench::Main(argc, argv);
}
