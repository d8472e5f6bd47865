#include "bench/runner/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace rayx::bench {
namespace {

constexpr int kResamples = 10000;

// Uniform in 0..n-1 by multiplication, so that the numbers do not depend on the standard library.
size_t Pick(std::mt19937_64& random, size_t n) {
  return static_cast<size_t>((random() >> 32) * static_cast<uint64_t>(n) >> 32);
}

Interval Percentiles(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto at = [&](double fraction) {
    return values[static_cast<size_t>(std::lround(fraction * static_cast<double>(values.size() - 1)))];
  };
  return {at(0.025), at(0.975)};
}

std::vector<double> Resample(const std::vector<double>& samples, std::mt19937_64& random) {
  std::vector<double> result(samples.size());
  for (double& value : result) value = samples[Pick(random, samples.size())];
  return result;
}

RatioEstimate None() {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  return {nan, {nan, nan}, 0};
}

}  // namespace

double Median(std::vector<double> samples) {
  if (samples.empty()) return std::numeric_limits<double>::quiet_NaN();
  std::sort(samples.begin(), samples.end());
  const size_t middle = samples.size() / 2;
  return samples.size() % 2 == 1 ? samples[middle] : (samples[middle - 1] + samples[middle]) / 2;
}

RatioEstimate PairedRatio(const std::vector<double>& numerator,
                          const std::vector<double>& denominator, uint64_t seed) {
  if (numerator.empty() || numerator.size() != denominator.size()) return None();
  std::vector<double> ratios;
  for (size_t i = 0; i < numerator.size(); ++i) ratios.push_back(numerator[i] / denominator[i]);
  std::mt19937_64 random(seed);
  std::vector<double> medians(kResamples);
  for (double& median : medians) median = Median(Resample(ratios, random));
  return {Median(ratios), Percentiles(medians), static_cast<int>(ratios.size())};
}

RatioEstimate UnpairedRatio(const std::vector<double>& numerator,
                            const std::vector<double>& denominator, uint64_t seed) {
  if (numerator.empty() || denominator.empty()) return None();
  std::mt19937_64 random(seed);
  std::vector<double> ratios(kResamples);
  for (double& ratio : ratios) {
    const double above = Median(Resample(numerator, random));
    ratio = above / Median(Resample(denominator, random));
  }
  return {Median(numerator) / Median(denominator), Percentiles(ratios),
          static_cast<int>(std::min(numerator.size(), denominator.size()))};
}

Verdict Judge(const RatioEstimate& ratio) {
  if (ratio.pairs < 3 || std::isnan(ratio.median)) return Verdict::kTooFew;
  if (ratio.interval.low > 1) return Verdict::kFaster;
  if (ratio.interval.high < 1) return Verdict::kSlower;
  return Verdict::kNoDifference;
}

std::string VerdictWord(Verdict verdict) {
  switch (verdict) {
    case Verdict::kFaster: return "win";
    case Verdict::kSlower: return "loss";
    case Verdict::kNoDifference: return "no difference";
    case Verdict::kTooFew: return "too few pairs";
  }
  return "";
}

}  // namespace rayx::bench
