#include "bench/runner/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace rayx::bench {
namespace {

// P(B < k) for B binomial (n, 1/2).
double BinomialBelow(int k, int n) {
  double term = std::pow(0.5, n), sum = 0;
  for (int i = 0; i < k; ++i) {
    sum += term;
    term *= static_cast<double>(n - i) / (i + 1);
  }
  return sum;
}

double Coverage(int k, int n) {
  return 1 - 2 * BinomialBelow(k, n);
}

}  // namespace

double Median(std::vector<double> samples) {
  if (samples.empty()) return std::numeric_limits<double>::quiet_NaN();
  std::sort(samples.begin(), samples.end());
  const size_t middle = samples.size() / 2;
  return samples.size() % 2 == 1 ? samples[middle] : (samples[middle - 1] + samples[middle]) / 2;
}

MedianEstimate EstimateMedian(std::vector<double> samples) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  if (samples.empty()) return {nan, {nan, nan}, 0, 0};
  std::sort(samples.begin(), samples.end());
  const int n = static_cast<int>(samples.size());
  int k = 1;
  while (2 * (k + 1) <= n && Coverage(k + 1, n) >= kCoverageWanted) ++k;
  return {Median(samples),
          {samples[static_cast<size_t>(k - 1)], samples[static_cast<size_t>(n - k)]},
          Coverage(k, n),
          n};
}

MedianEstimate PairedRatio(const std::vector<double>& numerator,
                           const std::vector<double>& denominator) {
  if (numerator.size() != denominator.size()) return EstimateMedian({});
  std::vector<double> ratios;
  for (size_t i = 0; i < numerator.size(); ++i) ratios.push_back(numerator[i] / denominator[i]);
  return EstimateMedian(ratios);
}

Verdict Judge(const MedianEstimate& ratio) {
  if (ratio.samples < kPairsMin || std::isnan(ratio.median)) return Verdict::kTooFew;
  if (ratio.interval.low > 1) return Verdict::kFaster;
  if (ratio.interval.high < 1) return Verdict::kSlower;
  return Verdict::kNoDifference;
}

std::string VerdictName(Verdict verdict) {
  switch (verdict) {
    case Verdict::kFaster:
      return "faster";
    case Verdict::kSlower:
      return "slower";
    case Verdict::kNoDifference:
      return "no difference";
    case Verdict::kTooFew:
      return "too few pairs";
  }
  return "";
}

std::string VerdictWords(const MedianEstimate& ratio, const std::string& better,
                         const std::string& worse) {
  const Verdict verdict = Judge(ratio);
  if (verdict != Verdict::kFaster && verdict != Verdict::kSlower) return VerdictName(verdict);
  // So few pairs that the interval is that of all of them.
  if (ratio.samples < kPairsForWin) {
    return (verdict == Verdict::kFaster ? better : worse) + " in all " +
           std::to_string(ratio.samples) + " pairs";
  }
  return verdict == Verdict::kFaster ? "win" : "loss";
}

}  // namespace rayx::bench
