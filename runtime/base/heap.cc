#include "base/heap.h"

#include <malloc.h>

#include <cstdlib>

namespace rayx::base {

void KeepFreedMemory() {
  for (const char* chosen :
       {"GLIBC_TUNABLES", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"}) {
    if (::getenv(chosen) != nullptr) return;
  }
  ::mallopt(M_TRIM_THRESHOLD, 32 << 20);
  ::mallopt(M_MMAP_THRESHOLD, 8 << 20);
}

}  // namespace rayx::base
