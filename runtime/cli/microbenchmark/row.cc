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
    if (count > 1 && !row.is_alone()) sampler(row.calls_min);  // warms up
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

double Best(const Figure& figure, const std::vector<double>& values) {
  return LessIsBetter(figure.unit) ? *std::min_element(values.begin(), values.end())
                                   : *std::max_element(values.begin(), values.end());
}

void ExpectNumber(const std::string& what, double value) {
  if (std::isfinite(value) && value > 0) return;
  throw std::runtime_error(what + ": measured " + std::to_string(value));
}

void Summarise(const std::vector<std::vector<double>>& samples, RowResult& result) {
  size_t at = 0;  // in each sample
  const auto take = [&] {
    std::vector<double> values;
    for (const std::vector<double>& sample : samples) values.push_back(sample.at(at));
    ++at;
    return values;
  };
  for (Measured& measured : result.figures) {
    const std::vector<double> values = take();
    measured.median = Quantile(values, 0.5);
    measured.p10 = Quantile(values, 0.1);
    measured.p90 = Quantile(values, 0.9);
    ExpectNumber(measured.figure.name, measured.median);
    if (measured.figure.limit != Limit::kBeside) continue;
    measured.beside = Best(measured.figure, take());
    ExpectNumber(measured.figure.name + ": its limit", measured.beside);
  }
  RAYX_CHECK(samples.front().size() == at, "a value for each figure, and for a limit beside it");
}

}  // namespace

void Expect(int64_t got, int64_t wanted) {
  if (got == wanted) return;
  throw std::runtime_error("got " + std::to_string(got) + ", expected " + std::to_string(wanted));
}

std::optional<double> LimitOf(const Measured& measured, const Limits& limits) {
  const Figure& figure = measured.figure;
  if (figure.limit != Limit::kBeside) {
    return LimitIn(figure.unit, figure.limit, figure.limit_count, limits);
  }
  return measured.beside > 0 ? std::optional(measured.beside) : std::nullopt;
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
