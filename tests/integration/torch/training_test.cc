// Goal: tensors and training on a real cluster: no copies, native DDP's numbers, and a typed error
// in time when a worker dies. Method: this program is the driver and its own workers, on an
// embedded cluster of one VM.
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <string>

#include "rayx/torch.h"
#include "tests/unit/torch/native_reference.h"
#include "tests/unit/torch/torch_catch.h"

namespace user {

double Sum(const at::Tensor& tensor) {
  return tensor.sum().item<double>();
}

// Whether the values lie in shared memory of the store, where nobody can write.
bool LiesInStore(const at::Tensor& tensor) {
  const auto address = reinterpret_cast<std::uintptr_t>(tensor.const_data_ptr());
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    std::uintptr_t begin = 0, end = 0;
    char permissions[5] = "";
    if (std::sscanf(line.c_str(), "%lx-%lx %4s", &begin, &end, permissions) != 3) continue;
    if (address < begin || address >= end) continue;
    return permissions[1] == '-' && line.find("memfd:") != std::string::npos;
  }
  return false;
}

at::Tensor Ramp(std::int64_t elements) {
  return torch::arange(elements, torch::TensorOptions().dtype(torch::kDouble));
}

at::Tensor AddOne(const at::Tensor& tensor) {
  return tensor + 1;
}

// A worker that leases one CPU uses one thread.
at::Tensor OneThreadLoss(const at::Tensor& output, const at::Tensor& labels) {
  TORCH_CHECK(at::get_num_threads() == 1, "threads: ", at::get_num_threads());
  return rayx::torch::CrossEntropy(output, labels);
}

// Kills its process in the step in which it meets the label 7.
at::Tensor DeadlyLoss(const at::Tensor& output, const at::Tensor& labels) {
  if ((labels == 7).any().item<bool>()) ::raise(SIGKILL);
  return rayx::torch::CrossEntropy(output, labels);
}

torch::nn::Sequential MakeSmall() {
  torch::nn::Sequential model;
  model->push_back(torch::nn::Linear(4, 8));
  return model;
}

}  // namespace user

namespace {

using Clock = std::chrono::steady_clock;

struct Cluster {
  Cluster() {
    rayx::Options options;
    options.num_cpus = 2;
    rayx::Init(options);
  }
  ~Cluster() { rayx::Shutdown(); }
};

TEST_CASE("tensors: large ones are read in the store by every process") {
  Cluster cluster;
  const at::Tensor tensor = user::Ramp(1 << 20);
  const auto put = rayx::Put(tensor);
  CHECK(*rayx::Task<&user::LiesInStore>().Remote(put).Get());
  CHECK(*rayx::Task<&user::Sum>().Remote(put).Get() == tensor.sum().item<double>());

  const std::shared_ptr<at::Tensor> fetched = put.Get();
  CHECK(user::LiesInStore(*fetched));
  CHECK(at::equal(*fetched, tensor));

  const auto plus_two = rayx::Task<&user::AddOne>().Remote(rayx::Task<&user::AddOne>().Remote(put));
  CHECK(at::equal(*plus_two.Get(), tensor + 2));
}

TEST_CASE("tensors: a fetched one outlives its reference") {
  Cluster cluster;
  at::Tensor view;
  {
    const auto made = rayx::Task<&user::Ramp>().Remote(1 << 20);
    view = made.Get()->narrow(0, 1000, 10);
  }
  for (int i = 0; i < 8; ++i) rayx::Put(torch::zeros({1 << 20}, torch::kDouble));
  CHECK(at::equal(view, user::Ramp(1010).narrow(0, 1000, 10)));
}

TEST_CASE("training: two workers have the losses and weights of native DDP") {
  Cluster cluster;
  rayx::torch::test::Job job;
  job.ranks = 2;
  rayx::torch::TrainerOptions options;
  options.workers = job.ranks;
  options.epochs = job.epochs;
  options.global_batch = job.batch;
  options.learning_rate = job.learning_rate;
  options.seed = job.seed;
  rayx::torch::DataParallelTrainer<&rayx::torch::test::MakePerceptron, &user::OneThreadLoss>
      trainer(options);
  const auto data = rayx::Put(rayx::torch::TensorBlock{rayx::torch::test::JobFeatures(job),
                                                       rayx::torch::test::JobLabels(job)});
  const rayx::torch::TrainResult result = trainer.Fit({data});

  const rayx::torch::test::Reference native = rayx::torch::test::RunNative(job);
  CHECK(result.rank_losses == native.losses);
  CHECK(result.weights_checksum == native.checksum);
  CHECK(result.checkpoint.Get()->size() > 2'000'000);
}

TEST_CASE("training: a worker's death is its actor's error, and the cluster trains on") {
  Cluster cluster;
  rayx::torch::TensorBlock rows{torch::zeros({640, 4}), torch::zeros({640}, torch::kLong)};
  const auto healthy = rayx::Put(rows);
  rows.labels = rows.labels.clone();
  rows.labels[500] = 7;
  rayx::torch::TrainerOptions options;
  options.workers = 2;
  rayx::torch::DataParallelTrainer<&user::MakeSmall, &user::DeadlyLoss> trainer(options);
  const auto begin = Clock::now();
  try {
    trainer.Fit({rayx::Put(rows)});
    FAIL("the worker did not die");
  } catch (const rayx::ActorDied& error) {
    CHECK(error.signal() == SIGKILL);
  }
  CHECK(Clock::now() - begin < std::chrono::seconds(15));
  CHECK(trainer.Fit({healthy}).steps == 10);
}

}  // namespace
