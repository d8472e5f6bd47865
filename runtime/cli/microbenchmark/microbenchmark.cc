#include "cli/microbenchmark/microbenchmark.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <exception>
#include <nlohmann/json.hpp>

#include "base/status.h"
#include "cli/microbenchmark/rows.h"
#include "model/versions.h"
#include "rayx/rayx.h"
#include "shm/ring_round_trip.h"

namespace rayx::cli {
namespace {

constexpr int kSamplesMin = 5;

struct Figures {
  std::string name;
  std::string unit;
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

double LimitOf(const Row& row, double ring_us, double copy_gbs) {
  if (row.limit == Limit::kWarmCopy) return copy_gbs;
  return row.unit == "us" ? ring_us : 1e6 / ring_us;
}

Figures Measure(const Row& row, double seconds, double ring_us, double copy_gbs) {
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
  Figures figures{row.name, row.unit, Quantile(samples, 0.5), Quantile(samples, 0.1),
                  Quantile(samples, 0.9)};
  figures.limit = LimitOf(row, ring_us, copy_gbs);
  figures.ratio =
      row.unit == "us" ? figures.median / figures.limit : figures.limit / figures.median;
  return figures;
}

void PrintTable(const std::vector<Figures>& rows, double ring_us, double copy_gbs) {
  std::printf("%-32s %6s %14s %14s %14s %14s %8s\n", "row", "unit", "median", "p10", "p90", "limit",
              "ratio");
  for (const Figures& row : rows) {
    std::printf("%-32s %6s %14.4g %14.4g %14.4g %14.4g %8.2f\n", row.name.c_str(), row.unit.c_str(),
                row.median, row.p10, row.p90, row.limit, row.ratio);
  }
  std::printf(
      "\nlimits of this run: ring round trip %.3f us, warm memcpy of 80 MiB %.2f GB/s\n"
      "ratio: how many times the limit a call costs (1 = as fast as the machine)\n",
      ring_us, copy_gbs);
}

void PrintJson(const std::vector<Figures>& rows, double ring_us, double copy_gbs) {
  utsname system{};
  ::uname(&system);
  nlohmann::json json;
  json["schema"] = 1;
  json["env"] = {{"release", model::kRelease},
                 {"kernel", system.release},
                 {"cores", ::sysconf(_SC_NPROCESSORS_ONLN)},
                 {"ring_round_trip_us", ring_us},
                 {"warm_memcpy_gb_per_s", copy_gbs}};
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

}  // namespace

int RunMicrobenchmark(const MicrobenchmarkOptions& options) {
  std::vector<Row> rows = AllRows();
  std::erase_if(rows,
                [&](const Row& row) { return row.name.find(options.only) == std::string::npos; });
  if (rows.empty()) {
    std::fprintf(stderr, "rayx microbenchmark: no row's name contains '%s'; there are:\n",
                 options.only.c_str());
    for (const Row& row : AllRows()) std::fprintf(stderr, "  %s\n", row.name.c_str());
    return 2;
  }
  // Before there are threads: the round trip is measured against a forked child.
  std::fprintf(stderr, "measuring the limits of this machine...\n");
  auto ring = shm::MeasureRingRoundTrip();
  if (!ring.ok()) {
    std::fprintf(stderr, "rayx microbenchmark: ring round trip: %s\n",
                 std::string(base::Message(ring.status())).c_str());
    return 1;
  }
  const double ring_us = ring->median_ns / 1000;
  const double copy_gbs = MeasureWarmCopy(kLargeObjectBytes);
  int failed = 0;
  try {
    Options init;
    init.address = options.address;
    rayx::Init(init);
    std::vector<Figures> figures;
    for (const Row& row : rows) {
      std::fprintf(stderr, "%s...\n", row.name.c_str());
      try {
        figures.push_back(Measure(row, options.seconds, ring_us, copy_gbs));
      } catch (const std::exception& error) {
        std::fprintf(stderr, "rayx microbenchmark: %s: FAILED: %s\n", row.name.c_str(),
                     error.what());
        failed = 1;
      }
    }
    if (options.json) {
      PrintJson(figures, ring_us, copy_gbs);
    } else {
      PrintTable(figures, ring_us, copy_gbs);
    }
    rayx::Shutdown();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "rayx microbenchmark: %s\n", error.what());
    return 1;
  }
  return failed;
}

}  // namespace rayx::cli
