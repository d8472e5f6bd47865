// bench/runner/statistics.h
//
// The statistics of a comparison: medians, what an interval around one is worth, paired ratios,
// and the verdict in words. Pure.
// Formula:  n independent samples lie above and below the true median like tossed coins, so that
//           the k-th smallest and the k-th largest enclose it with probability 1 - 2 * P(B < k),
//           where B is binomial (n, 1/2): whatever the samples' distribution. For the smallest and
//           the largest (k = 1) that is 1 - 2 * (1/2)^n: 75 % for 3 samples, 93.75 % for 5.
#pragma once

#include <string>
#include <vector>

namespace rayx::bench {

// Fewer pairs give no verdict at all; fewer than kPairsForWin one that says how few they are.
inline constexpr int kPairsMin = 3;
inline constexpr int kPairsForWin = 5;
inline constexpr double kCoverageWanted = 0.95;

// Middle value, or the mean of the two in the middle; NaN for no samples.
double Median(std::vector<double> samples);

struct Interval {
  double low = 0, high = 0;
};

struct MedianEstimate {
  double median = 0;
  // The narrowest pair of samples that encloses the true median with at least kCoverageWanted, or
  // the smallest and the largest where even they do not.
  Interval interval;
  double coverage = 0;  // the probability with which `interval` encloses it
  int samples = 0;
};

// No samples give NaN.
MedianEstimate EstimateMedian(std::vector<double> samples);

// The median of numerator[i] / denominator[i] over pairs that ran side by side. Requires as many
// of one as of the other, all positive; no pairs give NaN.
MedianEstimate PairedRatio(const std::vector<double>& numerator,
                           const std::vector<double>& denominator);

enum class Verdict { kFaster, kSlower, kNoDifference, kTooFew };

// For a ratio of rival's time to ours: kFaster when the whole interval lies above 1, kSlower when
// below, kNoDifference when it straddles 1, kTooFew below kPairsMin.
Verdict Judge(const MedianEstimate& rival_over_ours);
std::string VerdictName(Verdict verdict);  // "faster", "slower", "no difference", "too few pairs"
// "win", "loss", "no difference"; below kPairsForWin "faster in all 3 pairs" and so on, or with the
// words for what is measured.
std::string VerdictWords(const MedianEstimate& rival_over_ours,
                         const std::string& better = "faster", const std::string& worse = "slower");

}  // namespace rayx::bench
