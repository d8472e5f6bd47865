// Goal: resource sums are exact and bad amounts are refused by name. Method: examples at the edges.
#include "model/resources.h"

#include <catch2/catch.hpp>
#include <limits>

namespace rayx::model {

TEST_CASE("ResourceSet: ten tenths are one whole") {
  ResourceSet sum;
  ResourceSet tenth;
  REQUIRE(tenth.SetDouble(kCpu, 0.1).ok());
  for (int i = 0; i < 10; ++i) sum.Add(tenth);
  ResourceSet one;
  REQUIRE(one.SetDouble(kCpu, 1).ok());
  CHECK(sum == one);
  for (int i = 0; i < 10; ++i) sum.Subtract(tenth);
  CHECK(sum.empty());
}

TEST_CASE("ResourceSet: bad amounts and names are refused") {
  ResourceSet set;
  CHECK_FALSE(set.SetDouble(kCpu, -1).ok());
  CHECK_FALSE(set.SetDouble(kCpu, std::numeric_limits<double>::quiet_NaN()).ok());
  for (const double amount : {0.00005, 0.00001, 1e-9, 1e-300, 0.00015, 1.00001}) {
    CHECK(set.SetDouble(kCpu, amount).message() ==
          "resource 'CPU': expected 0 or a multiple of 0.0001");
  }
  CHECK_FALSE(set.SetDouble(kCpu, 1e300).ok());
  CHECK_FALSE(set.SetDouble("", 1).ok());
  CHECK_FALSE(set.SetDouble("a b", 1).ok());
  CHECK(set.empty());
}

TEST_CASE("ResourceSet: what is missing is said with both amounts") {
  ResourceSet have;
  ResourceSet want;
  REQUIRE(have.SetDouble(kCpu, 2).ok());
  REQUIRE(want.SetDouble(kCpu, 8).ok());
  REQUIRE(want.SetDouble("gold", 0.5).ok());
  CHECK_FALSE(have.Covers(want));
  CHECK(have.Missing(want) == "CPU: needs 8, has 2, gold: needs 0.5, has 0");
}

}  // namespace rayx::model
