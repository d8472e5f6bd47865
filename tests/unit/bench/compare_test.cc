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
                   double vm_cpus = 0.6, const json& more = json::object()) {
    json row = {{"arm", "rayx"}, {"nodes", 2}};
    if (!samples.empty()) row["total"]["samples"] = samples;
    const json workload = {{"workload", "w"}, {"steps", steps}, {"rows", json::array({row})}};
    json summary = {{"schema", kResultSchemaVersion}, {"workloads", json::array({workload})}};
    summary.update(more);
    fs::create_directories(folder_ / name);
    std::ofstream(folder_ / name / "summary.json") << summary;
    std::ofstream(folder_ / name / "env.json") << json{{"cpus", 2}, {"vm_cpus", vm_cpus}};
    return folder_ / name;
  }

 private:
  const fs::path folder_;
};

// An arm's last words are cut after so many bytes, and a path may be any bytes.
TEST_CASE("ResultWriter: words that are no text do not end the run") {
  const fs::path folder = fs::temp_directory_path() / ("writer-test-" + std::to_string(getpid()));
  const auto writer = ResultWriter::Create(folder, "id");
  REQUIRE(writer.ok());
  const json failure = {{"why", "no such file: /data/\xff/na\xc3"}};
  CHECK(writer->Write("summary.json", failure).ok());
  CHECK(writer->AppendRun(failure).ok());
  const auto read = ReadJsonFile(writer->folder() + "/summary.json");
  const auto lines = ReadJsonLines(writer->folder() + "/runs.jsonl");
  fs::remove_all(folder);
  REQUIRE(read.ok());
  CHECK(read->at("why").get<std::string>().starts_with("no such file: /data/"));
  REQUIRE(lines.ok());
  CHECK(lines->at(0) == *read);
}

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

json Scenario(const std::string& ending, const std::vector<double>& disturbed = {}) {
  json arm = {{"arm", "rayx"}, {"ending", ending}, {"other_result", ""}};
  if (!disturbed.empty()) arm["disturbed"]["samples"] = disturbed;
  const json scenario = {{"name", "straggler"}, {"arms", json::array({arm})}};
  return {{"scenarios", json::array({scenario})}};
}

TEST_CASE("Compare: a scenario that ends worse, or is missing, is a regression") {
  Results results;
  const auto make = [&](const std::string& name, const json& more) {
    return results.Make(name, {1, 1, 1}, 200, 0.6, more);
  };
  const std::string finished = make("finished", Scenario("finished")),
                    failed = make("failed", Scenario("failed")),
                    hung = make("hung", Scenario("hung")), none = make("none", json::object());
  json wrong_scenario = Scenario("finished");
  wrong_scenario["scenarios"][0]["arms"][0]["other_result"] = "inertia";
  const std::string wrong = make("wrong", wrong_scenario);
  CHECK(Compare(finished, failed, 0.05) == 1);
  CHECK(Compare(failed, hung, 0.05) == 1);
  CHECK(Compare(hung, wrong, 0.05) == 1);
  CHECK(Compare(failed, none, 0.05) == 1);
  CHECK(Compare(hung, failed, 0.05) == 0);
  CHECK(Compare(failed, finished, 0.05) == 0);
  CHECK(Compare(none, failed, 0.05) == 0);
}

TEST_CASE("Compare: a scenario that finishes later every time is a regression") {
  Results results;
  const auto make = [&](const std::string& name, const std::vector<double>& disturbed) {
    return results.Make(name, {1, 1, 1}, 200, 0.6, Scenario("finished", disturbed));
  };
  CHECK(Compare(make("a", {2, 2.1, 2.2}), make("b", {3, 3.1, 3.2}), 0.05) == 1);
  CHECK(Compare(make("c", {2, 2.1, 2.2}), make("d", {2.1, 2.2, 2.3}), 0.05) == 0);
}

TEST_CASE("Compare: a mistake that is no longer named is a regression; more code is none") {
  Results results;
  const auto make = [&](const std::string& name, const std::string& ending, int lines) {
    const json mistake = {{"mistake", "wrong-port"}, {"arm", "rayx"}, {"ending", ending}};
    const json line = {{"workload", "w"}, {"arm", "rayx"}, {"lines", lines}};
    return results.Make(
        name, {1, 1, 1}, 200, 0.6,
        {{"ease", {{"mistakes", json::array({mistake})}, {"lines", json::array({line})}}}});
  };
  const std::string named = make("named", "named", 100);
  CHECK(Compare(named, make("longer", "named", 200), 0.05) == 0);
  CHECK(Compare(named, make("silent", "nothing", 100), 0.05) == 1);
}

}  // namespace
}  // namespace rayx::bench
