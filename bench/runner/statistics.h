// bench/runner/statistics.h
//
// The statistics of a comparison: medians, paired ratios, bootstrap intervals, and the verdict in
// words. Pure; the same samples and seed give the same numbers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace rayx::bench {

// Middle value, or the mean of the two in the middle; NaN for no samples.
double Median(std::vector<double> samples);

struct Interval {
  double low = 0, high = 0;
};

struct RatioEstimate {
  double median = 0;
  Interval interval;  // bootstrap percentile interval, 95 %
  int pairs = 0;
};

// The median of numerator[i] / denominator[i] over pairs that ran side by side. Requires as many
// of one as of the other, all positive; no pairs give NaN.
RatioEstimate PairedRatio(const std::vector<double>& numerator,
                          const std::vector<double>& denominator, uint64_t seed = 1);

// The ratio of the medians of two sets of samples that were not taken side by side; both are
// resampled.
RatioEstimate UnpairedRatio(const std::vector<double>& numerator,
                            const std::vector<double>& denominator, uint64_t seed = 1);

enum class Verdict { kFaster, kSlower, kNoDifference, kTooFew };

// For a ratio of rival's time to ours: kFaster when the whole interval lies above 1, kSlower when
// below, kNoDifference when it straddles 1. Fewer than 3 pairs say nothing.
Verdict Judge(const RatioEstimate& rival_over_ours);
std::string VerdictWord(Verdict verdict);  // "win", "loss", "no difference", "too few pairs"

}  // namespace rayx::bench
