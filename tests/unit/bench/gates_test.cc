// Goal: a wrong result never keeps its number. Method: two agreeing outcomes of each workload, into
// which each error is planted in turn; the gate it belongs to, and only that one, must fail.
#include "bench/runner/gates.h"

#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "bench/runner/arm_catalogue.h"
#include "bench/runner/series_file.h"

namespace rayx::bench {
namespace {

const std::string kHashA(64, 'a'), kHashB(64, 'b'), kHashC(64, 'c'), kHashD(64, 'd');

// A workload of the catalogue, with a data set that is known here.
WorkloadSpec Workload(const std::string& name) {
  for (WorkloadSpec workload : Workloads()) {
    if (workload.name != name) continue;
    workload.dataset_sha256 = kHashA;
    for (SeriesSpec& series : workload.series) series.length = series.length > 0 ? 4 : 0;
    return workload;
  }
  FAIL("no workload " << name);
  return {};
}

Outcome Sound(const WorkloadSpec& workload) {
  Outcome outcome;
  outcome.steps = 3;
  outcome.hashes["dataset"] = kHashA;
  for (const SeriesSpec& series : workload.series) {
    auto& numbers = outcome.series[series.name].numbers;
    numbers = {2.3, 2.2, 2.1};
    if (series.length > 0) numbers.push_back(2.0);
  }
  if (workload.name == "fmnist-mlp" || workload.name.find("classification-") == 0) {
    outcome.hashes["features"] = kHashB;
    outcome.hashes["weights"] = kHashC;
    outcome.values = {{"weights_abs_sum", 13000}, {"accuracy", 0.63}, {"rows", 1000}};
  } else if (workload.name == "pagerank") {
    outcome.texts["top10"] = "3,1,4";
    outcome.values = {{"highest", 0.01}, {"change", 1e-9}};
  } else if (workload.name == "flights") {
    outcome.hashes["features"] = kHashB;
    outcome.hashes["weights"] = kHashC;
    outcome.values = {{"clean_rows", 500}, {"weights_abs_sum", 7}, {"auc", 0.62}};
  } else if (workload.name == "etl") {
    outcome.hashes["totals"] = kHashB;
    outcome.texts = {{"rows", "500 rows, 1f"}, {"order", "2f"}};
    outcome.values = {
        {"clean_rows", 500}, {"sorted_rows", 500}, {"revenue_cents", 99}, {"descents", 0}};
  } else {
    outcome.hashes["assignment"] = kHashB;
    outcome.values = {{"inertia", 12345.678}};
  }
  return outcome;
}

std::string Failed(const std::vector<GateResult>& gates) {
  std::string names;
  for (const GateResult& gate : gates) {
    if (!gate.passed) names += gate.name + ";";
    CHECK(gate.passed == gate.why.empty());
  }
  return names;
}

Expectation On(int nodes) {
  return {.steps = 3, .nodes = nodes};
}

// The names of the gates that fail, after the error has been planted.
template <typename Plant>
std::string FailedAfter(const std::string& name, int nodes, const Plant& plant) {
  const WorkloadSpec workload = Workload(name);
  const Outcome reference = Sound(workload);
  Outcome outcome = reference;
  plant(outcome);
  return Failed(CheckAlone(workload, outcome, On(nodes))) +
         Failed(CheckAgainst(workload, outcome, reference, On(nodes)));
}

TEST_CASE("Gates: a sound outcome passes all, of every workload and at any number of VMs") {
  for (const WorkloadSpec& workload : Workloads()) {
    for (int nodes : {1, 2, 3}) {
      INFO(workload.name << " on " << nodes);
      CHECK(FailedAfter(workload.name, nodes, [](Outcome&) {}).empty());
    }
  }
}

TEST_CASE("Gates: every workload fails with another data set, fewer steps, a shorter series") {
  for (const WorkloadSpec& workload : Workloads()) {
    INFO(workload.name);
    CHECK(FailedAfter(workload.name, 1, [](Outcome& o) { o.hashes["dataset"] = kHashD; }) ==
          "dataset;");
    CHECK(FailedAfter(workload.name, 1, [](Outcome& o) { o.steps = 2; }) == "steps;");
    for (const SeriesSpec& series : workload.series) {
      const std::string failed = FailedAfter(
          workload.name, 1, [&](Outcome& o) { o.series[series.name].numbers.pop_back(); });
      CHECK(failed.find(series.name + " complete;") == 0);
    }
  }
}

TEST_CASE("Gates: every workload of the catalogue pins its data; without a pin nothing passes") {
  for (WorkloadSpec workload : Workloads()) {
    INFO(workload.name);
    CHECK(IsSha256(workload.dataset_sha256));
    Outcome silent = Sound(workload);
    for (const std::string& said : {std::string(), kHashA}) {
      silent.hashes["dataset"] = said;
      workload.dataset_sha256.clear();
      CHECK_FALSE(CheckAlone(workload, silent, {.steps = 3})[0].passed);
    }
  }
}

TEST_CASE(
    "Workloads: the data of each are brought by one of the commands, which are all different") {
  std::vector<const WorkloadSpec*> all;
  for (const WorkloadSpec& workload : Workloads()) all.push_back(&workload);
  const std::vector<std::string> commands = DatasetCommands(all);
  CHECK(std::set<std::string>(commands.begin(), commands.end()).size() == commands.size());
  for (const WorkloadSpec& workload : Workloads()) {
    INFO(workload.name);
    CHECK(std::count(commands.begin(), commands.end(), workload.dataset_command) == 1);
    CHECK(workload.dataset_command.rfind("rayx-data ", 0) == 0);  // what bench/run has built
  }
}

TEST_CASE("Gates: every gate of every workload is failed by an outcome without its field") {
  for (const WorkloadSpec& workload : Workloads()) {
    for (int nodes : {2, 3}) {
      std::set<std::string> expected;
      for (const GateSpec& gate : GatesInForce(workload, On(nodes))) expected.insert(gate.name);
      std::set<std::string> failed;
      Outcome nothing;
      for (const GateResult& gate : CheckAgainst(workload, nothing, nothing, On(nodes))) {
        CHECK_FALSE(gate.passed);  // as empty as the reference is not good enough
        failed.insert(gate.name);
      }
      CHECK(failed == expected);
    }
  }
}

TEST_CASE("Gates: an unreadable series fails and says why") {
  const auto plant = [](Outcome& o) { o.series["loss"] = {{}, "there is no series x"}; };
  CHECK(FailedAfter("fmnist-mlp", 1, plant) == "loss complete;loss trace;");
  const WorkloadSpec workload = Workload("fmnist-mlp");
  Outcome planted = Sound(workload);
  plant(planted);
  CHECK(WhyFailed(CheckAlone(workload, planted, On(1))) == "there is no series x");
}

TEST_CASE("Gates: other features fail at any number of VMs") {
  for (int nodes : {1, 3}) {
    CHECK(FailedAfter("fmnist-mlp", nodes, [](Outcome& o) { o.hashes["features"] = kHashD; }) ==
          "features;");
  }
}

TEST_CASE("Gates: one bit of one loss fails at one and two VMs") {
  const auto plant = [](Outcome& o) {
    double& loss = o.series["loss"].numbers[1];
    loss = std::nextafter(loss, 3.0);
  };
  CHECK(FailedAfter("fmnist-mlp", 1, plant) == "loss trace;");
  CHECK(FailedAfter("fmnist-mlp", 2, plant) == "loss trace;");
  CHECK(FailedAfter("fmnist-mlp", 3, plant).empty());
}

TEST_CASE("Gates: at three VMs a loss may differ by 1e-6 and no more") {
  const auto by = [](double difference) {
    return [difference](Outcome& o) { o.series["loss"].numbers[2] += difference; };
  };
  CHECK(FailedAfter("fmnist-mlp", 3, by(0.9e-6)).empty());
  CHECK(FailedAfter("fmnist-mlp", 3, by(1.1e-6)) == "loss trace;");
  const WorkloadSpec workload = Workload("fmnist-mlp");
  Outcome planted = Sound(workload);
  by(1.1e-6)(planted);
  CHECK(
      WhyFailed(CheckAgainst(workload, planted, Sound(workload), On(3))).find("from number 3 on") !=
      std::string::npos);
}

TEST_CASE("Gates: at three VMs what comes after 100 steps may drift, the steps before may not") {
  const WorkloadSpec workload = Workload("classification-mlp");
  Outcome reference = Sound(workload);
  reference.steps = 150;
  reference.series["loss"].numbers.assign(150, 2.0);
  const auto failed = [&](int step, double difference, double of_weights) {
    Outcome outcome = reference;
    outcome.series["loss"].numbers.at(static_cast<size_t>(step)) += difference;
    outcome.values["weights_abs_sum"] *= 1 + of_weights;
    return Failed(CheckAgainst(workload, outcome, reference, {.steps = 150, .nodes = 3}));
  };
  CHECK(failed(100, 0.9e-3, 0.9e-4).empty());
  CHECK(failed(99, 1.1e-6, 0) == "loss trace;");
  CHECK(failed(100, 1.1e-3, 0) == "whole loss trace;");
  CHECK(failed(100, 0, 1.1e-4) == "weights;");
}

TEST_CASE("Gates: other weights fail, by hash or by sum") {
  const auto hash = [](Outcome& o) { o.hashes["weights"] = kHashD; };
  CHECK(FailedAfter("fmnist-mlp", 2, hash) == "weights;");
  CHECK(FailedAfter("fmnist-mlp", 3, hash).empty());
  CHECK(FailedAfter("fmnist-mlp", 3, [](Outcome& o) { o.values["weights_abs_sum"] *= 1 + 2e-6; }) ==
        "weights;");
  CHECK(FailedAfter("fmnist-mlp", 3,
                    [](Outcome& o) { o.values["weights_abs_sum"] = std::nan(""); }) == "weights;");
}

TEST_CASE("Gates: another accuracy fails") {
  const auto is = [](double accuracy) {
    return [accuracy](Outcome& o) { o.values["accuracy"] = accuracy; };
  };
  CHECK(FailedAfter("fmnist-mlp", 1, is(0.6301)) == "accuracy;");
  CHECK(FailedAfter("fmnist-mlp", 3, is(0.6301)).empty());
  CHECK(FailedAfter("fmnist-mlp", 3, is(0.65)) == "accuracy;");
  CHECK(FailedAfter("fmnist-mlp", 1, is(std::nan(""))) == "accuracy;");
}

TEST_CASE("Gates: more threads than the reference compare as more VMs do") {
  const WorkloadSpec workload = Workload("fmnist-mlp");
  Outcome planted = Sound(workload);
  planted.hashes["weights"] = kHashD;
  const Expectation unrestricted = {.steps = 3, .nodes = 1, .same_threads = false};
  CHECK(Failed(CheckAgainst(workload, planted, Sound(workload), unrestricted)).empty());
}

TEST_CASE("Gates: logistic regression fails when it misses the known best, from 100 steps on") {
  const auto failed = [](double accuracy, int64_t steps) {
    WorkloadSpec workload = Workload("classification-logreg");
    Outcome outcome = Sound(workload);
    outcome.steps = steps;
    outcome.series["loss"].numbers.assign(static_cast<size_t>(steps), 0.2);
    outcome.values["accuracy"] = accuracy;
    // Alone, and like an arm that is as wrong as the reference.
    const Expectation expectation = {.steps = steps};
    if (!std::isnan(accuracy)) {
      CHECK(Failed(CheckAgainst(workload, outcome, outcome, expectation)).empty());
    }
    return Failed(CheckAlone(workload, outcome, expectation));
  };
  const double best = 0.5 * (1 + std::erf(1.5 / std::sqrt(2.0)));
  CHECK(failed(best, 100).empty());
  CHECK(failed(best - 0.0019, 100).empty());
  CHECK(failed(best + 0.0019, 100).empty());
  CHECK(failed(best - 0.0021, 100) == "known best;");
  CHECK(failed(best + 0.0021, 200) == "known best;");
  CHECK(failed(std::nan(""), 200) == "known best;");
  CHECK(failed(0.5, 99).empty());

  WorkloadSpec workload = Workload("classification-logreg");
  Outcome outcome = Sound(workload);
  outcome.steps = 100;
  outcome.values["accuracy"] = 0.9;
  const std::string why = WhyFailed(CheckAlone(workload, outcome, {.steps = 100}));
  CHECK(why.find("accuracy: 0.9, known to be 0.933192798731, within 0.002") != std::string::npos);
  outcome.values.clear();
  CHECK(Failed(CheckAlone(workload, outcome, {.steps = 100})).find("known best;") !=
        std::string::npos);
}

TEST_CASE("Gates: another number of rows after cleaning fails") {
  CHECK(FailedAfter("classification-mlp", 3, [](Outcome& o) { o.values["rows"] += 1; }) == "rows;");
}

TEST_CASE("Gates: k-means fails with a row in another cluster, at any number of VMs") {
  for (const char* name : {"kmeans-cities", "kmeans-blobs"}) {
    for (int nodes : {1, 3}) {
      CHECK(FailedAfter(name, nodes, [](Outcome& o) { o.hashes["assignment"] = kHashD; }) ==
            "assignment;");
    }
  }
}

TEST_CASE("Gates: the inertia may differ by 1e-9 of itself, at any number of VMs") {
  for (int nodes : {1, 3}) {
    const auto by = [](double share) {
      return [share](Outcome& o) {
        o.values["inertia"] *= 1 + share;
        for (double& inertia : o.series["inertia"].numbers) inertia *= 1 + share;
      };
    };
    CHECK(FailedAfter("kmeans-cities", nodes, by(0.9e-9)).empty());
    CHECK(FailedAfter("kmeans-cities", nodes, by(1.1e-9)) == "inertia;inertia trace;");
  }
}

TEST_CASE("Gates: a centre elsewhere fails") {
  CHECK(FailedAfter("kmeans-blobs", 3,
                    [](Outcome& o) { o.series["centres"].numbers[3] += 1e-8; }) == "centres;");
}

TEST_CASE("Gates: PageRank's differences may be 1e-10 altogether") {
  const auto by = [](double difference) {
    return [difference](Outcome& o) {
      for (double& rank : o.series["ranks"].numbers) rank += difference;
    };
  };
  for (int nodes : {1, 3}) {
    CHECK(FailedAfter("pagerank", nodes, by(0.2e-10)).empty());
    CHECK(FailedAfter("pagerank", nodes, by(0.3e-10)) == "ranks;");  // 4 of them
  }
}

TEST_CASE("Gates: another order of the highest nodes fails") {
  CHECK(FailedAfter("pagerank", 3, [](Outcome& o) { o.texts["top10"] = "1,3,4"; }) == "top 10;");
}

TEST_CASE("Gates: another way of converging fails") {
  CHECK(FailedAfter("pagerank", 2, [](Outcome& o) { o.series["change"].numbers[0] += 1e-9; }) ==
        "change trace;");
}

TEST_CASE("Gates: a known value must come out where it is known") {
  WorkloadSpec workload = Workload("etl");
  workload.known = {{"known rows", "sorted_rows", "sorted rows", {{3, 500}, {4, 600}}}};
  Outcome outcome = Sound(workload);
  CHECK(Failed(CheckAlone(workload, outcome, On(1))).empty());
  outcome.values["sorted_rows"] = 501;
  CHECK(WhyFailed(CheckAlone(workload, outcome, On(1))) == "sorted rows: 501, known to be 500");
  outcome.values.clear();
  CHECK(Failed(CheckAlone(workload, outcome, On(1))) == "known rows;");
  workload.known[0].by_steps = {{4, 600}};  // nothing is known of 3 steps
  CHECK(Failed(CheckAlone(workload, outcome, On(1))).empty());
  workload.known[0].by_steps = {{0, 500}};  // known of any
  CHECK(Failed(CheckAlone(workload, outcome, On(1))) == "known rows;");
}

TEST_CASE("ReadSeries: hexadecimal floats come back exactly, rubbish is refused by line") {
  const std::string path =
      (std::filesystem::temp_directory_path() / ("series-" + std::to_string(getpid()))).string();
  const auto read = [&](const std::string& text) {
    std::ofstream(path) << text;
    return ReadSeries(path);
  };
  auto good = read("0x1.26090a0000000p+1\n0x1p-2\n");
  REQUIRE(good.ok());
  CHECK(*good == std::vector<double>{2.2971508502960205, 0.25});
  CHECK(read("1.5\nabc\n").status().message() == path + " line 2 is not a number: 'abc'");
  CHECK(read("1.5\n\n").status().code() == absl::StatusCode::kDataLoss);
  CHECK(read("nan\n").status().code() == absl::StatusCode::kDataLoss);
  CHECK(read("inf\n").status().code() == absl::StatusCode::kDataLoss);
  std::filesystem::remove(path);
  CHECK(ReadSeries(path).status().code() == absl::StatusCode::kNotFound);
}

TEST_CASE("CompareSeries: the first place, the largest difference, its share, the sum") {
  const SeriesDifference d = CompareSeries({1, 2.5, 8}, {1, 2, 10});
  CHECK(d.same_length);
  CHECK(d.first == 2);
  CHECK(d.largest == 2);
  CHECK(d.largest_share == 0.25);
  CHECK(d.sum == 2.5);
  CHECK(std::isinf(CompareSeries({1}, {0}).largest_share));
  CHECK_FALSE(CompareSeries({1}, {1, 2}).same_length);
}

}  // namespace
}  // namespace rayx::bench
