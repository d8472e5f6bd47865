#include "rayx/rayx.h"

RAYX_LAMBDA(ambiguous, [](int x) { return x + 1; });

int OtherAmbiguous(int x) {
  return ambiguous(x);
}
