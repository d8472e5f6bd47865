#include "bench/workloads/arm/trainer_run.h"

namespace rayx::bench {

torch::TrainResult TrainAndEvaluate(torch::TrainerBase& trainer, int64_t steps, ArmEvents& events) {
  const PhaseClock train_and_evaluate;
  double evaluate_seconds = 0;
  const auto on_progress = [&](const torch::Progress& progress) {
    if (progress.evaluated) evaluate_seconds += progress.evaluate_seconds;
    const auto done = progress.first_step + static_cast<int64_t>(progress.losses.size());
    events.Step(done);
    if (done < progress.steps_total) return;
    events.Phase("train", train_and_evaluate.Seconds() - evaluate_seconds);
    events.Phase("evaluate", evaluate_seconds);
  };
  return trainer.Train(on_progress, steps);
}

std::vector<double> GlobalLosses(const torch::TrainResult& result, const torch::BatchPlan& plan,
                                 int ranks) {
  std::vector<double> losses(static_cast<size_t>(result.steps));
  for (size_t i = 0; i < losses.size(); ++i) {
    const int64_t step = static_cast<int64_t>(i) % plan.steps();
    float loss = 0;
    for (int rank = 0; rank < ranks; ++rank) {
      const auto part = static_cast<float>(plan.Part(step, rank).count);
      loss += result.rank_losses.at(static_cast<size_t>(rank)).at(i) * part /
              static_cast<float>(plan.BatchRows(step));
    }
    losses[i] = static_cast<double>(loss);
  }
  return losses;
}

}  // namespace rayx::bench
