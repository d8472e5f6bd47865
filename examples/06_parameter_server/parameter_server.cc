// A parameter server: an actor holds the weights of a model, workers compute gradients. Once in
// step with each other, once each at its own pace.
#include <rayx/rayx.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "../flags.h"

using Vector = std::vector<double>;

constexpr std::size_t kFeatures = 10;
constexpr double kLearningRate = 0.6;

// Rows of a linear model without noise: target = sum of (feature + 1) * features[feature].
struct Shard {
  Vector features;  // [row][kFeatures]
  Vector targets;   // [row]
};

Shard MakeShard(int number, int rows) {
  std::mt19937 random(static_cast<std::uint32_t>(number));
  Shard shard;
  for (int row = 0; row < rows; ++row) {
    double target = 0;
    for (std::size_t i = 0; i < kFeatures; ++i) {
      const double feature = static_cast<double>(random() % 2001) / 1000 - 1;
      shard.features.push_back(feature);
      target += static_cast<double>(i + 1) * feature;
    }
    shard.targets.push_back(target);
  }
  return shard;
}

// Of half the mean squared error.
Vector Gradient(const Vector& weights, const Shard& shard) {
  Vector gradient(weights.size());
  for (std::size_t row = 0; row < shard.targets.size(); ++row) {
    const double* features = &shard.features[row * kFeatures];
    double error = -shard.targets[row];
    for (std::size_t i = 0; i < kFeatures; ++i) error += weights[i] * features[i];
    for (std::size_t i = 0; i < kFeatures; ++i) gradient[i] += error * features[i];
  }
  for (double& value : gradient) value /= static_cast<double>(shard.targets.size());
  return gradient;
}

Vector Mean(const std::vector<std::shared_ptr<Vector>>& vectors) {
  Vector mean(kFeatures);
  for (const auto& vector : vectors) {
    for (std::size_t i = 0; i < kFeatures; ++i) mean[i] += (*vector)[i];
  }
  for (double& value : mean) value /= static_cast<double>(vectors.size());
  return mean;
}

class Server {
 public:
  static std::unique_ptr<Server> Create(double rate) { return std::make_unique<Server>(rate); }
  explicit Server(double rate) : rate_(rate) {}

  Vector Weights() const { return weights_; }
  Vector Push(const Vector& gradient) {
    for (std::size_t i = 0; i < kFeatures; ++i) weights_[i] -= rate_ * gradient[i];
    return weights_;
  }
  // Of references: their values are summed in the order of the shards, on which the bits depend.
  Vector PushMean(const std::vector<rayx::ObjectRef<Vector>>& gradients) {
    return Push(Mean(rayx::Get(gradients)));
  }

 private:
  double rate_;
  Vector weights_ = Vector(kFeatures);
};

using Shards = std::vector<rayx::ObjectRef<Shard>>;

// In step. Nothing waits in this loop: the weights that PushMean will return are an argument of the
// gradients of the next step before anything was computed.
Vector TrainInStep(const Shards& shards, int steps) {
  const auto server = rayx::Actor<&Server::Create>().Remote(kLearningRate);
  rayx::ObjectRef<Vector> weights = server.Task<&Server::Weights>().Remote();
  for (int step = 0; step < steps; ++step) {
    std::vector<rayx::ObjectRef<Vector>> gradients;
    for (const auto& shard : shards) {
      gradients.push_back(rayx::Task<&Gradient>().Remote(weights, shard));
    }
    weights = server.Task<&Server::PushMean>().Remote(gradients);
  }
  Vector result = *weights.Get();
  server.Kill();
  return result;
}

// At its own pace: others may have pushed since these weights were read. A handle is an argument
// like any other. If the process of a worker dies, its task runs again from the start, which this
// method forgives.
int Work(rayx::ActorHandle<Server> server, const Shard& shard, int steps) {
  Vector weights = *server.Task<&Server::Weights>().Remote().Get();
  for (int step = 0; step < steps; ++step) {
    weights = *server.Task<&Server::Push>().Remote(Gradient(weights, shard)).Get();
  }
  return steps;
}

struct OwnPace {
  Vector weights;
  int pushes = 0;
};

OwnPace TrainAtOwnPace(const Shards& shards, int steps) {
  const double rate = kLearningRate / static_cast<double>(shards.size());
  const auto server = rayx::Actor<&Server::Create>().Remote(rate);
  std::vector<rayx::ObjectRef<int>> workers;
  for (const auto& shard : shards) {
    workers.push_back(rayx::Task<&Work>().Remote(server, shard, steps));
  }
  OwnPace result;
  for (const auto& worker : workers) {
    try {
      result.pushes += *worker.Get();
    } catch (const rayx::WorkerDied& died) {  // after all retries: the others' work still counts
      std::cerr << "a worker less: " << died.what() << '\n';
    }
  }
  result.weights = *server.Task<&Server::Weights>().Remote().Get();
  server.Kill();
  return result;
}

Vector TrainHere(const std::vector<Shard>& shards, int steps) {
  Server server(kLearningRate);
  for (int step = 0; step < steps; ++step) {
    std::vector<std::shared_ptr<Vector>> gradients;
    for (const Shard& shard : shards) {
      gradients.push_back(std::make_shared<Vector>(Gradient(server.Weights(), shard)));
    }
    server.Push(Mean(gradients));
  }
  return server.Weights();
}

// The largest distance of a weight from the one that MakeShard has used.
double Error(const Vector& weights) {
  double error = 0;
  for (std::size_t i = 0; i < kFeatures; ++i) {
    error = std::max(error, std::abs(weights[i] - static_cast<double>(i + 1)));
  }
  return error;
}

int main(int argc, char** argv) {
  int workers = 4;
  int rows = 1000;
  int steps = 60;
  const example::Flags flags("06_parameter_server", {{"workers", &workers, "shards of the data"},
                                                     {"rows", &rows, "rows of a shard"},
                                                     {"steps", &steps, "gradients of a worker"}});
  if (flags.PrintHelp(argc, argv)) return 0;
  try {
    rayx::Init(&argc, argv);  // --local, --address ip:port, or nothing: a cluster of its own
    flags.Read(argc, argv);

    std::vector<Shard> shards;
    Shards stored;
    for (int worker = 0; worker < workers; ++worker) {
      shards.push_back(MakeShard(worker, rows));
      stored.push_back(rayx::Put(shards.back()));
    }

    const Vector in_step = TrainInStep(stored, steps);
    const bool same = in_step == TrainHere(shards, steps);  // every bit
    std::printf("in step: %d steps, error %.6f, %s as without RayX\n", steps, Error(in_step),
                same ? "the same weights" : "NOT the same weights");

    const OwnPace own_pace = TrainAtOwnPace(stored, steps);
    // In what order they were pushed is chance, and with it the bits; one that comes late is of
    // weights that are long gone, and sets the last ones back a little.
    const bool near = Error(own_pace.weights) < 0.05 + 5 * Error(in_step);
    std::printf("own pace: %d pushes, %s\n", own_pace.pushes, near ? "as near" : "NOT as near");
    std::fflush(stdout);
    rayx::Shutdown();
    return same && near ? 0 : 1;
  } catch (const std::exception& error) {
    std::cerr << argv[0] << ": " << error.what() << '\n';
    return 1;
  }
}
