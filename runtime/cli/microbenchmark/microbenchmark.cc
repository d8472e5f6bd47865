#include "cli/microbenchmark/microbenchmark.h"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <optional>
#include <string>

#include "base/status.h"
#include "cli/microbenchmark/fresh_program.h"
#include "cli/microbenchmark/limits.h"
#include "cli/microbenchmark/machine_load.h"
#include "cli/microbenchmark/ray_column.h"
#include "cli/microbenchmark/report.h"
#include "cli/microbenchmark/row.h"
#include "cli/microbenchmark/rows.h"
#include "io/session_folder.h"
#include "rayx/rayx.h"

namespace rayx::cli {
namespace {

// A whole name is that row alone, though it may begin other names too.
std::vector<Row> ChosenRows(const MicrobenchmarkOptions& options) {
  const std::string& only = options.only;
  const auto any_name = [&only](const Row& row, const auto& fits) {
    return std::any_of(row.figures.begin(), row.figures.end(),
                       [&](const Figure& figure) { return fits(figure.name, only); });
  };
  const auto is = [](const std::string& name, const std::string& text) { return name == text; };
  const auto has = [](const std::string& name, const std::string& text) {
    return name.find(text) != std::string::npos;
  };
  std::vector<Row> rows = AllRows(options.libtorch);
  const bool whole =
      std::any_of(rows.begin(), rows.end(), [&](const Row& row) { return any_name(row, is); });
  std::erase_if(rows,
                [&](const Row& row) { return whole ? !any_name(row, is) : !any_name(row, has); });
  return rows;
}

int NoSuchRow(const std::string& only) {
  std::fprintf(stderr, "rayx microbenchmark: no row's name contains '%s'; there are:\n",
               only.c_str());
  for (const Row& row : AllRows()) {
    for (const Figure& figure : row.figures) std::fprintf(stderr, "  %s\n", figure.name.c_str());
  }
  return io::kUsageExit;
}

std::vector<std::string> NamesOf(const std::vector<Row>& rows) {
  std::vector<std::string> names;
  for (const Row& row : rows) {
    for (const Figure& figure : row.figures) names.push_back(figure.name);
  }
  return names;
}

void Connect(const MicrobenchmarkOptions& options) {
  Options init;
  init.address = options.address;
  rayx::Init(init);
}

// What is missing is told before anything is measured.
void Prepare(const std::vector<Row>& rows, const MicrobenchmarkOptions& options,
             std::optional<RayBeside>& beside) {
  if (options.vs_ray) beside.emplace(options.ray_folder, NamesOf(rows)).Prepare();
  if (!options.address.empty()) {
    Connect(options);
    rayx::Shutdown();
  }
}

RowResult MeasureAndTell(const Row& row, double seconds) {
  const char* name = row.figures.front().name.c_str();
  RowResult result = MeasureRow(row, seconds);
  if (!result.failed.empty()) {
    std::fprintf(stderr, "rayx microbenchmark: %s: FAILED: %s\n", name, result.failed.c_str());
  } else if (!result.not_run.empty()) {
    std::fprintf(stderr, "rayx microbenchmark: %s: not run: %s\n", name, result.not_run.c_str());
  }
  return result;
}

// Rows that are alone come first, so that no cluster of ours is beside theirs.
std::vector<RowResult> MeasureAll(const std::vector<Row>& rows,
                                  const MicrobenchmarkOptions& options, MachineLoad& load) {
  std::vector<RowResult> results;
  for (const Row& row : rows) {
    std::fprintf(stderr, "[%zu/%zu] %s...\n", results.size() + 1, rows.size(),
                 row.figures.front().name.c_str());
    if (row.runs_in == RunsIn::kOwnPrograms) load.Begin();
    if (!row.is_alone() && !rayx::IsInitialized()) {
      load.Begin();
      Connect(options);
    }
    results.push_back(MeasureAndTell(row, options.seconds));
    if (row.is_alone()) load.End();
  }
  rayx::Shutdown();
  load.End();  // of the rows with a cluster, whose processes have ended now
  return results;
}

// What was measured before is not lost when Ray fails. False: it has.
bool RunBeside(const RayBeside& beside, double seconds, RayColumn& ray) {
  try {
    ray = beside.Run(seconds);
    return true;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "rayx microbenchmark: without Ray's numbers: %s\n", error.what());
    return false;
  }
}

}  // namespace

int RunMicrobenchmark(const MicrobenchmarkOptions& options) {
  if (!options.probe.empty()) return RunProbe(options.probe);
  const std::vector<Row> rows = ChosenRows(options);
  if (rows.empty()) return NoSuchRow(options.only);
  std::optional<RayBeside> beside;
  try {
    Prepare(rows, options, beside);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "rayx microbenchmark: %s\n", error.what());
    return 1;
  }
  MachineLoad load;
  load.Begin();
  std::fprintf(stderr, "measuring the limits of this machine...\n");
  Limits limits;
  if (const auto status = MeasureLimits(limits); !status.ok()) {
    std::fprintf(stderr, "rayx microbenchmark: the limits: %s\n",
                 std::string(base::Message(status)).c_str());
    return 1;
  }
  load.End();
  std::vector<RowResult> results;
  RayColumn ray;
  bool ray_failed = false;
  std::string remark;
  try {
    results = MeasureAll(rows, options, load);
    MeasureLimits(limits).IgnoreError();  // those from before the rows stand
    // With a cluster that runs anyway, its workers' own work would count as others'.
    if (options.address.empty()) remark = load.Remark();
    if (beside) ray_failed = !RunBeside(*beside, options.seconds, ray);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "rayx microbenchmark: %s\n", error.what());
    return 1;
  }
  const std::string text = options.json ? FormatJson(results, limits, ray, remark)
                                        : FormatTable(results, limits, ray, remark);
  std::fputs(text.c_str(), stdout);
  const auto has_failed = [](const RowResult& result) { return !result.failed.empty(); };
  return ray_failed || std::any_of(results.begin(), results.end(), has_failed) ? 1 : 0;
}

}  // namespace rayx::cli
