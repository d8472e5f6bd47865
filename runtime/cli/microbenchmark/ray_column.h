// runtime/cli/microbenchmark/ray_column.h
//
// Ray's own numbers beside the rows that it has: `rayx microbenchmark --vs-ray`.
//
// Purpose:  installs Ray, compiles vs_ray/ray_rows.cc against Ray and against RayX, runs both.
// Owner:    microbenchmark.cc.
// Threads:  the main thread; the work is done by the program vs_ray/run_both (Python, as Ray is).
// Promises: the same source in Ray's API on both sides, one after the other. What goes wrong throws
//           std::runtime_error, said on stderr by run_both. What it has started ends with this
//           process.
// Limits:   needs a C++ compiler, Python 3 with venv, and at the first time a network.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace rayx::cli {

struct RayFigure {
  double median = 0;
  double p10 = 0;
  double p90 = 0;
  double same_source = 0;  // the median of the same source on RayX
};

struct RayColumn {
  std::string release;                       // "2.58.0"; "" = was not asked for
  std::map<std::string, RayFigure> figures;  // by the row's name
};

class RayBeside {
 public:
  // `folder`: where Ray is kept; "": a folder of the user's cache. Of `names` those that Ray has;
  // throws when it has none.
  RayBeside(const std::string& folder, const std::vector<std::string>& names);

  // Installs and compiles.
  void Prepare() const;
  // Runs both programs: each row for about so many seconds.
  RayColumn Run(double seconds) const;

 private:
  std::string folder_;
  std::string prefix_;  // where RayX lies: bin/, lib/, include/, libexec/
  std::vector<std::string> names_;
};

// Of the text that run_both prints. Throws std::runtime_error when it is not that.
RayColumn ParseRayColumn(const std::string& text);

}  // namespace rayx::cli
