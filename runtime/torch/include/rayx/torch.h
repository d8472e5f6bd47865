// LibTorch on RayX: tensors as objects, process groups of actors, data-parallel training.
//
//   #include <rayx/torch.h>
//   // Every worker calls it after torch::manual_seed(options.seed).
//   torch::nn::Sequential MakeModel() {
//     torch::nn::Sequential model;
//     model->push_back(torch::nn::Linear(784, 512));
//     model->push_back(torch::nn::ReLU());
//     model->push_back(torch::nn::Linear(512, 10));
//     return model;
//   }
//   int main(int argc, char** argv) {
//     rayx::Init(argc, argv);           // --address ip:port, --local, or an embedded cluster
//     // [60000, 784] float and [60000] int64. One object, read in place by all workers of a VM.
//     auto data = rayx::Put(rayx::torch::TensorBlock{LoadImages(), LoadLabels()});
//     auto test = rayx::Put(rayx::torch::TensorBlock{TestImages(), TestLabels()});
//     rayx::torch::TrainerOptions options;
//     options.workers = 2;
//     options.epochs = 5;
//     options.global_batch = 64;        // rows of a step over all workers
//     options.learning_rate = 1e-3;
//     options.seed = 45;
//     options.checkpoint_path = "model.pt";
//     // CrossEntropy and Sgd, as nothing else is said; else <&MakeModel, &Loss, &MakeOptimizer>.
//     rayx::torch::DataParallelTrainer<&MakeModel> trainer(options);
//     auto result = trainer.Fit({data}, test, [](const rayx::torch::Progress& p) {
//       std::printf("epoch %d: loss %.4f, accuracy %.4f\n", p.epoch, p.losses.back(), p.accuracy);
//     });
//     std::printf("%016lx after %ld steps in %.1f s\n", result.weights_checksum, result.steps,
//                 result.train_seconds);  // also losses[step] and rank_losses[rank][step]
//   }
//
// To repeat a training on the same workers and data: Start(), Load(data, test), then Train() as
// often as wanted (each from the seed), then Stop(). Parts of the result tell start, load, begin,
// train and evaluation apart.
//
// CMake: find_package(rayx REQUIRED COMPONENTS torch)
//        target_link_libraries(program rayx::rayx rayx::torch)
#ifndef RAYX_TORCH_H_
#define RAYX_TORCH_H_

#include "rayx/torch/checkpoint.h"
#include "rayx/torch/model.h"
#include "rayx/torch/process_group.h"
#include "rayx/torch/sampler.h"
#include "rayx/torch/tensor.h"
#include "rayx/torch/trainer.h"

#endif  // RAYX_TORCH_H_
