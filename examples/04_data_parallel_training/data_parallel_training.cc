// Data-parallel training: two workers, each with the whole model and half of every batch.
#include <rayx/rayx.h>
#include <rayx/torch.h>

#include <cstdio>
#include <iostream>
#include <string_view>

// The layers, in the order of their initialisation. Each worker calls this after
// torch::manual_seed(options.seed).
torch::nn::Sequential MakeModel() {
  torch::nn::Sequential model;
  model->push_back(torch::nn::Linear(2, 32));
  model->push_back(torch::nn::Tanh());
  model->push_back(torch::nn::Linear(32, 3));
  return model;
}

// Three arms of a spiral, one class each: no line tells them apart.
rayx::torch::TensorBlock Spiral(std::int64_t rows, std::int64_t shift) {
  const at::Tensor index = torch::arange(rows, torch::kLong);
  const at::Tensor labels = index % 3;
  const at::Tensor radius = ((index * 37 + shift) % rows).to(torch::kFloat) / rows;
  const at::Tensor angle = radius * 4 + labels * 2.0943951;
  return {torch::stack({radius * torch::cos(angle), radius * torch::sin(angle)}, 1), labels};
}

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "--help") {
    std::cout
        << "usage: 04_data_parallel_training [--local | --address ip:port|auto] [--num-cpus n]\n";
    return 0;
  }
  try {
    rayx::Init(argc, argv);  // --local, --address ip:port, or nothing: a cluster of its own

    // The rows become one object each; every worker reads them where they lie.
    const auto train = rayx::Put(Spiral(3000, 0));
    const auto test = rayx::Put(Spiral(600, 5));

    rayx::torch::TrainerOptions options;
    options.workers = 2;
    options.epochs = 6;
    options.global_batch = 60;
    options.learning_rate = 0.02;
    options.seed = 7;

    // Two actors form a process group, over which gradients are averaged.
    rayx::torch::DataParallelTrainer<&MakeModel, &rayx::torch::CrossEntropy, &rayx::torch::Adam>
        trainer(options);
    const rayx::torch::TrainResult result =
        trainer.Fit({train}, test, [](const rayx::torch::Progress& progress) {
          std::printf("epoch %d: loss %.2f, accuracy %.2f\n", progress.epoch + 1,
                      progress.losses.back(), progress.accuracy);
        });
    std::printf("%lld steps\n", static_cast<long long>(result.steps));

    // The checkpoint is an object like any other, or a file with options.checkpoint_path.
    const rayx::torch::Model model(MakeModel());
    const std::int64_t step = rayx::torch::LoadCheckpoint(*result.checkpoint.Get(), model);
    const bool same = rayx::torch::WeightsChecksum(model.module()) == result.weights_checksum;
    std::printf("checkpoint of step %lld: %s weights\n", static_cast<long long>(step),
                same ? "the same" : "other");
    std::fflush(stdout);

    rayx::Shutdown();
  } catch (const std::exception& error) {
    std::cerr << argv[0] << ": " << error.what() << '\n';
    return 1;
  }
  return 0;
}
