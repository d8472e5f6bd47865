// A sweep over hyper-parameters by successive halving: many trials begin, after each round the
// better third of them goes on, three times as long. What a trial has learned stays in the object
// store between its rounds; only its loss comes to the driver.
#include <rayx/rayx.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <iostream>
#include <limits>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "../flags.h"

struct Trial {
  double learning_rate;
  double momentum;
  int width;  // of the hidden layer
};

std::string Name(const Trial& trial) {
  char name[80];
  std::snprintf(name, sizeof(name), "rate=%g momentum=%g width=%d", trial.learning_rate,
                trial.momentum, trial.width);
  return name;
}

struct Point {
  double x, y, target;
};
using Points = std::vector<Point>;

// A network with one hidden layer: units of x, y, bias and the factor of their output.
struct Network {
  std::vector<double> weights;  // [width][4]
  std::vector<double> velocity;
};

class Diverged : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};
RAYX_EXCEPTION(Diverged);

double Uniform(std::mt19937& random) {
  return static_cast<double>(random() % 2001) / 1000 - 1;
}

Points MakePoints(int count) {
  std::mt19937 random(1);
  Points points;
  for (int i = 0; i < count; ++i) {
    const double x = Uniform(random);
    const double y = Uniform(random);
    points.push_back({x, y, x * y});
  }
  return points;
}

Network MakeNetwork(const Trial& trial) {
  std::mt19937 random(2);
  Network network;
  network.velocity.resize(static_cast<std::size_t>(trial.width) * 4);
  for (std::size_t i = 0; i < network.velocity.size(); ++i) {
    network.weights.push_back(Uniform(random));
  }
  return network;
}

// One pass over the points by stochastic gradient descent; the mean squared error on the way.
double Epoch(Network& network, const Trial& trial, const Points& points) {
  std::vector<double>& w = network.weights;
  double loss = 0;
  for (const Point& point : points) {
    const auto hidden = [&](std::size_t u) {
      return std::max(0.0, w[u] * point.x + w[u + 1] * point.y + w[u + 2]);
    };
    double error = -point.target;
    for (std::size_t u = 0; u < w.size(); u += 4) error += hidden(u) * w[u + 3];
    loss += error * error;
    for (std::size_t u = 0; u < w.size(); u += 4) {
      const double output = hidden(u);
      const double back = output > 0 ? error * w[u + 3] : 0;
      const double gradient[4] = {back * point.x, back * point.y, back, error * output};
      for (std::size_t k = 0; k < 4; ++k) {
        double& velocity = network.velocity[u + k];
        velocity = trial.momentum * velocity - trial.learning_rate * gradient[k];
        w[u + k] += velocity;
      }
    }
  }
  return loss / static_cast<double>(points.size());
}

// A round of a trial: the network afterwards, and its last loss. The parts are objects of their
// own: RemoteEach.
std::pair<Network, double> Train(const Trial& trial, Network network, const Points& points,
                                 int epochs) {
  double loss = 0;
  for (int epoch = 0; epoch < epochs; ++epoch) {
    loss = Epoch(network, trial, points);
    if (!(loss < 100)) throw Diverged(Name(trial));
  }
  return {std::move(network), loss};
}

constexpr double kGaveUp = std::numeric_limits<double>::infinity();

// Trains these trials for so many epochs more and gives the loss of each, or kGaveUp.
using Round = std::function<std::vector<double>(const std::vector<std::size_t>&, int)>;

struct Outcome {
  std::string report;  // a line a round
  double loss = kGaveUp;
};

