// runtime/cli/microbenchmark/row.h
//
// What a row of `rayx microbenchmark` is, and how one is measured.
//
// Purpose:  a row does its calls, times and checks them, and gives one or several figures a sample;
//           what is here makes medians and spread of them.
// Owner:    microbenchmark.cc.      Threads: the main thread.
// Promises: a row that throws has failed, with no number; so has one of a wrong result. NotRun is
//           no failure: the row says why it cannot be measured here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "cli/microbenchmark/limits.h"
#include "cli/microbenchmark/quantile.h"

namespace rayx::cli {

struct Figure {
  std::string name;
  Unit unit;
  Limit limit;
  double limit_count = 1;  // of that limit a unit of the figure has: of a batch of 1000 calls 1000
};

// Does about `calls` calls and gives a value for each figure, followed by the limit's where that is
// Limit::kBeside. Throws what went wrong.
using Sampler = std::function<std::vector<double>(size_t calls)>;

// Whose programs a row's calls are made by.
enum class RunsIn : uint8_t {
  kClusterOfRun,  // this process, in the cluster that it has started or connected to
  kOwnPrograms,   // programs of its own, with clusters of their own: needs none here
  // Likewise, with daemons that do not end as this process's children: what they used is not told
  // to it.
  kOwnDaemons,
};

struct Row {
  std::vector<Figure> figures;
  // Prepares; what it has made ends with the sampler.
  std::function<Sampler()> begin;
  size_t calls_min = 1;  // of a sample; more when it would not last long enough
  // Not 0: as many samples of calls_min calls, however long they take; one when the row's time is
  // below kFixedSamplesFromSeconds.
  int samples = 0;
  RunsIn runs_in = RunsIn::kClusterOfRun;

  bool is_alone() const { return runs_in != RunsIn::kClusterOfRun; }
};

inline constexpr double kFixedSamplesFromSeconds = 0.5;

class NotRun : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Measured {
  Figure figure;
  double median = 0;
  double p10 = 0;
  double p90 = 0;
  double beside = 0;  // Limit::kBeside: the best that the row has measured of it; 0: none
};

struct RowResult {
  std::vector<Measured> figures;  // the row's own; numbers only when both texts are empty
  std::string failed;
  std::string not_run;

  bool has_numbers() const { return failed.empty() && not_run.empty(); }
};

// Of a figure, in its unit; nothing for Limit::kBeside of a row without numbers.
std::optional<double> LimitOf(const Measured& measured, const Limits& limits);

// `seconds`: for the samples together.
RowResult MeasureRow(const Row& row, double seconds);

// Throws std::runtime_error when a result is not what it has to be.
void Expect(int64_t got, int64_t wanted);

}  // namespace rayx::cli
