#include "cli/microbenchmark/microbenchmark.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <exception>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/status.h"
#include "cli/microbenchmark/machine_load.h"
#include "cli/microbenchmark/rows.h"
#include "io/session_folder.h"
#include "model/versions.h"
#include "rayx/rayx.h"
#include "shm/ring_round_trip.h"

namespace rayx::cli {
namespace {

constexpr int kSamplesMin = 5;
constexpr int kLimitRuns = 2;  // before the rows, and again after them

struct Figures {
  std::string name;
  std::string unit;
  Limit of = Limit::kRingRoundTrip;
  double median = 0;
  double p10 = 0;
  double p90 = 0;
  double limit = 0;  // in the row's unit
  double ratio = 0;  // how many times the limit; 1 = as fast as the machine
};

double Quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  const double at = q * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (values[above] - values[below]) * (at - static_cast<double>(below));
}

struct Limits {
  double ring_us = std::numeric_limits<double>::infinity();
  double copy_gbs = 0;
};

// Improves on what was measured before: a limit is what the machine can do at its best, so that
// whoever else uses it at one moment must not count. Not while there are other threads: the round
// trip is measured against a forked child.
base::Status MeasureLimits(Limits& limits) {
  for (int i = 0; i < kLimitRuns; ++i) {
    RAYX_ASSIGN_OR_RETURN(const auto ring, shm::MeasureRingRoundTrip());
    limits.ring_us = std::min(limits.ring_us, ring.median_ns / 1000);
    limits.copy_gbs = std::max(limits.copy_gbs, MeasureWarmCopy(kLargeObjectBytes));
  }
  return base::OkStatus();
}

void SetLimit(const Limits& limits, Figures& figures) {
  const bool less_is_better = figures.unit == "us";
  const double ring = less_is_better ? limits.ring_us : 1e6 / limits.ring_us;
  figures.limit = figures.of == Limit::kWarmCopy ? limits.copy_gbs : ring;
  figures.ratio = less_is_better ? figures.median / figures.limit : figures.limit / figures.median;
}

Figures Measure(const Row& row, double seconds) {
  using Clock = std::chrono::steady_clock;
  // Warm-up, and how many calls make a sample of a tenth of the row's time.
  size_t calls = row.calls_first;
  while (true) {
    const auto start = Clock::now();
    row.sample(calls);
    const double took = std::chrono::duration<double>(Clock::now() - start).count();
    if (took >= seconds / 20) {
      calls = std::max<size_t>(
          1, static_cast<size_t>(static_cast<double>(calls) * seconds / 10 / took));
      break;
    }
    calls *= 4;
  }
  std::vector<double> samples;
  const auto start = Clock::now();
  while (samples.size() < kSamplesMin ||
         std::chrono::duration<double>(Clock::now() - start).count() < seconds) {
    samples.push_back(row.sample(calls));
  }
  return {row.name,
          row.unit,
          row.limit,
          Quantile(samples, 0.5),
          Quantile(samples, 0.1),
          Quantile(samples, 0.9)};
}

void PrintTable(const std::vector<Figures>& rows, const Limits& limits) {
  std::printf("%-32s %6s %14s %14s %14s %14s %8s\n", "row", "unit", "median", "p10", "p90", "limit",
              "ratio");
  for (const Figures& row : rows) {
    std::printf("%-32s %6s %14.4g %14.4g %14.4g %14.4g %8.2f\n", row.name.c_str(), row.unit.c_str(),
                row.median, row.p10, row.p90, row.limit, row.ratio);
  }
  std::printf(
      "\nlimits of this run: ring round trip %.3f us, warm memcpy of 80 MiB %.2f GB/s\n"
      "ratio: how many times the limit a call costs (1 = as fast as the machine; less where many\n"
      "calls are under way at once, or none leaves the process)\n",
      limits.ring_us, limits.copy_gbs);
}

void PrintJson(const std::vector<Figures>& rows, const Limits& limits) {
  utsname system{};
  ::uname(&system);
  nlohmann::json json;
  json["schema"] = 1;
  json["env"] = {{"release", model::kRelease},
                 {"kernel", system.release},
                 {"cores", ::sysconf(_SC_NPROCESSORS_ONLN)},
                 {"ring_round_trip_us", limits.ring_us},
                 {"warm_memcpy_gb_per_s", limits.copy_gbs}};
  json["rows"] = nlohmann::json::array();
  for (const Figures& row : rows) {
    json["rows"].push_back({{"name", row.name},
                            {"unit", row.unit},
                            {"median", row.median},
                            {"p10", row.p10},
                            {"p90", row.p90},
                            {"limit", row.limit},
                            {"ratio", row.ratio}});
  }
  std::printf("%s\n", json.dump(2).c_str());
}

// 1 when a row failed.
int MeasureRows(const std::vector<Row>& rows, const MicrobenchmarkOptions& options,
                std::vector<Figures>& figures) {
  Options init;
  init.address = options.address;
  rayx::Init(init);
  int failed = 0;
  for (const Row& row : rows) {
    std::fprintf(stderr, "%s...\n", row.name.c_str());
    try {
      figures.push_back(Measure(row, options.seconds));
    } catch (const std::exception& error) {
      std::fprintf(stderr, "rayx microbenchmark: %s: FAILED: %s\n", row.name.c_str(), error.what());
      failed = 1;
    }
  }
  rayx::Shutdown();
  return failed;
}

}  // namespace

int RunMicrobenchmark(const MicrobenchmarkOptions& options) {
  std::vector<Row> rows = AllRows();
  std::erase_if(rows,
                [&](const Row& row) { return row.name.find(options.only) == std::string::npos; });
  if (rows.empty()) {
    std::fprintf(stderr, "rayx microbenchmark: no row's name contains '%s'; there are:\n",
                 options.only.c_str());
    for (const Row& row : AllRows()) std::fprintf(stderr, "  %s\n", row.name.c_str());
    return io::kUsageExit;
  }
  const auto load_before = ReadCpuSeconds();
  const double own_before = OwnCpuSeconds();
  std::fprintf(stderr, "measuring the limits of this machine...\n");
  Limits limits;
  if (const auto status = MeasureLimits(limits); !status.ok()) {
    std::fprintf(stderr, "rayx microbenchmark: ring round trip: %s\n",
                 std::string(base::Message(status)).c_str());
    return 1;
  }
  std::vector<Figures> figures;
  int failed = 0;
  try {
    failed = MeasureRows(rows, options, figures);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "rayx microbenchmark: %s\n", error.what());
    return 1;
  }
  MeasureLimits(limits).IgnoreError();  // those from before the rows stand
  for (Figures& each : figures) SetLimit(limits, each);
  if (options.json) {
    PrintJson(figures, limits);
  } else {
    PrintTable(figures, limits);
  }
  if (!options.address.empty()) return failed;  // its workers' own work would count as others'
  const auto load_after = ReadCpuSeconds();
  if (!load_before || !load_after) return failed;
  const std::string remark = LoadRemark(*load_before, *load_after, OwnCpuSeconds() - own_before);
  if (!remark.empty()) std::fprintf(stderr, "%s\n", remark.c_str());
  return failed;
}

}  // namespace rayx::cli
