#include "bench/runner/catalogue/arms.h"

namespace rayx::bench {
namespace {

// Where the order of a sum differs, training stays within rounding until some input of a ReLU is so
// near to zero that it falls on the other side; from there on the two runs drift apart. Seen after
// 200 and 660 steps.
constexpr int64_t kSteadySteps = 100;

}  // namespace

ArmSpec RayxArm(const std::string& program, const std::string& description) {
  return {.name = "rayx",
          .kind = ArmKind::kRayx,
          .program = "bench/" + program,
          .description = description};
}

ArmSpec NativeCppArm(const std::string& program) {
  return {.name = "native-cpp",
          .kind = ArmKind::kRanks,
          .program = "bench/" + program + "_native",
          .description = "C++ on c10d: the kernel of the RayX program, ranks over Gloo"};
}

std::vector<ArmSpec> PythonArms(const std::string& program, const std::string& naive) {
  ArmSpec serial = {.name = "serial",
                    .kind = ArmKind::kSerial,
                    .program = program + "_tuned.py",
                    .arguments = {"--serial"},
                    .one_node_only = true,
                    .description = "one process in one VM, nothing distributed"};
  ArmSpec unrestricted = serial;
  unrestricted.name = "serial-unrestricted";
  unrestricted.unrestricted = true;
  unrestricted.description = "one process on the whole machine, without quota";
  return {{.name = "native-py",
           .kind = ArmKind::kTorchrun,
           .program = program + "_tuned.py",
           .description = "torch.distributed + Gloo under torchrun, tuned by hand"},
          {.name = "native-py-naive",
           .kind = ArmKind::kTorchrun,
           .program = program + "_naive.py",
           .beside = true,
           .description = naive},
          serial,
          unrestricted};
}

std::vector<ArmSpec> Join(std::vector<ArmSpec> first, const std::vector<ArmSpec>& then) {
  first.insert(first.end(), then.begin(), then.end());
  return first;
}

std::vector<GateSpec> TrainingGates(std::vector<GateSpec> of_data, const std::string& quality,
                                    const std::string& words, double quality_bound) {
  using enum GateKind;
  using enum Closeness;
  using enum GateScope;
  const std::vector<GateSpec> of_model = {
      {"loss trace", "loss", "loss of each step", kSeries, kExact, 0, kBitForBit},
      {"loss trace", "loss", "loss of each of the first 100 steps", kSeries, kAbsolute, 1e-6,
       kBeyond, kSteadySteps},
      {"weights", "weights", "final weights", kHash, kExact, 0, kBitForBit},
      // Single weights are not compared there.
      {"weights", "weights_abs_sum", "sum of the weights’ absolute values", kValue, kRelative, 1e-6,
       kBeyond, kSteadySteps},
      {quality, quality, words, kValue, kExact, 0, kBitForBit},
      {quality, quality, words, kValue, kAbsolute, quality_bound, kBeyond},
      {"whole loss trace", "loss", "loss of each step", kSeries, kAbsolute, 1e-3, kBeyond, 0,
       kSteadySteps},
      {"weights", "weights_abs_sum", "sum of the weights’ absolute values", kValue, kRelative, 1e-4,
       kBeyond, 0, kSteadySteps}};
  of_data.insert(of_data.end(), of_model.begin(), of_model.end());
  return of_data;
}

}  // namespace rayx::bench
