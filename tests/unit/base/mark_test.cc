// Goal: a mark counts its hits under its name.
// Method: two places with one name, and a place that is never reached.
#include "base/mark.h"

#include <catch2/catch.hpp>

using rayx::base::MarkCount;

TEST_CASE("Mark: counts hits, sums places of one name, is 0 where never reached") {
  CHECK(MarkCount("mark test") == 0);
  for (int i = 0; i < 3; ++i) RAYX_MARK("mark test");
  RAYX_MARK("mark test");
  if (MarkCount("mark test") == 0) RAYX_MARK("mark test, never");
  CHECK(MarkCount("mark test") == 4);
  CHECK(MarkCount("mark test, never") == 0);
}
