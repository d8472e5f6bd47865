// Goal: `compare` finds a regression, and says nothing where nothing can be said.
// Method: two results of made-up samples in a temporary folder.
#include "bench/runner/compare_command.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "bench/runner/result_writer.h"

namespace rayx::bench {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class Results {
 public:
  Results() : folder_(fs::temp_directory_path() / ("compare-test-" + std::to_string(getpid()))) {}
  ~Results() { fs::remove_all(folder_); }

  // One workload, one arm; no samples: the arm has no number.
  std::string Make(const std::string& name, const std::vector<double>& samples, int steps = 200,
                   double vm_cpus = 0.6) {
    json row = {{"arm", "rayx"}, {"nodes", 2}};
    if (!samples.empty()) row["total"]["samples"] = samples;
    const json workload = {{"workload", "w"}, {"steps", steps}, {"rows", json::array({row})}};
    const json summary = {{"schema", kResultSchemaVersion}, {"workloads", json::array({workload})}};
    fs::create_directories(folder_ / name);
    std::ofstream(folder_ / name / "summary.json") << summary;
    std::ofstream(folder_ / name / "env.json") << json{{"cpus", 2}, {"vm_cpus", vm_cpus}};
    return folder_ / name;
  }

 private:
  const fs::path folder_;
};

TEST_CASE("Compare: slower in every repetition is a regression, faster or mixed is none") {
  Results results;
  const std::string a = results.Make("a", {1.0, 1.1, 1.2});
  CHECK(Compare(a, results.Make("slower", {1.5, 1.6, 1.7}), 0.05) == 1);
  CHECK(Compare(a, results.Make("mixed", {1.15, 1.6, 1.7}), 0.05) == 0);
  CHECK(Compare(a, results.Make("faster", {0.5, 0.6, 0.7}), 0.05) == 0);
  CHECK(Compare(a, results.Make("tolerated", {1.21, 1.22, 1.23}), 0.2) == 0);
}

TEST_CASE("Compare: a number that is missing in the later result is a regression") {
  Results results;
  CHECK(Compare(results.Make("a", {1, 1, 1}), results.Make("b", {}), 0.05) == 1);
}

TEST_CASE("Compare: nothing to judge is not called good") {
  Results results;
  CHECK(Compare(results.Make("a", {}), results.Make("b", {1, 1, 1}), 0.05) == 1);
  CHECK(Compare(results.Make("c", {1}), results.Make("d", {1}), 0.05) == 1);
  CHECK(Compare(results.Make("e", {1, 1, 1}), results.Make("f", {1, 1}), 0.05) == 1);
}

TEST_CASE("Compare: results that were not measured alike are refused") {
  Results results;
  const std::string a = results.Make("a", {1, 1, 1});
  CHECK(Compare(a, results.Make("steps", {1, 1, 1}, 938), 0.05) == 1);
  CHECK(Compare(a, results.Make("quota", {1, 1, 1}, 200, 0.9), 0.05) == 1);
  CHECK(Compare(a, results.Make("alike", {1, 1, 1}), 0.05) == 0);
  CHECK(Compare(a, "/no/such/result", 0.05) == 1);
}

}  // namespace
}  // namespace rayx::bench
