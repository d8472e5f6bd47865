#include "cli/microbenchmark/row.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <exception>

#include "base/check.h"

namespace rayx::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kSamplesMin = 5;
constexpr double kSamplesWanted = 10;  // in a row's time
constexpr size_t kGrowth = 4;          // of the calls of a sample that was too short
constexpr size_t kCallsMax = 1u << 30;

double Elapsed(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Warms up, and gives how many calls make a sample of a tenth of the row's time.
size_t CallsOfASample(const Row& row, const Sampler& sampler, double seconds) {
  const double wanted = seconds / kSamplesWanted;
  for (size_t calls = row.calls_min;; calls *= kGrowth) {
    const auto start = Clock::now();
    sampler(calls);
    const double took = Elapsed(start);
    if (took < wanted / 2 && calls < kCallsMax) continue;
    const double fits = static_cast<double>(calls) * wanted / took;
    return std::max(row.calls_min, static_cast<size_t>(std::min<double>(fits, kCallsMax)));
  }
}

// By sample, then by figure.
std::vector<std::vector<double>> Sample(const Row& row, double seconds) {
  const Sampler sampler = row.begin();
  std::vector<std::vector<double>> samples;
  if (row.samples != 0) {
    const int count = seconds < kFixedSamplesFromSeconds ? 1 : row.samples;
    if (count > 1 && !row.is_alone) sampler(row.calls_min);  // warms up
    for (int i = 0; i < count; ++i) samples.push_back(sampler(row.calls_min));
    return samples;
  }
  const size_t calls = CallsOfASample(row, sampler, seconds);
  const auto start = Clock::now();
  while (samples.size() < kSamplesMin || Elapsed(start) < seconds) {
    samples.push_back(sampler(calls));
  }
  return samples;
}

void Summarise(const std::vector<std::vector<double>>& samples, RowResult& result) {
  for (size_t i = 0; i < result.figures.size(); ++i) {
    std::vector<double> values;
    for (const std::vector<double>& sample : samples) {
      RAYX_CHECK(sample.size() == result.figures.size(), "a value for each figure");
      values.push_back(sample[i]);
    }
    Measured& measured = result.figures[i];
    measured.median = Quantile(values, 0.5);
    measured.p10 = Quantile(values, 0.1);
    measured.p90 = Quantile(values, 0.9);
    if (!std::isfinite(measured.median) || measured.median <= 0) {
      throw std::runtime_error(measured.figure.name + ": measured " +
                               std::to_string(measured.median));
    }
  }
}

}  // namespace

void Expect(int64_t got, int64_t wanted) {
  if (got == wanted) return;
  throw std::runtime_error("got " + std::to_string(got) + ", expected " + std::to_string(wanted));
}

RowResult MeasureRow(const Row& row, double seconds) {
  RowResult result;
  for (const Figure& figure : row.figures) result.figures.push_back({figure});
  try {
    Summarise(Sample(row, seconds), result);
  } catch (const NotRun& why) {
    result.not_run = why.what();
  } catch (const std::exception& error) {
    result.failed = error.what();
    if (result.failed.empty()) result.failed = "an exception that says nothing";
  }
  return result;
}

}  // namespace rayx::cli
