#include "tests/run_tests.h"

int main(int argc, char** argv) {
  return rayx::testing::RunTests(argc, argv);
}
