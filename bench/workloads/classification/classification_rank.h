// bench/workloads/classification/classification_rank.h
//
// One repetition of classification-* on one rank of c10d, without RayX: every rank has blocks of
// rows, the standardised training rows go to all ranks by one broadcast a rank, the Reducer
// averages the gradients.
// Owner:    an arm's rank.                      Threads: one.
// Limits:   the phases in their order, by all ranks.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "bench/workloads/arm/gloo_ranks.h"
#include "bench/workloads/arm/reducer_training.h"
#include "bench/workloads/classification/classification_options.h"
#include "bench/workloads/classification/table_blocks.h"

namespace rayx::bench {

class ClassificationRank {
 public:
  ClassificationRank(const ArmOptions& options, const ClassificationOptions& classification,
                     GlooRanks& ranks)
      : options_(options), classification_(classification), ranks_(ranks) {}

  void Load();
  void Clean();
  void SplitBlocks();
  void StandardiseBlocks();
  void Train(int64_t steps);
  void Evaluate();
  // On every rank; counts on rank 0.
  ArmOutcome Outcome(int64_t steps);

 private:
  Range Blocks(int rank) const { return Share(plan_.blocks(), rank, ranks_.size()); }
  int64_t Block(size_t own) const {
    return Blocks(ranks_.rank()).begin + static_cast<int64_t>(own);
  }
  // Moments of all blocks from those of this rank's; learns the rows of all blocks.
  std::vector<Moments> Exchange();
  void ShareTrainingRows(const std::vector<LabelledRows>& own);

  const ArmOptions& options_;
  const ClassificationOptions& classification_;
  GlooRanks& ranks_;
  TablePlan plan_;
  // Of this rank's blocks, in order.
  std::vector<LabelledRows> raw_, test_;
  std::vector<at::Tensor> complete_;
  std::vector<SplitRows> split_;
  // Of all blocks.
  std::vector<int64_t> train_rows_, test_rows_;
  LabelledRows train_;
  std::unique_ptr<ReducerTraining> training_;
  std::vector<double> losses_;
  double accuracy_ = 0;
};

// All phases and the result.
void RunClassification(const ArmOptions& options, const ClassificationOptions& classification,
                       const RepCommand& command, GlooRanks& ranks, ArmEvents& events);

}  // namespace rayx::bench
