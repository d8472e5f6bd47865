#include "tests/unit/torch/native_reference.h"

#include <ATen/CPUGeneratorImpl.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace rayx::torch::test {
namespace {

// One file a rank; see native_ddp.py for the lines.
void ReadResults(const std::string& path, Reference& reference) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string kind, value;
    words >> kind;
    if (kind == "loss") {
      std::size_t rank = 0, step = 0;
      words >> rank >> step >> value;
      std::vector<float>& losses = reference.losses.at(rank);
      if (step != losses.size()) throw std::runtime_error("a step is missing in " + path);
      losses.push_back(static_cast<float>(std::strtod(value.c_str(), nullptr)));
    } else if (kind == "checksum") {
      words >> reference.checksum;
    } else if (kind == "abs_sum") {
      words >> value;
      reference.absolute_sum = std::strtod(value.c_str(), nullptr);
    }
  }
}

}  // namespace

Reference RunNative(const Job& job) {
  std::string folder = (std::filesystem::temp_directory_path() / "rayx-native-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) throw std::runtime_error("cannot make " + folder);
  const std::string out = folder + "/result";
  std::ostringstream command;
  command.precision(17);
  command << RAYX_TEST_PYTHON << " " << RAYX_TEST_NATIVE_DDP << " --ranks " << job.ranks
          << " --rows " << job.rows << " --epochs " << job.epochs << " --batch " << job.batch
          << " --lr " << job.learning_rate << " --seed " << job.seed << " --out " << out;
  const int status = std::system(command.str().c_str());
  Reference reference;
  reference.losses.resize(static_cast<std::size_t>(job.ranks));
  for (int rank = 0; status == 0 && rank < job.ranks; ++rank) {
    ReadResults(out + "." + std::to_string(rank), reference);
  }
  std::filesystem::remove_all(folder);
  if (status != 0) throw std::runtime_error("failed: " + command.str());
  return reference;
}

::torch::nn::Sequential MakePerceptron() {
  ::torch::nn::Sequential model;
  model->push_back(::torch::nn::Linear(784, 512));
  model->push_back(::torch::nn::ReLU());
  model->push_back(::torch::nn::Linear(512, 512));
  model->push_back(::torch::nn::ReLU());
  model->push_back(::torch::nn::Linear(512, 10));
  return model;
}

at::Tensor JobFeatures(const Job& job) {
  return ::torch::randn({job.rows, 784}, at::detail::createCPUGenerator(11));
}

at::Tensor JobLabels(const Job& job) {
  return ::torch::randint(10, {job.rows}, at::detail::createCPUGenerator(12), at::kLong);
}

}  // namespace rayx::torch::test
