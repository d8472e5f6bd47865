#include "tests/unit/local/lambdas.h"

namespace {
RAYX_LAMBDA(step, [](int x) { return x + 100; });
}  // namespace

std::string ShoutOfOtherFile(const std::string& text) {
  return *rayx::Task(lambdas::shout).Remote(text).Get();
}
int StepOfOtherFile(int x) {
  return *rayx::Task(step).Remote(x).Get();
}
