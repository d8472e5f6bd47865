// Goal: what an arm did in a scenario is told as what it was, and the card counts what a user
// writes. Method: records made by hand; small sources; the catalogue's own rows.
#include "bench/runner/scenario.h"

#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "bench/runner/arm_catalogue.h"
#include "bench/runner/ease_card.h"
#include "bench/runner/mistake_run.h"
#include "bench/runner/suite.h"

namespace rayx::bench {
namespace {

namespace fs = std::filesystem;

ScenarioRep Rep(int pair, bool disturbed, double seconds) {
  return {.arm = "rayx", .pair = pair, .disturbed = disturbed, .seconds = seconds};
}

ScenarioRecords Records(const ScenarioRep& disturbed) {
  ScenarioRecords records = {.scenario = {.name = "s", .steps = 10}};
  records.reps = {Rep(1, false, 2.0), disturbed};
  return records;
}

TEST_CASE("Scenario: every ending has its words") {
  ScenarioRep rep = Rep(1, true, 3.0);
  CHECK(EndingWords(Records(rep), "rayx") ==
        "finishes in 3.00 s, 1.50x as long as undisturbed, same result");
  rep.other_result = "final inertia: 1 instead of 2";
  CHECK(EndingWords(Records(rep), "rayx") ==
        "finishes with another result: final inertia: 1 instead of 2");
  CHECK_FALSE(AllResultsSame(Records(rep)));
  rep = Rep(1, true, 3.0);
  rep.ending = Ending::kFailed;
  rep.fault_at = 1.0;
  rep.error = "ActorDied: signal 9";
  CHECK(EndingWords(Records(rep), "rayx") == "fails 2.0 s after the fault: ActorDied: signal 9");
  CHECK(AllResultsSame(Records(rep)));  // an error is a result, and not a wrong one
  rep.ending = Ending::kHung;
  rep.seconds = 61;
  CHECK(EndingWords(Records(rep), "rayx") ==
        "hangs: neither a result nor an error 60 s after the fault");
  CHECK(EndingWords(Records(rep), "native-py") == "not run");
}

TEST_CASE("Scenario: an arm with which it could not be carried out is said to be not run") {
  ScenarioRecords records = Records(Rep(1, true, 3.0));
  records.failures.emplace_back("rayx", "it was over before the fault");
  CHECK(EndingWords(records, "rayx") == "not run: it was over before the fault");
  ScenarioRep undisturbed = Rep(1, false, 3.0);
  undisturbed.ending = Ending::kFailed;
  undisturbed.error = "no data";
  records = {.scenario = {.name = "s"}};
  records.reps = {undisturbed};
  CHECK(EndingWords(records, "rayx") ==
        "not run: the undisturbed repetition did not finish: no data");
}

TEST_CASE("Scenario: several pairs make a ratio, and one that fails decides") {
  ScenarioRecords records = {.scenario = {.name = "s", .steps = 10}};
  for (int pair = 1; pair <= 3; ++pair) {
    records.reps.push_back(Rep(pair, false, 2.0));
    records.reps.push_back(Rep(pair, true, 2.0 + pair));
  }
  CHECK(EndingWords(records, "rayx") ==
        "finishes in 4.00 s, 2.00x as long as undisturbed (1.50 to 2.50 in 3 pairs), same result");
  const auto summary = Summarise(records);
  CHECK(summary["arms"][0]["ratio"]["pairs"] == 3);
  CHECK(summary["arms"][0]["disturbed"]["samples"].size() == 3);
  CHECK(ToJsonLines(records).size() == 6);
  records.reps[3].ending = Ending::kFailed;
  CHECK(Summarise(records)["arms"][0]["ending"] == "failed");
}

TEST_CASE("Scenario: the timeline has steps, phases and CPU a VM, and a gap for a lost VM") {
  ScenarioRep rep = Rep(1, true, 3.0);
  rep.fault_at = 1.0;
  rep.trace = {.begin = 100, .steps = {{1, 100.5}, {2, 101}}, .phases = {{"load", 100.25}}};
  rep.cpu = {{100, {1.0, 2.0}}, {100.5, {1.25, 2.5}}, {101, {1.5, std::nullopt}}};
  const auto part = Summarise(Records(rep))["arms"][0];
  const auto line = part["timeline"]["disturbed"];
  CHECK(line["steps"] == nlohmann::json::parse("[[0.5, 1], [1.0, 2]]"));
  CHECK(line["phases"][0]["end"] == 0.25);
  CHECK(line["cpu"]["vms"] == nlohmann::json::parse("[[0.5, 0.5], [1.0, null]]"));
  CHECK(part["timeline"].contains("undisturbed"));
  CHECK(part["after_fault_seconds"] == 2.0);
}

TEST_CASE("Scenario: a fault comes at half the steps, or at half the time where none are told") {
  RunTrace trace = {.begin = 100, .steps = {}, .phases = {}};
  CHECK_FALSE(IsHalfWay(trace, 10, 100.9, 2));
  CHECK(IsHalfWay(trace, 10, 101, 2));
  trace.steps = {{4, 100.1}};
  CHECK_FALSE(IsHalfWay(trace, 10, 200, 2));
  trace.steps = {{5, 100.2}};
  CHECK(IsHalfWay(trace, 10, 100.2, 2));
}

TEST_CASE("Scenario: names choose, unknown ones are refused, full has all and the others none") {
  CHECK(ChooseScenarios({"all"})->size() == Scenarios().size());
  CHECK(ChooseScenarios({"none"})->empty());
  const auto two = ChooseScenarios({"vm-lost", "straggler"});
  REQUIRE(two->size() == 2);
  CHECK((*two)[0]->name == "vm-lost");
  const auto unknown = ChooseScenarios({"flood"});
  CHECK(std::string(unknown.status().message()).find("'flood'; there are all, none, cold-start") !=
        std::string::npos);
  CHECK(ScenariosOf("full") == std::vector<std::string>{"all"});
  CHECK(ScenariosOf("smoke") == std::vector<std::string>{"none"});
}

TEST_CASE("Scenario: each row of the catalogue can be carried out or says why not") {
  for (const ScenarioSpec& scenario : Scenarios()) {
    INFO(scenario.name);
    const bool known = std::any_of(Workloads().begin(), Workloads().end(),
                                   [&](const auto& w) { return w.name == scenario.workload; });
    CHECK(known != (scenario.kind == ScenarioKind::kImpossible));
    CHECK(scenario.not_run_because.empty() != (scenario.kind == ScenarioKind::kImpossible));
  }
}

TEST_CASE("Mistakes: a line is useful when it has a word of each group") {
  const std::vector<std::vector<std::string>> groups = {{"10.0.0.1"}, {"refused", "timed out"}};
  CHECK(UsefulLine("starting\nto 10.0.0.1: connection refused\nend", groups) ==
        "to 10.0.0.1: connection refused");
  CHECK(UsefulLine("10.0.0.1 is up\nconnection refused", groups).empty());
  CHECK(UsefulLine("", groups).empty());
}

// Regression: any line with "nodes" and "not" counted, whatever it was about.
TEST_CASE("Mistakes: a missing VM is named by a line that counts, not by one that is about nodes") {
  const auto spec = std::find_if(Mistakes().begin(), Mistakes().end(),
                                 [](const auto& mistake) { return mistake.name == "missing-vm"; });
  REQUIRE(spec != Mistakes().end());
  for (const char* neutral :
       {"W: OMP_NUM_THREADS is not set on all nodes", "the world size has been read: 2",
        "starting 2 workers, output is not buffered", "nodes: only lo has an address"}) {
    INFO(neutral);
    CHECK(UsefulLine(neutral, spec->useful).empty());
  }
  for (const char* naming :
       {"DistStoreError: Timed out after 61 seconds waiting for clients. 1/2 clients joined.",
        "TimeoutError: timed out waiting for all 2 members to join",
        "Timed out waiting on barrier on rank 0 (world_size=2, missing_ranks=[1], timeout=60)",
        "--world-size says 2, the cluster has 1 VMs"}) {
    INFO(naming);
    CHECK_FALSE(UsefulLine(naming, spec->useful).empty());
  }
}

TEST_CASE("CodeLines: comments, blank lines and docstrings do not count") {
  CHECK(CodeLines("// a\n\n  /* b\n c */ int x;\nint y;  // d\n/* e */\nchar z[] = \"// f\";\n",
                  false) == 3);
  CHECK(CodeLines("\"\"\"One\n\ntwo.\n\"\"\"\n# c\nimport os\n\n"
                  "def f():\n    '''Short.'''\n    return 1  # d\n",
                  true) == 3);
  CHECK(CodeLines("int last", false) == 1);
}

TEST_CASE("UserSources: what a program includes or imports, and not the suite's protocol") {
  const fs::path root = fs::temp_directory_path() / ("sources-" + std::to_string(getpid()));
  const auto write = [&](const std::string& path, const std::string& text) {
    fs::create_directories((root / path).parent_path());
    std::ofstream(root / path) << text;
  };
  write("bench/workloads/w/main.cc",
        "#include \"bench/workloads/w/part.h\"\n#include \"bench/workloads/arm/arm_program.h\"\n");
  write("bench/workloads/w/part.h", "#include <vector>\n");
  write("bench/workloads/w/part.cc", "int x;\n");
  write("bench/workloads/w/native_main.cc", "int y;\n");
  write("bench/workloads/arm/arm_program.h", "int z;\n");
  write("bench/native/w_tuned.py", "import os\nimport arm\nfrom table import Table\n");
  write("bench/native/table.py", "import w\n");
  write("bench/native/arm.py", "");
  CHECK(UserSources(root, {.name = "rayx", .kind = ArmKind::kRayx, .program = "bench/w"}) ==
        std::set<std::string>{"bench/workloads/w/main.cc", "bench/workloads/w/part.cc",
                              "bench/workloads/w/part.h"});
  CHECK(UserSources(root, {.name = "n", .kind = ArmKind::kRanks, .program = "bench/w_native"}) ==
        std::set<std::string>{"bench/workloads/w/native_main.cc"});
  CHECK(UserSources(root, {.name = "p", .program = "w_tuned.py"}) ==
        std::set<std::string>{"bench/native/table.py", "bench/native/w_tuned.py"});
  fs::remove_all(root);
}

TEST_CASE("EaseFacts: both kinds answer the same questions, with a reason each") {
  const auto &ours = EaseFacts(ArmKind::kRayx), &native = EaseFacts(ArmKind::kTorchrun);
  REQUIRE(ours.size() == native.size());
  for (size_t i = 0; i < ours.size(); ++i) {
    CHECK(ours[i].label == native[i].label);
    CHECK_FALSE(ours[i].reason.empty());
    CHECK_FALSE(native[i].reason.empty());
  }
  const EaseFact fact = {.label = "x",
                         .reason = "y",
                         .fixed = 1,
                         .per_vm = 1,
                         .per_other_vm = 2,
                         .per_source_and_other_vm = 3};
  CHECK(fact.Value(3, 2) == 1 + 3 + 2 * (2 + 6));
}

}  // namespace
}  // namespace rayx::bench
