// bench/data/generate/feature_rows.h
//
// The truth behind `classification` and `blobs`, and any row of them.
//
// A row is a pure function of (seed, row): a class k, equally likely; around its centre c_k a point
// z with independent standard normal coordinates; then each coordinate with its own unit,
// x_j = offset_j + scale_j z_j. So that the best possible classifier is known:
// - classification: the centres are orthogonal and equally far from zero, at `separation` from each
//   other. The posterior is a softmax of linear functions (Bishop, Pattern Recognition and Machine
//   Learning, 4.2), so that logistic regression can reach the best there is. A share `noise` of the
//   rows then gets the label of another class, evenly chosen.
// - blobs: the centres are normal points of standard deviation `separation`, scales are 1 and
//   offsets 0. A share `noise` of the rows lies evenly in the box of +-3 separations, label -1.
// A share `missing` of the cells is empty, wherever they are (NaN here).
//
// Threads:  any; a FeatureRows is constant after construction.
// Limits:   a spec that CheckSpec accepts; classes x features doubles of memory.
#pragma once

#include <cstdint>
#include <vector>

#include "bench/data/generate/generate_spec.h"

namespace rayx::bench {

struct GroundTruth {
  std::vector<double> centres;  // classes x features, in units of z
  std::vector<double> scales;   // one a feature
  std::vector<double> offsets;
};

GroundTruth MakeGroundTruth(const GenerateSpec& spec);

class FeatureRows {
 public:
  // `row_seed`: whose rows; the data set's own when it is the spec's seed.
  FeatureRows(const GenerateSpec& spec, GroundTruth truth, std::uint64_t row_seed);
  explicit FeatureRows(const GenerateSpec& spec)
      : FeatureRows(spec, MakeGroundTruth(spec), spec.seed) {}

  struct Label {
    std::int32_t written;  // what the data set shows
    std::int32_t actual;   // the class whose centre the point was drawn around; -1: none
  };
  // Writes spec.features numbers.
  Label Draw(std::int64_t row, double* features) const;

  // The class whose centre is nearest to the row by the cells that are there: the best guess.
  std::int32_t NearestCentre(const double* features) const;

  const GroundTruth& truth() const { return truth_; }

 private:
  Label DrawLabel(std::uint64_t row) const;

  const GenerateSpec spec_;
  const GroundTruth truth_;
  const std::uint64_t row_seed_;
};

// The share of rows whose written label the best classifier of all guesses.
struct BestAccuracy {
  double value = 0;
  double standard_error = 0;  // 0: exact
  const char* how = "";
};
BestAccuracy ComputeBestAccuracy(const GenerateSpec& spec, const GroundTruth& truth);

}  // namespace rayx::bench