Outcome Halve(const std::vector<Trial>& trials, int epochs, const Round& round) {
  Outcome outcome;
  std::vector<std::size_t> left(trials.size());
  std::iota(left.begin(), left.end(), std::size_t{0});
  for (;; epochs *= 3) {
    const std::vector<double> losses = round(left, epochs);
    std::vector<std::pair<double, std::size_t>> order;
    for (std::size_t i = 0; i < left.size(); ++i) {
      if (losses[i] != kGaveUp) order.emplace_back(losses[i], left[i]);
    }
    if (order.empty()) throw std::runtime_error("no trial is left");
    std::sort(order.begin(), order.end());
    outcome.loss = order.front().first;
    char line[200];
    std::snprintf(line, sizeof(line), "%zu trials, epochs %d, %zu gave up; best: %s, loss %.6f\n",
                  left.size(), epochs, left.size() - order.size(),
                  Name(trials[order.front().second]).c_str(), outcome.loss);
    outcome.report += line;
    if (order.size() == 1) return outcome;
    order.resize((order.size() + 2) / 3);
    left.clear();
    for (const auto& [loss, trial] : order) left.push_back(trial);
  }
}

Outcome Sweep(const std::vector<Trial>& trials, const Points& points, int epochs) {
  const rayx::ObjectRef<Points> stored = rayx::Put(points);  // once, for all trials
  std::vector<rayx::ObjectRef<Network>> networks;
  for (const Trial& trial : trials) networks.push_back(rayx::Put(MakeNetwork(trial)));
  return Halve(trials, epochs, [&](const std::vector<std::size_t>& left, int more) {
    std::vector<rayx::ObjectRef<double>> running;
    for (const std::size_t i : left) {
      auto [network, loss] = rayx::Task<&Train>()
                                 .SetName(Name(trials[i]))  // what `rayx list` and errors show
                                 .RemoteEach(trials[i], networks[i], stored, more);
      networks[i] = std::move(network);
      running.push_back(std::move(loss));
    }
    std::vector<double> losses(left.size(), kGaveUp);
    for (std::size_t i = 0; i < running.size(); ++i) {
      try {
        losses[i] = *running[i].Get();
      } catch (const Diverged&) {               // a trial may fail, the sweep goes on
      } catch (const rayx::WorkerDied& died) {  // out of memory, perhaps, after all its retries
        std::cerr << died.what() << '\n';
      }
    }
    return losses;
  });
}

Outcome SweepHere(const std::vector<Trial>& trials, const Points& points, int epochs) {
  std::vector<Network> networks;
  for (const Trial& trial : trials) networks.push_back(MakeNetwork(trial));
  return Halve(trials, epochs, [&](const std::vector<std::size_t>& left, int more) {
    std::vector<double> losses;
    for (const std::size_t i : left) {
      double& loss = losses.emplace_back(kGaveUp);
      try {
        std::tie(networks[i], loss) = Train(trials[i], networks[i], points, more);
      } catch (const Diverged&) {
      }
    }
    return losses;
  });
}

int main(int argc, char** argv) {
  int points = 1000;
  int epochs = 1;
  const example::Flags flags("10_sweep", {{"points", &points, "points to learn from"},
                                          {"epochs", &epochs, "passes of the first round"}});
  if (flags.PrintHelp(argc, argv)) return 0;
  try {
    rayx::Init(&argc, argv);  // --local, --address ip:port, or nothing: a cluster of its own
    flags.Read(argc, argv);

    std::vector<Trial> trials;
    for (const double rate : {1.0, 0.1, 0.01}) {
      for (const double momentum : {0.0, 0.5, 0.9}) {
        for (const int width : {4, 8, 16}) trials.push_back({rate, momentum, width});
      }
    }
    const Points data = MakePoints(points);
    const Outcome outcome = Sweep(trials, data, epochs);
    const Outcome direct = SweepHere(trials, data, epochs);
    const bool same = outcome.report == direct.report && outcome.loss == direct.loss;
    std::cout << outcome.report << (same ? "as" : "NOT as") << " found without RayX\n";
    rayx::Shutdown();
    return same ? 0 : 1;
  } catch (const std::exception& error) {
    std::cerr << argv[0] << ": " << error.what() << '\n';
    return 1;
  }
}
