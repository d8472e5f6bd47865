// Goal: a suite means what suite.h says, for each workload of the catalogue.
#include "bench/runner/suite.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "bench/runner/arm_catalogue.h"
#include "bench/runner/run_command.h"

namespace rayx::bench {
namespace {

using Names = std::vector<std::string>;

Names Unasked(const std::string& suite) {
  Names names;
  for (const WorkloadSpec& workload : Workloads()) {
    if (IsPartOf(suite, workload)) names.push_back(workload.name);
  }
  return names;
}

bool HasArm(const SuitePlan& plan, const std::string& arm) {
  return std::find(plan.arms.begin(), plan.arms.end(), arm) != plan.arms.end();
}

TEST_CASE("Suite: which workloads each has unasked") {
  CHECK(Unasked("smoke") == Names{"fmnist-mlp", "etl"});
  CHECK(Unasked("quick") == Names{"flights", "fmnist-mlp", "kmeans-cities", "pagerank", "etl"});
  for (const char* suite : {"check", "full"}) {
    CHECK(Unasked(suite).size() == Workloads().size());
  }
}

TEST_CASE("Suite: each has RayX and what it must agree with, at the numbers of VMs") {
  for (const WorkloadSpec& workload : Workloads()) {
    for (const char* suite : {"smoke", "check", "quick", "full"}) {
      INFO(workload.name << " in " << suite);
      const auto plan = PlanOf(suite, workload);
      REQUIRE(plan.ok());
      CHECK(HasArm(*plan, "rayx"));
      CHECK((HasArm(*plan, "native-py") || workload.same_on_any_nodes));
      CHECK((HasArm(*plan, "serial") || !workload.same_on_any_nodes));
      CHECK(ChooseArms(workload, plan->arms)->size() == plan->arms.size());
      CHECK(plan->steps > 0);
    }
    CHECK(PlanOf("smoke", workload)->nodes == std::vector<int>{1, 2});
    CHECK(PlanOf("check", workload)->nodes == std::vector<int>{1, 2, 3});
    CHECK(PlanOf("quick", workload)->nodes == std::vector<int>{1, 3});
    CHECK(PlanOf("full", workload)->arms.size() == workload.arms.size());
    CHECK(PlanOf("full", workload)->pairs == 5);
  }
}

TEST_CASE("Suite: in full an arm that is shown beside the others has one pair, they have five") {
  const WorkloadSpec& workload = Workloads().front();
  const SuitePlan plan = *PlanOf("full", workload);
  const auto arms = *ChooseArms(workload, {"rayx", "native-py-naive"});
  REQUIRE(arms.size() == 2);
  const bool first_is_beside = arms[0]->beside;
  CHECK(first_is_beside != arms[1]->beside);
  const ArmSpec& beside = *arms[first_is_beside ? 0 : 1];
  const ArmSpec& compared = *arms[first_is_beside ? 1 : 0];
  CHECK(beside.name == "native-py-naive");
  for (int pair : {0, 1}) {
    CHECK(TakesPart(plan, beside, pair));
    CHECK(TakesPart(plan, compared, pair));
  }
  CHECK_FALSE(TakesPart(plan, beside, 2));
  CHECK(TakesPart(plan, compared, 5));
  CHECK_FALSE(TakesPart(plan, compared, 6));
  // On each number of VMs: two launches, a warm-up, the pairs.
  CHECK(ProgressSteps(plan, {&compared}) == 3 * (2 + 1 + 5));
  CHECK(ProgressSteps(plan, {&beside}) == 3 * (2 + 1 + 1));
}

TEST_CASE("Suite: only the data of what runs are brought") {
  RunOptions options;
  options.suite = "smoke";
  CHECK(DataCommands(options).size() == 2);
  options.workload = "kmeans-cities";
  CHECK(DataCommands(options) == Names{"rayx-data fetch cities"});
  options.workload = "nothing";
  CHECK(DataCommands(options).empty());
  options.scenarios = {"vm-lost"};
  options.only_scenarios = true;
  REQUIRE(DataCommands(options).size() == 1);
  CHECK(DataCommands(options)[0].rfind("rayx-data gen blobs", 0) == 0);
}

TEST_CASE("Suite: only what is timed shows ratios, an unknown one is refused") {
  const WorkloadSpec& workload = Workloads().front();
  CHECK_FALSE(PlanOf("smoke", workload)->shows_ratios);
  CHECK_FALSE(PlanOf("check", workload)->shows_ratios);
  CHECK(PlanOf("quick", workload)->shows_ratios);
  CHECK(std::string(PlanOf("huge", workload).status().message()).find("'huge'") !=
        std::string::npos);
}

}  // namespace
}  // namespace rayx::bench
