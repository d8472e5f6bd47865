// bench/workloads/arm/vm_actors.h
//
// One actor of a class on each VM of the cluster, for arms that keep their data where they compute.
// Owner:    an arm's driver.                    Threads: one.
// Promises: actor i is the only one on its VM, and is up when this returns.
// Errors:   std::runtime_error where the cluster has not exactly `count` VMs.
#pragma once

#include <rayx/rayx.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace rayx::bench {

// Factory: unique_ptr<T> f(const Plan&). IsUp: a method that is called to see that it is.
template <auto Factory, auto IsUp, typename Plan>
auto OneActorAVm(const std::vector<Plan>& plans) {
  std::vector<NodeDescription> nodes;
  for (NodeDescription& node : Nodes()) {
    if (node.alive) nodes.push_back(std::move(node));
  }
  if (nodes.size() != plans.size()) {
    throw std::runtime_error("--world-size says " + std::to_string(plans.size()) +
                             ", the cluster has " + std::to_string(nodes.size()) + " VMs");
  }
  std::vector<decltype(Actor<Factory>().Remote(plans[0]))> actors;
  for (size_t i = 0; i < plans.size(); ++i) {
    actors.push_back(Actor<Factory>()
                         .SetSchedulingStrategy(SchedulingStrategy::NodeAffinity(nodes[i].number))
                         .Remote(plans[i]));
  }
  for (const auto& actor : actors) actor.template Task<IsUp>().Remote().Get();
  return actors;
}

}  // namespace rayx::bench
