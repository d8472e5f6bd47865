// tests/unit/node/core_fixture.h
//
// What the tests of the node's cores share: this node, another one, and amounts of CPUs.
#pragma once

#include <catch2/catch.hpp>

#include "model/ids.h"
#include "model/resources.h"

namespace rayx::node {

inline constexpr model::NodeNumber kSelf{1};
inline constexpr model::NodeNumber kOther{2};

inline model::ResourceSet Cpus(double cpus) {
  model::ResourceSet set;
  REQUIRE(set.SetDouble(model::kCpu, cpus).ok());
  return set;
}

}  // namespace rayx::node
