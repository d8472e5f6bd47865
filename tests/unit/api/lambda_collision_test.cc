// Goal: two lambdas of one name in two source files are an error of Init that names both places.
// Method: this file and lambda_collision_other.cc have one each.
#include <catch2/catch.hpp>

#include <string>

#include "rayx/rayx.h"

RAYX_LAMBDA(ambiguous, [](int x) { return x; });

int OtherAmbiguous(int x);

TEST_CASE("Registry: one name for two lambdas is an error of Init that names both places") {
  CHECK(ambiguous(1) == 1);
  CHECK(OtherAmbiguous(1) == 2);
  rayx::Options options;
  options.local_mode = true;
  try {
    rayx::Init(options);
    FAIL("nothing was thrown");
  } catch (const rayx::InvalidOption& error) {
    CHECK_THAT(error.what(), Catch::Contains("'int ambiguous(int)'") &&
                                 Catch::Contains("lambda_collision_test.cc:") &&
                                 Catch::Contains("lambda_collision_other.cc:"));
  }
  CHECK_FALSE(rayx::IsInitialized());
}
