// User code that the driver loads at run time, by Options::preload_libraries or by itself.
#include "rayx/rayx.h"

extern "C" int PlantedAnswer() {
  return 7;
}
RAYX_REMOTE(PlantedAnswer);
