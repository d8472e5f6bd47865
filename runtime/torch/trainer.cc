#include "rayx/torch/trainer.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <utility>

#include "rayx/torch/checkpoint.h"
#include "rayx/torch/sampler.h"
#include "torch/await_all.h"
#include "torch/train_worker.h"
#include "torch/trainer_options.h"

namespace rayx::torch {
namespace {

using Clock = std::chrono::steady_clock;

// Requests under way ahead of the one whose report is awaited, so that workers never idle.
constexpr std::size_t kRequestsAhead = 2;

double SecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

void CheckMaxSteps(std::int64_t max_steps) {
  if (max_steps >= 0) return;
  throw InvalidOption("DataParallelTrainer: max_steps must be 0 (no limit) or more, not " +
                      std::to_string(max_steps));
}

void CheckBlocks(std::size_t ranks, const std::vector<std::vector<ObjectRef<TensorBlock>>>& data,
                 const std::vector<ObjectRef<TensorBlock>>& evaluation) {
  if (ranks == 0) throw InvalidOption("DataParallelTrainer: Load needs Start before it");
  if (data.size() != ranks || (!evaluation.empty() && evaluation.size() != ranks)) {
    throw InvalidOption("DataParallelTrainer: data for " + std::to_string(data.size()) +
                        " ranks and evaluation rows for " + std::to_string(evaluation.size()) +
                        " do not fit " + std::to_string(ranks) + " workers");
  }
  const auto lacks =
      std::find_if(data.begin(), data.end(), [](const auto& blocks) { return blocks.empty(); });
  if (lacks == data.end()) return;
  throw InvalidOption("DataParallelTrainer: no block of training data for rank " +
                      std::to_string(lacks - data.begin()));
}

// Calls `method` of every worker with the same arguments.
template <auto Method, class... A>
auto CallAll(const std::vector<ActorHandle<TrainWorker>>& workers, const A&... arguments) {
  std::vector<decltype(workers[0].Task<Method>().Remote(arguments...))> refs;
  for (const ActorHandle<TrainWorker>& worker : workers) {
    refs.push_back(worker.Task<Method>().Remote(arguments...));
  }
  return refs;
}

}  // namespace

struct TrainerBase::State {
  State(const TrainerOptions& given, const detail::WorkerCreator& with)
      : options(given), creator(with) {}

  struct Request {
    TrainRequest what;
    std::vector<ObjectRef<TrainReport>> reports;
    ObjectRef<std::string> checkpoint;  // empty: none was asked for
  };

  // Of the next rank.
  void AddRows(const LoadReport& report);
  BatchPlan Plan() const;
  TrainRequest Next(std::int64_t first, std::int64_t total, std::int64_t steps_an_epoch) const;
  Request Submit(const TrainRequest& what, std::int64_t steps_an_epoch) const;
  void Collect(const Request& request, const BatchPlan& plan, const OnProgress& progress,
               Progress& so_far, TrainResult& result) const;
  void Finish(TrainResult& result) const;

