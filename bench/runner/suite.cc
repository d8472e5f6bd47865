#include "bench/runner/suite.h"

#include <algorithm>

namespace rayx::bench {

absl::StatusOr<SuitePlan> PlanOf(const std::string& suite, const WorkloadSpec& workload) {
  SuitePlan plan;
  if (suite == "smoke" || suite == "check") {
    const bool is_check = suite == "check";
    plan.nodes = {1, 2};
    if (is_check) plan.nodes.push_back(3);
    plan.arms = {"rayx"};
    if (is_check || !workload.same_on_any_nodes) plan.arms.push_back("native-py");
    if (is_check || workload.same_on_any_nodes) plan.arms.push_back("serial");
    plan.steps = workload.steps.smoke;
    plan.shows_ratios = false;
    return plan;
  }
  if (suite == "quick") {
    plan.nodes = {1, 3};
    plan.arms = {"rayx", "native-py"};
    if (workload.same_on_any_nodes) plan.arms.push_back("serial");  // the reference
    plan.pairs = 3;
    plan.warm_up_steps = workload.steps.quick_warm_up;
    plan.steps = workload.steps.quick;
    return plan;
  }
  if (suite == "full") {
    plan.nodes = {1, 2, 3};
    for (const ArmSpec& arm : workload.arms) plan.arms.push_back(arm.name);
    plan.pairs = 5;
    plan.warm_up_steps = workload.steps.full_warm_up;
    plan.steps = workload.steps.full;
    plan.extra_starts = 1;  // the scenario cold-start has more
    return plan;
  }
  return absl::InvalidArgumentError("there is no suite '" + suite +
                                    "'; there are smoke, quick and full");
}

bool IsPartOf(const std::string& suite, const WorkloadSpec& workload) {
  if (suite == "smoke") return workload.smallest_suite == "smoke";
  return suite != "quick" || workload.smallest_suite != "full";
}

std::vector<std::string> ScenariosOf(const std::string& suite) {
  return {suite == "full" ? "all" : "none"};
}

bool RunsOn(const ArmSpec& arm, int nodes) {
  return nodes == 1 || !arm.one_node_only;
}

bool TakesPart(const SuitePlan& plan, const ArmSpec& arm, int pair) {
  return pair <= (arm.beside ? std::min(plan.pairs, plan.pairs_beside) : plan.pairs);
}

int ProgressSteps(const SuitePlan& plan, const std::vector<const ArmSpec*>& arms) {
  int steps = 0;
  for (int nodes : plan.nodes) {
    for (const ArmSpec* arm : arms) {
      if (RunsOn(*arm, nodes)) {
        steps += 1 + plan.extra_starts;
        for (int pair = plan.warm_up_steps > 0 ? 0 : 1; TakesPart(plan, *arm, pair); ++pair)
          ++steps;
      }
    }
  }
  return steps;
}

absl::StatusOr<std::vector<const ArmSpec*>> ChooseArms(const WorkloadSpec& workload,
                                                       const std::vector<std::string>& names) {
  std::string known;
  for (const ArmSpec& arm : workload.arms) known += (known.empty() ? "" : ", ") + arm.name;
  for (const std::string& name : names) {
    const bool found = std::any_of(workload.arms.begin(), workload.arms.end(),
                                   [&](const ArmSpec& arm) { return arm.name == name; });
    if (!found) {
      return absl::InvalidArgumentError(workload.name + " has no arm '" + name + "'; it has " +
                                        known);
    }
  }
  std::vector<const ArmSpec*> chosen;
  for (const ArmSpec& arm : workload.arms) {
    if (std::find(names.begin(), names.end(), arm.name) != names.end()) chosen.push_back(&arm);
  }
  return chosen;
}

}  // namespace rayx::bench
