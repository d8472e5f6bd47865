#include "rayx/rayx.h"

static int Ambiguous(int x) {
  return x + 1;
}

int CallOther() {
  const auto caller = rayx::Task<&Ambiguous>();
  static_cast<void>(caller);
  return 2;
}
