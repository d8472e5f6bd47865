// Goal: two functions that one id would mean are an error of Init that names both.
// Method: this file and collision_other.cc have a static function of one name and signature, and
// both use Task<&f>(), which cannot tell them apart.
#include <catch2/catch.hpp>

#include <string>

#include "rayx/rayx.h"

static int Ambiguous(int x) {
  return x;
}
int CallOther();

namespace {
int Here() {
  const auto caller = rayx::Task<&Ambiguous>();
  static_cast<void>(caller);
  return 1;
}
}  // namespace

TEST_CASE("Registry: one id for two functions is an error of Init that names both") {
  CHECK(Here() + CallOther() == 3);
  rayx::Options options;
  options.local_mode = true;
  try {
    rayx::Init(options);
    FAIL("nothing was thrown");
  } catch (const rayx::InvalidOption& error) {
    const std::string text = error.what();
    CHECK(text.find("'int Ambiguous(int)' and 'int Ambiguous(int)'") != std::string::npos);
    CHECK(text.find("RAYX_REMOTE") != std::string::npos);
  }
  CHECK_FALSE(rayx::IsInitialized());
}
