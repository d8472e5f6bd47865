#include "client/baton.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"
#include "shm/fence.h"

namespace rayx::client {
namespace {

long CallMembarrier(int command) {
  return ::syscall(SYS_membarrier, command, 0, 0);
}

}  // namespace

bool Membarrier::CanFence() {
#if defined(RAYX_TSAN)
  return false;  // ThreadSanitizer knows nothing of it
#else
  return CallMembarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0;
#endif
}

void Membarrier::FenceAllThreads() {
  RAYX_CHECK(
      CallMembarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0,
      "membarrier(2) fails, which worked when RayX began: a filter (seccomp) forbids it now");
}

}  // namespace rayx::client
