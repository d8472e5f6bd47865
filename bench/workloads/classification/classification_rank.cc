#include "bench/workloads/classification/classification_rank.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "bench/workloads/arm/model_outcome.h"
#include "bench/workloads/classification/models.h"

namespace rayx::bench {
namespace {

constexpr int64_t kDigestBytes = 32;

int64_t Sum(const std::vector<int64_t>& numbers) {
  return std::accumulate(numbers.begin(), numbers.end(), int64_t{0});
}

}  // namespace

void ClassificationRank::Load() {
  plan_ = PlanOfTable(options_.data, classification_.block_rows);
  const Range own = Blocks(ranks_.rank());
  for (int64_t block = own.begin; block < own.end; ++block) {
    raw_.push_back(ReadBlock(plan_, block));
  }
}

void ClassificationRank::Clean() {
  for (const LabelledRows& block : raw_) complete_.push_back(CompleteRows(block));
}

void ClassificationRank::SplitBlocks() {
  for (size_t i = 0; i < raw_.size(); ++i) {
    split_.push_back(Split(plan_, Block(i), raw_[i], complete_[i], options_.seed));
  }
}

std::vector<Moments> ClassificationRank::Exchange() {
  // Of each block: rows of training and test, sums, sums of squares.
  at::Tensor facts = at::zeros({plan_.blocks(), 2 + 2 * kFeatures}, at::kDouble);
  for (size_t i = 0; i < split_.size(); ++i) {
    const Moments moments = MomentsOf(split_[i].train);
    auto* fact = facts[Block(i)].mutable_data_ptr<double>();
    *fact++ = static_cast<double>(moments.rows);
    *fact++ = static_cast<double>(split_[i].test.labels.size(0));
    fact = std::copy(moments.sums.begin(), moments.sums.end(), fact);
    std::copy(moments.squares.begin(), moments.squares.end(), fact);
  }
  ranks_.Sum(facts);  // every other rank's are zero: exact
  std::vector<Moments> all;
  for (int64_t block = 0; block < plan_.blocks(); ++block) {
    const auto* fact = facts[block].const_data_ptr<double>();
    train_rows_.push_back(static_cast<int64_t>(fact[0]));
    test_rows_.push_back(static_cast<int64_t>(fact[1]));
    const double* sums = fact + 2;
    all.push_back(
        {train_rows_.back(), {sums, sums + kFeatures}, {sums + kFeatures, sums + 2 * kFeatures}});
  }
  return all;
}

void ClassificationRank::ShareTrainingRows(const std::vector<LabelledRows>& own) {
  const int64_t rows = Sum(train_rows_);
  train_ = {at::empty({rows, kFeatures}, at::kFloat), at::empty({rows}, at::kLong)};
  int64_t begin = 0, block = 0;
  for (int rank = 0; rank < ranks_.size(); ++rank) {
    const int64_t first_row = begin;
    for (; block < Blocks(rank).end; ++block) {
      const int64_t count = train_rows_[static_cast<size_t>(block)];
      if (rank == ranks_.rank()) {
        const LabelledRows& from = own[static_cast<size_t>(block - Blocks(rank).begin)];
        train_.features.narrow(0, begin, count).copy_(from.features);
        train_.labels.narrow(0, begin, count).copy_(from.labels);
      }
      begin += count;
    }
    for (at::Tensor* whole : {&train_.features, &train_.labels}) {
      at::Tensor part = whole->narrow(0, first_row, begin - first_row);
      ranks_.Broadcast(part, rank);
    }
  }
}

void ClassificationRank::StandardiseBlocks() {
  const Scale scale = ScaleOf(Exchange());
  std::vector<LabelledRows> train;
  for (const SplitRows& block : split_) {
    train.push_back(Standardise(block.train, scale));
    test_.push_back(Standardise(block.test, scale));
  }
  ShareTrainingRows(train);
}

void ClassificationRank::Train(int64_t steps) {
  ::torch::manual_seed(options_.seed);
  training_ = std::make_unique<ReducerTraining>(
      ranks_, classification_.is_mlp() ? MakeMultilayerPerceptron() : MakeLogisticRegression(),
      ReducerTrainingOptions{.order_seed = options_.seed,
                             .batch = classification_.batch,
                             .learning_rate = classification_.learning_rate});
  losses_ = training_->Run(train_.features, train_.labels, steps);
}

void ClassificationRank::Evaluate() {
  int64_t correct = 0;
  for (const LabelledRows& block : test_) {
    correct += training_->CountCorrect(block.features, block.labels);
  }
  at::Tensor total = at::full({1}, correct, at::kLong);
  ranks_.Sum(total);
  accuracy_ = static_cast<double>(total.item<int64_t>()) /
              static_cast<double>(std::max<int64_t>(1, Sum(test_rows_)));
}

ArmOutcome ClassificationRank::Outcome(int64_t steps) {
  // Of each block: raw, training, test.
  at::Tensor digests = at::zeros({3, plan_.blocks(), kDigestBytes}, at::kLong);
  int64_t begin = Sum({train_rows_.begin(), train_rows_.begin() + Blocks(ranks_.rank()).begin});
  for (size_t i = 0; i < raw_.size(); ++i) {
    const int64_t count = train_rows_[static_cast<size_t>(Block(i))];
    const LabelledRows train = {train_.features.narrow(0, begin, count),
                                train_.labels.narrow(0, begin, count)};
    begin += count;
    int64_t kind = 0;
    for (const LabelledRows& rows : {raw_[i], train, test_[i]}) {
      auto* number = digests[kind++][Block(i)].mutable_data_ptr<int64_t>();
      for (const char byte : DigestOf(rows)) *number++ = static_cast<unsigned char>(byte);
    }
  }
  ranks_.Sum(digests);
  ArmOutcome outcome;
  if (ranks_.rank() != 0) return outcome;
  const auto digest_of = [&](int64_t first, int64_t last) {
    Sha256 digest;
    const at::Tensor bytes = digests.slice(0, first, last).to(at::kByte).contiguous();
    digest.Add(bytes.const_data_ptr(), bytes.nbytes());
    return Sha256::Hex(digest.Binary());
  };
  outcome.steps = steps;
  outcome.hashes = {{"dataset", digest_of(0, 1)}, {"features", digest_of(1, 3)}};
  outcome.values = {{"rows", static_cast<double>(Sum(train_rows_) + Sum(test_rows_))},
                    {"accuracy", accuracy_},
                    {"best_accuracy", BestAccuracy(options_.data)}};
  outcome.series["loss"] = losses_;
  AddWeights(training_->parameters(), outcome);
  return outcome;
}

void RunClassification(const ArmOptions& options, const ClassificationOptions& classification,
                       const RepCommand& command, GlooRanks& ranks, ArmEvents& events) {
  ClassificationRank rep(options, classification, ranks);
  const auto phase = [&](const char* name, const std::function<void()>& work) {
    RunPhase(name, ranks, events, work);
  };
  phase("load", [&] { rep.Load(); });
  phase("clean", [&] { rep.Clean(); });
  phase("split", [&] { rep.SplitBlocks(); });
  phase("standardise", [&] { rep.StandardiseBlocks(); });
  phase("train", [&] { rep.Train(command.steps); });
  phase("evaluate", [&] { rep.Evaluate(); });
  events.Result(command, rep.Outcome(command.steps));
}

}  // namespace rayx::bench
