// Goal: only sound repetitions make numbers, and both sides of a ratio come from the same pairs.
// Method: records made by hand, an error planted into some.
#include "bench/runner/summary.h"

#include <catch2/catch.hpp>

namespace rayx::bench {
namespace {

constexpr char kData[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
constexpr char kFeatures[] = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
constexpr char kWeights[] = "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc";
constexpr char kOther[] = "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd";

WorkloadSpec Training() {
  using enum GateKind;
  using enum Closeness;
  using enum GateScope;
  return {.name = "w",
          .dataset_sha256 = kData,
          .phases = {"load", "preprocess", "train", "evaluate"},
          .main_phase = "train",
          .compared_phases = {"preprocess", "train"},
          .gates = {{"features", "features", "features", kHash},
                    {"weights", "weights", "weights", kHash, kExact, 0, kBitForBit},
                    {"loss trace", "loss", "loss of each step", kSeries, kExact, 0, kBitForBit},
                    {"loss trace", "loss", "loss of each step", kSeries, kAbsolute, 1e-6, kBeyond}},
          .series = {{.name = "loss"}},
          .qualities = {{"accuracy", "accuracy", 4}}};
}

RepRecord Rep(const std::string& arm, int nodes, int pair, double train_seconds) {
  RepRecord record;
  record.arm = arm;
  record.nodes = nodes;
  record.pair = pair;
  record.repetition.phase_seconds = {
      {"load", 0.1}, {"preprocess", 0.2}, {"train", train_seconds}, {"evaluate", 0.1}};
  Outcome& outcome = record.repetition.outcome;
  outcome.steps = 2;
  outcome.hashes = {{"dataset", kData}, {"features", kFeatures}, {"weights", kWeights}};
  outcome.values = {{"accuracy", 0.5}};
  outcome.series["loss"].numbers = {2.0, 1.0};
  return record;
}

WorkloadRecords TwoArms(int pairs) {
  WorkloadRecords records;
  records.workload = Training();
  records.steps = 2;
  for (int pair = 0; pair <= pairs; ++pair) {
    records.reps.push_back(Rep("rayx", 2, pair, 1.0));
    records.reps.push_back(Rep("native-py", 2, pair, 2.0));
  }
  return records;
}

nlohmann::json RatioOf(const nlohmann::json& summary, const std::string& metric) {
  for (const auto& ratio : summary["ratios"]) {
    if (ratio["metric"] == metric && ratio["rival"] == "native-py") return ratio;
  }
  return {};
}

nlohmann::json RowOf(const nlohmann::json& summary, const std::string& arm) {
  for (const auto& row : summary["rows"]) {
    if (row["arm"] == arm) return row;
  }
  return {};
}

TEST_CASE("Summary: sound pairs make a ratio, warm-ups do not count") {
  WorkloadRecords records = TwoArms(3);
  records.reps[0].repetition.outcome.steps = 1;  // a warm-up is shorter and not gated
  ApplyGates(records);
  CHECK(AllGatesPassed(records));
  const auto summary = Summarise(records);
  CHECK(RatioOf(summary, "train")["median"] == 2.0);
  CHECK(RatioOf(summary, "train")["pairs"] == 3);
  CHECK(RatioOf(summary, "train")["verdict"] == "faster");
  CHECK(RatioOf(summary, "train")["words"] == "faster in all 3 pairs");
  CHECK(RatioOf(summary, "train")["coverage"] == 0.75);
  CHECK(RatioOf(summary, "total")["median"].get<double>() == Approx(2.4 / 1.4));
  CHECK(RowOf(summary, "rayx")["repetitions"] == 3);
}

TEST_CASE("Summary: an arm that disagrees loses its number, and the reason is kept") {
  WorkloadRecords records = TwoArms(3);
  for (RepRecord& rep : records.reps) {
    if (rep.arm == "rayx") rep.repetition.outcome.series["loss"].numbers[1] = 1.0000001;
  }
  ApplyGates(records);
  CHECK_FALSE(AllGatesPassed(records));
  const auto summary = Summarise(records);
  CHECK(RatioOf(summary, "total")["pairs"] == 0);
  CHECK_FALSE(RowOf(summary, "rayx").contains("total"));
  CHECK(RowOf(summary, "rayx")["repetitions_removed"] == 3);
  CHECK(RowOf(summary, "rayx")["removed_because"][0].get<std::string>().find(
            "loss of each step: differs from number 2 on") == 0);
  CHECK(RowOf(summary, "native-py").contains("total"));
}

TEST_CASE("Summary: one bad repetition takes its pair out, not the others") {
  WorkloadRecords records = TwoArms(3);
  records.reps[4].repetition.outcome.hashes["weights"] = kOther;  // rayx, pair 2
  records.reps[5].repetition.phase_seconds["train"] = 100;        // its partner
  ApplyGates(records);
  const auto summary = Summarise(records);
  CHECK(RatioOf(summary, "train")["pairs"] == 2);
  CHECK(RatioOf(summary, "train")["median"] == 2.0);
}

TEST_CASE("Summary: another data set than the pinned one removes everything") {
  WorkloadRecords records = TwoArms(1);
  records.workload.dataset_sha256 = kOther;
  ApplyGates(records);
  CHECK_FALSE(AllGatesPassed(records));
  const auto summary = Summarise(records);
  CHECK_FALSE(RowOf(summary, "rayx").contains("total"));
  CHECK_FALSE(RowOf(summary, "native-py").contains("total"));
}

TEST_CASE("Summary: a run beyond the quota is in no ratio's pairs but has a row") {
  WorkloadRecords records = TwoArms(3);
  RepRecord free = Rep("serial-unrestricted", 1, 1, 0.5);
  free.unrestricted = true;
  records.reps.push_back(free);
  ApplyGates(records);
  const auto summary = Summarise(records);
  CHECK(RowOf(summary, "serial-unrestricted")["unrestricted"] == true);
  for (const auto& ratio : summary["ratios"]) CHECK(ratio["rival"] != "serial-unrestricted");
}

TEST_CASE("Summary: agreement names the arms and how closely they agree") {
  WorkloadRecords records = TwoArms(1);
  for (RepRecord& rep : TwoArms(1).reps) {
    rep.nodes = 3;
    records.reps.push_back(rep);
  }
  ApplyGates(records);
  const auto summary = Summarise(records);
  REQUIRE(summary["comparisons"].size() == 2);
  const auto two = summary["comparisons"][0], three = summary["comparisons"][1];
  CHECK(two["nodes"] == 2);
  CHECK(two["reference"] == "native-py");
  CHECK(two["arms"] == nlohmann::json{"rayx"});
  CHECK(two["agreement"].size() == 3);
  CHECK(two["agreement"][1]["what"] == "weights");
  CHECK(two["agreement"][1]["how"] == "in every bit");
  CHECK(three["agreement"].size() == 2);  // no gate looks at the weights there
  CHECK(three["agreement"][1]["what"] == "loss of each step");
  CHECK(three["agreement"][1]["how"] == "within 1e-06");
  CHECK(summary["not_compared_on"].empty());
  CHECK(ToJson("w", records.reps[2])["compared_with"] == "native-py");
}

TEST_CASE("Summary: an arm that ran alone is compared with nothing") {
  WorkloadRecords records = TwoArms(3);
  std::erase_if(records.reps, [](const RepRecord& rep) { return rep.arm != "rayx"; });
  ApplyGates(records);
  auto summary = Summarise(records);
  CHECK(summary["comparisons"].empty());
  CHECK(summary["not_compared_on"] == nlohmann::json{2});
  CHECK(RowOf(summary, "rayx")["compared"] == false);
  CHECK(RowOf(summary, "rayx").contains("total"));

  // A rival that is not sound in itself is nobody to agree with.
  records = TwoArms(3);
  for (RepRecord& rep : records.reps) {
    if (rep.arm == "native-py") rep.repetition.outcome.steps = 1;
  }
  ApplyGates(records);
  summary = Summarise(records);
  CHECK(summary["not_compared_on"] == nlohmann::json{2});
  CHECK(RowOf(summary, "rayx")["compared"] == false);
}

WorkloadRecords SameOnAnyNodes() {
  WorkloadRecords records;
  records.workload = Training();
  records.workload.same_on_any_nodes = true;
  records.steps = 2;
  records.reps.push_back(Rep("native-py", 1, 1, 2.0));
  records.reps.push_back(Rep("serial", 1, 1, 2.0));
  for (int nodes : {2, 3}) records.reps.push_back(Rep("rayx", nodes, 1, 1.0));
  return records;
}

TEST_CASE("Summary: where the number of VMs must not matter, serial on one is the reference") {
  WorkloadRecords records = SameOnAnyNodes();
  ApplyGates(records);
  CHECK(AllGatesPassed(records));
  for (const RepRecord& rep : records.reps) {
    CHECK(rep.compared_with == "serial");
    CHECK(rep.compared_with_nodes == 1);
  }
  auto summary = Summarise(records);
  CHECK(summary["not_compared_on"].empty());
  CHECK(summary["comparisons"][1]["nodes"] == 2);
  CHECK(summary["comparisons"][1]["reference_nodes"] == 1);

  // An error that all arms on three VMs share is seen.
  records.reps[3].repetition.outcome.hashes["features"] = kOther;
  ApplyGates(records);
  CHECK_FALSE(AllGatesPassed(records));
  CHECK(AllPassed(records.reps[2].gates));
  CHECK_FALSE(AllPassed(records.reps[3].gates));
}

TEST_CASE("Summary: a reference that others agree with is compared, alone on its VMs or not") {
  WorkloadRecords records = SameOnAnyNodes();
  records.reps.erase(records.reps.begin());  // serial alone on one VM, rayx on two and three
  ApplyGates(records);
  CHECK(Summarise(records)["not_compared_on"].empty());

  std::erase_if(records.reps, [](const RepRecord& rep) { return rep.arm == "serial"; });
  ApplyGates(records);  // rayx against itself
  CHECK(Summarise(records)["not_compared_on"] == nlohmann::json{2, 3});
}

TEST_CASE("Summary: a workload says its phases, its steps and its own numbers") {
  WorkloadRecords records = TwoArms(3);
  records.workload.step_word = "iteration";
  records.workload.curve = {"loss", "Do they learn the same?", "loss"};
  for (RepRecord& rep : records.reps) rep.repetition.series_paths = {{"loss", "series/x.loss.txt"}};
  ApplyGates(records);
  const auto summary = Summarise(records);
  CHECK(summary["workload"] == "w");
  CHECK(summary["phases"].size() == 4);
  CHECK(summary["main_phase"] == "train");
  CHECK(summary["step_word"] == "iteration");
  CHECK(summary["qualities"][0]["label"] == "accuracy");
  CHECK(summary["curve"]["series"] == "loss");
  const auto row = RowOf(summary, "rayx");
  CHECK(row["quality"]["accuracy"] == 0.5);
  CHECK(row["series"]["loss"] == "series/x.loss.txt");
  CHECK(row["step_ms"]["median"] == 500);
  CHECK(row["phases"]["train"]["median"] == 1.0);
}

TEST_CASE("Summary: CPU seconds and the time in no phase are shown, where they were measured") {
  WorkloadRecords records = TwoArms(3);
  for (RepRecord& rep : records.reps) rep.repetition.outside_seconds = 0.25;
  ApplyGates(records);
  CHECK_FALSE(RowOf(Summarise(records), "rayx").contains("cpu_seconds"));
  for (RepRecord& rep : records.reps) {
    rep.repetition.usage.cpu_seconds = rep.arm == "rayx" ? 2 : 3;
    rep.repetition.others_cpu_seconds = 0.5;
  }
  const auto summary = Summarise(records);
  CHECK(RowOf(summary, "rayx")["cpu_seconds"]["median"] == 2);
  CHECK(RowOf(summary, "rayx")["others_cpu_seconds"]["median"] == 0.5);
  CHECK(RowOf(summary, "rayx")["outside_phases"]["median"] == 0.25);
  CHECK(RatioOf(summary, "cpu_seconds")["median"] == 1.5);
  CHECK(RatioOf(summary, "cpu_seconds")["words"] == "less in all 3 pairs");
}

}  // namespace
}  // namespace rayx::bench