  const TrainerOptions options;
  const detail::WorkerCreator creator;
  std::vector<ActorHandle<TrainWorker>> workers;  // by rank; empty before Start and after Stop
  std::vector<std::uint32_t> node_numbers;        // by rank, as long as there are workers
  std::vector<std::int64_t> rows_of_rank;         // empty before Load
  std::int64_t evaluation_rows = 0;
  double start_seconds = 0;
  double load_seconds = 0;
};

TrainerBase::TrainerBase(const TrainerOptions& options, const detail::WorkerCreator& creator)
    : state_(std::make_unique<State>(options, creator)) {
  CheckTrainerOptions(options);
}

TrainerBase::~TrainerBase() {
  Stop();
}

TrainResult TrainerBase::Fit(const std::vector<ObjectRef<TensorBlock>>& data,
                             const ObjectRef<TensorBlock>& evaluation, const OnProgress& progress,
                             std::int64_t max_steps) {
  CheckMaxSteps(max_steps);  // before the workers are made
  Start();
  Load(data, evaluation);
  TrainResult result = Train(progress, max_steps);
  Stop();
  return result;
}

void TrainerBase::Start() {
  Stop();
  const Clock::time_point begin = Clock::now();
  const TrainerOptions& options = state_->options;
  detail::WorkerSetup setup;
  setup.group = NewGroup(options.workers, options.group_timeout);
  setup.cpus = options.cpus_per_worker;
  setup.global_batch = options.global_batch;
  setup.learning_rate = options.learning_rate;
  setup.seed = options.seed;
  setup.overlap_above_bytes = options.overlap_above_bytes;
  setup.own_rows = options.shard_blocks;
  setup.evaluation_batch = options.evaluation_batch;
  detail::WorkerCreator creator = state_->creator;
  creator.SetResource("CPU", options.cpus_per_worker);
  if (options.spread) creator.SetSchedulingStrategy(SchedulingStrategy::Spread());
  try {
    for (setup.rank = 0; setup.rank < options.workers; ++setup.rank) {
      state_->workers.push_back(creator.Remote(setup));
    }
    const auto nodes = CallAll<&TrainWorker::Join>(state_->workers);
    AwaitAll(nodes);
    for (const auto& node : rayx::Get(nodes)) state_->node_numbers.push_back(*node);
  } catch (...) {
    Stop();
    throw;
  }
  state_->start_seconds = SecondsSince(begin);
}

void TrainerBase::Load(const std::vector<ObjectRef<TensorBlock>>& data,
                       const ObjectRef<TensorBlock>& evaluation) {
  const std::size_t ranks = state_->workers.size();
  if (ranks > 0 && (data.empty() || (state_->options.shard_blocks && data.size() < ranks))) {
    throw InvalidOption("DataParallelTrainer: " + std::to_string(data.size()) +
                        " blocks of training data are too few for " + std::to_string(ranks) +
                        " workers");
  }
  std::vector<std::vector<ObjectRef<TensorBlock>>> of_rank(ranks, data);
  if (state_->options.shard_blocks) {
    of_rank.assign(ranks, {});
    for (std::size_t i = 0; i < data.size() && ranks > 0; ++i) {
      of_rank[i % ranks].push_back(data[i]);
    }
  }
  LoadByRank(of_rank, evaluation ? std::vector<ObjectRef<TensorBlock>>(ranks, evaluation)
                                 : std::vector<ObjectRef<TensorBlock>>());
}

void TrainerBase::LoadByRank(const std::vector<std::vector<ObjectRef<TensorBlock>>>& data,
                             const std::vector<ObjectRef<TensorBlock>>& evaluation) {
  State& state = *state_;
  CheckBlocks(state.workers.size(), data, evaluation);
  const Clock::time_point begin = Clock::now();
  state.rows_of_rank.clear();
  std::vector<ObjectRef<LoadReport>> refs;
  for (std::size_t rank = 0; rank < data.size(); ++rank) {
    refs.push_back(state.workers[rank].Task<&TrainWorker::Load>().Remote(
        data[rank], evaluation.empty() ? ObjectRef<TensorBlock>() : evaluation[rank]));
  }
  try {
    AwaitAll(refs);
    for (const std::shared_ptr<LoadReport>& report : rayx::Get(refs)) {
      state.AddRows(*report);
    }
  } catch (...) {
    Stop();
    throw;
  }
  state.load_seconds = SecondsSince(begin);
}

const std::vector<std::uint32_t>& TrainerBase::NodeNumbers() const {
  return state_->node_numbers;
}

TrainResult TrainerBase::Train(const OnProgress& progress, std::int64_t max_steps) {
  CheckMaxSteps(max_steps);
  State& state = *state_;
  if (state.rows_of_rank.empty()) {
    throw InvalidOption("DataParallelTrainer: Train needs Start and Load before it");
  }
  const BatchPlan plan = state.Plan();
  std::int64_t total = plan.steps() * state.options.epochs;
  if (max_steps > 0) total = std::min(total, max_steps);
  if (total == 0) {
    throw InvalidOption("DataParallelTrainer: too few rows of training data for " +
                        std::to_string(state.workers.size()) + " workers");
  }

  TrainResult result;
  result.rank_losses.resize(state.workers.size());
  Progress so_far;
  so_far.steps_total = total;
  try {
    Clock::time_point begin = Clock::now();
    AwaitAll(CallAll<&TrainWorker::Begin>(state.workers, state.rows_of_rank));
    result.begin_seconds = SecondsSince(begin);
    begin = Clock::now();
    std::deque<State::Request> under_way;
    std::int64_t submitted = 0;
    while (result.steps < total) {
      while (submitted < total && under_way.size() <= kRequestsAhead) {
        under_way.push_back(state.Submit(state.Next(submitted, total, plan.steps()), plan.steps()));
        submitted += under_way.back().what.count;
      }
      state.Collect(under_way.front(), plan, progress, so_far, result);
      under_way.pop_front();
    }
    result.train_seconds = SecondsSince(begin) - result.evaluate_seconds;
    state.Finish(result);
  } catch (...) {
    Stop();
    throw;
  }
  return result;
}

void TrainerBase::Stop() noexcept {
  for (const ActorHandle<TrainWorker>& worker : state_->workers) {
    try {
      worker.Kill();
    } catch (const std::exception&) {
      // The runtime is gone, and the workers with it.
    }
  }
  state_->workers.clear();
  state_->node_numbers.clear();
  state_->rows_of_rank.clear();
  state_->evaluation_rows = 0;
}

void TrainerBase::State::AddRows(const LoadReport& report) {
  const bool is_first = rows_of_rank.empty();
  const bool differs = !is_first && ((!options.shard_blocks && report.rows != rows_of_rank[0]) ||
                                     report.evaluation_rows != evaluation_rows);
  if (differs) {
    throw InvalidOption("DataParallelTrainer: rank " + std::to_string(rows_of_rank.size()) +
                        " was given another number of rows than rank 0");
  }
  rows_of_rank.push_back(report.rows);
  evaluation_rows = report.evaluation_rows;
}

BatchPlan TrainerBase::State::Plan() const {
  if (options.shard_blocks) return BatchPlan::OwnRows(rows_of_rank, options.global_batch);
  return BatchPlan::OneOrder(rows_of_rank[0], static_cast<int>(workers.size()),
                             options.global_batch);
}

// A request ends with its epoch, where an evaluation is due.
TrainRequest TrainerBase::State::Next(std::int64_t first, std::int64_t total,
                                      std::int64_t steps_an_epoch) const {
  const std::int64_t to_epoch_end = steps_an_epoch - first % steps_an_epoch;
  TrainRequest request;
  request.first = first;
  request.count = std::min(to_epoch_end, total - first);
  if (options.report_every_steps > 0) {
    request.count = std::min(request.count, options.report_every_steps);
  }
  const bool is_last = first + request.count == total;
  request.evaluate = evaluation_rows > 0 && (request.count == to_epoch_end || is_last);
  return request;
}

TrainerBase::State::Request TrainerBase::State::Submit(const TrainRequest& what,
                                                       std::int64_t steps_an_epoch) const {
  Request request;
  request.what = what;
  request.reports = CallAll<&TrainWorker::Train>(workers, what);
  const std::int64_t end = what.first + what.count;
  const int every = options.checkpoint_every_epochs;
  if (every > 0 && end % (steps_an_epoch * every) == 0) {
    request.checkpoint = workers[0].Task<&TrainWorker::Checkpoint>().Remote();
  }
  return request;
}

void TrainerBase::State::Collect(const Request& request, const BatchPlan& plan,
                                 const OnProgress& progress, Progress& so_far,
                                 TrainResult& result) const {
  AwaitAll(request.reports);
  const std::vector<std::shared_ptr<TrainReport>> reports = rayx::Get(request.reports);
  const TrainRequest& what = request.what;
  so_far.first_step = what.first;
  so_far.epoch = static_cast<int>((what.first + what.count - 1) / plan.steps());
  so_far.losses.assign(static_cast<std::size_t>(what.count), 0.0);
  so_far.evaluated = what.evaluate;
  double train_seconds = 0, evaluate_seconds = 0;
  std::int64_t correct = 0;
  for (std::size_t rank = 0; rank < reports.size(); ++rank) {
    const TrainReport& report = *reports[rank];
    if (report.losses.size() != so_far.losses.size()) {
      throw SerializationError(
          "a training worker reported another number of steps than it was given");
    }
    for (std::size_t i = 0; i < report.losses.size(); ++i) {
      const std::int64_t step = (what.first + static_cast<std::int64_t>(i)) % plan.steps();
      const auto rows = static_cast<double>(plan.Part(step, static_cast<int>(rank)).count);
      so_far.losses[i] += rows * report.losses[i] / static_cast<double>(plan.BatchRows(step));
      result.rank_losses[rank].push_back(report.losses[i]);
    }
    correct += report.correct;
    train_seconds = std::max(train_seconds, report.train_seconds);
    evaluate_seconds = std::max(evaluate_seconds, report.evaluate_seconds);
  }
  so_far.seconds += train_seconds;
  so_far.evaluate_seconds = evaluate_seconds;
  if (what.evaluate) {
    so_far.accuracy = static_cast<double>(correct) / static_cast<double>(evaluation_rows);
    result.accuracies.push_back(so_far.accuracy);
  }
  result.evaluate_seconds += evaluate_seconds;
  result.losses.insert(result.losses.end(), so_far.losses.begin(), so_far.losses.end());
  result.steps += what.count;
  if (request.checkpoint) WriteCheckpointFile(options.checkpoint_path, *request.checkpoint.Get());
  if (progress) progress(so_far);
}

void TrainerBase::State::Finish(TrainResult& result) const {
  const auto weights = CallAll<&TrainWorker::Weights>(workers);
  result.checkpoint = workers[0].Task<&TrainWorker::Checkpoint>().Remote();
  AwaitAll(weights);
  for (const std::shared_ptr<WeightsReport>& report : rayx::Get(weights)) {
    if (!result.weights_checksum) result.weights_checksum = report->checksum;
    if (result.weights_checksum != report->checksum) {
      throw GroupBroken("the ranks' weights differ after training");
    }
    result.weights_absolute_sum = report->absolute_sum;
  }
  AwaitAll(std::vector<ObjectRef<std::string>>{result.checkpoint});
  if (!options.checkpoint_path.empty()) {
    WriteCheckpointFile(options.checkpoint_path, *result.checkpoint.Get());
  }
  result.start_seconds = start_seconds;
  result.load_seconds = load_seconds;
}

}  // namespace rayx::torch
