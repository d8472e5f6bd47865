#include <rayx/rayx.h>

int Square(int x) {
  return x * x;
}
RAYX_REMOTE(Square);
