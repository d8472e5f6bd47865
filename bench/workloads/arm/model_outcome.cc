#include "bench/workloads/arm/model_outcome.h"

#include <ATen/Parallel.h>
#include <torch/torch.h>

#include <sstream>

namespace rayx::bench {

void AddWeights(const std::vector<at::Tensor>& parameters, ArmOutcome& outcome) {
  Sha256 weights;
  double absolute_sum = 0;
  for (const at::Tensor& parameter : parameters) {
    const at::Tensor values = parameter.detach().contiguous();
    weights.Add(values.const_data_ptr(), values.nbytes());
    absolute_sum += values.to(at::kDouble).abs().sum().item<double>();
  }
  outcome.hashes["weights"] = Sha256::Hex(weights.Binary());
  outcome.values["weights_abs_sum"] = absolute_sum;
}

std::string BlasOfLibTorch() {
  std::istringstream lines(at::get_parallel_info());
  for (std::string line; std::getline(lines, line);) {
    if (line.find("Math Kernel") != std::string::npos) return line;
  }
  return "unknown";
}

}  // namespace rayx::bench
