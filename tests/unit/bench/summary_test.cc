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

RepRecord Rep(const std::string& arm, int nodes, int pair, double train_seconds) {
  RepRecord record;
  record.arm = arm;
  record.nodes = nodes;
  record.pair = pair;
  record.repetition.phase_seconds = {
      {"load", 0.1}, {"preprocess", 0.2}, {"train", train_seconds}, {"evaluate", 0.1}};
  record.repetition.outcome.steps = 2;
  record.repetition.outcome.dataset_sha256 = kData;
  record.repetition.outcome.features_sha256 = kFeatures;
  record.repetition.outcome.weights_sha256 = kWeights;
  record.repetition.outcome.weights_abs_sum = 10;
  record.repetition.outcome.accuracy = 0.5;
  record.repetition.outcome.losses = {2.0, 1.0};
  return record;
}

WorkloadRecords TwoArms(int pairs) {
  WorkloadRecords records;
  records.workload = "w";
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
  ApplyGates(records, kData);
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
    if (rep.arm == "rayx") rep.repetition.outcome.losses[1] = 1.0000001;
  }
  ApplyGates(records, kData);
  CHECK_FALSE(AllGatesPassed(records));
  const auto summary = Summarise(records);
  CHECK(RatioOf(summary, "total")["pairs"] == 0);
  CHECK_FALSE(RowOf(summary, "rayx").contains("total"));
  CHECK(RowOf(summary, "rayx")["repetitions_removed"] == 3);
  CHECK(RowOf(summary, "rayx")["removed_because"][0].get<std::string>().find("the loss differs") ==
        0);
  CHECK(RowOf(summary, "native-py").contains("total"));
}

TEST_CASE("Summary: one bad repetition takes its pair out, not the others") {
  WorkloadRecords records = TwoArms(3);
  records.reps[4].repetition.outcome.weights_sha256 = kOther;  // rayx, pair 2
  records.reps[5].repetition.phase_seconds["train"] = 100;     // its partner
  ApplyGates(records, kData);
  const auto summary = Summarise(records);
  CHECK(RatioOf(summary, "train")["pairs"] == 2);
  CHECK(RatioOf(summary, "train")["median"] == 2.0);
}

TEST_CASE("Summary: another data set than the pinned one removes everything") {
  WorkloadRecords records = TwoArms(1);
  ApplyGates(records, kOther);
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
  ApplyGates(records, kData);
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
  ApplyGates(records, kData);
  const auto summary = Summarise(records);
  REQUIRE(summary["comparisons"].size() == 2);
  const auto two = summary["comparisons"][0], three = summary["comparisons"][1];
  CHECK(two["nodes"] == 2);
  CHECK(two["reference"] == "native-py");
  CHECK(two["arms"] == nlohmann::json{"rayx"});
  CHECK(two["exact"] == true);
  CHECK(three["exact"] == false);
  CHECK(three["loss_tolerance"] == kToleranceBeyond);
  CHECK(summary["not_compared_on"].empty());
  CHECK(ToJson("w", records.reps[2])["compared_with"] == "native-py");
}

TEST_CASE("Summary: an arm that ran alone is compared with nothing") {
  WorkloadRecords records = TwoArms(3);
  std::erase_if(records.reps, [](const RepRecord& rep) { return rep.arm != "rayx"; });
  ApplyGates(records, kData);
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
  ApplyGates(records, kData);
  summary = Summarise(records);
  CHECK(summary["not_compared_on"] == nlohmann::json{2});
  CHECK(RowOf(summary, "rayx")["compared"] == false);
}

TEST_CASE("Summary: CPU seconds and the time in no phase are shown, where they were measured") {
  WorkloadRecords records = TwoArms(3);
  for (RepRecord& rep : records.reps) rep.repetition.outside_seconds = 0.25;
  ApplyGates(records, kData);
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
