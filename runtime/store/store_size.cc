#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "store/node_store.h"

namespace rayx::store {

uint64_t DefaultStoreBytes() {
  uint64_t memory = static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
                    static_cast<uint64_t>(::sysconf(_SC_PAGE_SIZE));
  // cgroup v2, then v1. "max", or a file that is not there, limits nothing.
  for (const char* path :
       {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    uint64_t limit = 0;
    if (std::ifstream(path) >> limit && limit > 0) memory = std::min(memory, limit);
  }
  return std::max(memory / 10 * 3 / kPageBytes, uint64_t{1}) * kPageBytes;
}

}  // namespace rayx::store
