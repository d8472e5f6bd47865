#include "tests/run_tests.h"

#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>

namespace rayx::testing {

int RunTests(int argc, char** argv) {
  return Catch::Session().run(argc, argv);
}

}  // namespace rayx::testing
