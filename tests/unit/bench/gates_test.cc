// Goal: a wrong result never keeps its number. Method: two agreeing outcomes, into which each
// error is planted in turn; the gate it belongs to, and only that one, must fail.
#include "bench/runner/gates.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "bench/runner/loss_trace.h"

namespace rayx::bench {
namespace {

const std::string kHashA(64, 'a'), kHashB(64, 'b'), kHashC(64, 'c'), kHashD(64, 'd');

Outcome Sound() {
  Outcome outcome;
  outcome.steps = 3;
  outcome.dataset_sha256 = kHashA;
  outcome.features_sha256 = kHashB;
  outcome.weights_sha256 = kHashC;
  outcome.weights_abs_sum = 13000;
  outcome.accuracy = 0.63;
  outcome.losses = {2.3, 2.2, 2.1};
  return outcome;
}

Expectation On(int nodes) {
  return {.dataset_sha256 = kHashA, .steps = 3, .nodes = nodes};
}

std::string Failed(const std::vector<GateResult>& gates) {
  std::string names;
  for (const GateResult& gate : gates) {
    if (!gate.passed) names += gate.name + ";";
    CHECK(gate.passed == gate.why.empty());
  }
  return names;
}

std::string FailedAll(const Outcome& outcome, int nodes = 1) {
  return Failed(CheckAlone(outcome, On(nodes))) + Failed(CheckAgainst(outcome, Sound(), On(nodes)));
}

TEST_CASE("Gates: a sound outcome passes all, at any number of VMs") {
  for (int nodes : {1, 2, 3}) CHECK(FailedAll(Sound(), nodes).empty());
}

TEST_CASE("Gates: another data set fails") {
  Outcome planted = Sound();
  planted.dataset_sha256 = kHashD;
  CHECK(FailedAll(planted) == "dataset;");
}

TEST_CASE("Gates: fewer steps fail") {
  Outcome planted = Sound();
  planted.steps = 2;
  CHECK(FailedAll(planted) == "steps;");
}

TEST_CASE("Gates: a shorter trace fails") {
  Outcome planted = Sound();
  planted.losses.pop_back();
  CHECK(FailedAll(planted) == "loss complete;loss trace;");
}

TEST_CASE("Gates: an unreadable trace fails and says why") {
  Outcome planted = Sound();
  planted.losses.clear();
  planted.losses_error = "there is no loss trace x";
  CHECK(FailedAll(planted) == "loss complete;loss trace;");
  CHECK(WhyFailed(CheckAlone(planted, On(1))) == "there is no loss trace x");
}

TEST_CASE("Gates: other features fail") {
  Outcome planted = Sound();
  planted.features_sha256 = kHashD;
  CHECK(FailedAll(planted) == "features;");
  CHECK(FailedAll(planted, 3) == "features;");
}

TEST_CASE("Gates: one bit of one loss fails at one and two VMs") {
  Outcome planted = Sound();
  planted.losses[1] = std::nextafter(planted.losses[1], 3.0);
  CHECK(FailedAll(planted, 1) == "loss trace;");
  CHECK(FailedAll(planted, 2) == "loss trace;");
  CHECK(FailedAll(planted, 3).empty());
}

TEST_CASE("Gates: at three VMs a loss may differ by 1e-6 and no more") {
  Outcome planted = Sound();
  planted.losses[2] += 0.9e-6;
  CHECK(FailedAll(planted, 3).empty());
  planted.losses[2] += 0.2e-6;
  CHECK(FailedAll(planted, 3) == "loss trace;");
  CHECK(WhyFailed(CheckAgainst(planted, Sound(), On(3))).find("from step 3 on") !=
        std::string::npos);
}

TEST_CASE("Gates: other weights fail, by hash or by sum") {
  Outcome planted = Sound();
  planted.weights_sha256 = kHashD;
  CHECK(FailedAll(planted, 2) == "weights;");
  CHECK(FailedAll(planted, 3).empty());
  planted.weights_abs_sum *= 1 + 2e-6;
  CHECK(FailedAll(planted, 3) == "weights;");
  planted.weights_abs_sum = std::nan("");
  CHECK(FailedAll(planted, 3) == "weights;");
}

TEST_CASE("Gates: another accuracy fails") {
  Outcome planted = Sound();
  planted.accuracy = 0.6301;
  CHECK(FailedAll(planted, 1) == "accuracy;");
  CHECK(FailedAll(planted, 3).empty());
  planted.accuracy = 0.65;
  CHECK(FailedAll(planted, 3) == "accuracy;");
  planted.accuracy = std::nan("");
  CHECK(FailedAll(planted, 1) == "accuracy;");
}

TEST_CASE("Gates: checksums that both arms lack do not agree") {
  Outcome empty = Sound();
  empty.features_sha256 = empty.weights_sha256 = "";
  CHECK(Failed(CheckAgainst(empty, empty, On(1))) == "features;weights;");
}

TEST_CASE("ReadLossTrace: hexadecimal floats come back exactly, rubbish is refused by line") {
  const std::string path =
      (std::filesystem::temp_directory_path() / ("loss-" + std::to_string(getpid()))).string();
  const auto read = [&](const std::string& text) {
    std::ofstream(path) << text;
    return ReadLossTrace(path);
  };
  auto good = read("0x1.26090a0000000p+1\n0x1p-2\n");
  REQUIRE(good.ok());
  CHECK(*good == std::vector<double>{2.2971508502960205, 0.25});
  CHECK(read("1.5\nabc\n").status().message() == path + " line 2 is not a number: 'abc'");
  CHECK(read("1.5\n\n").status().code() == absl::StatusCode::kDataLoss);
  CHECK(read("nan\n").status().code() == absl::StatusCode::kDataLoss);
  CHECK(read("inf\n").status().code() == absl::StatusCode::kDataLoss);
  std::filesystem::remove(path);
  CHECK(ReadLossTrace(path).status().code() == absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace rayx::bench
