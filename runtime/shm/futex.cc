#include "shm/futex.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

namespace rayx::shm {

int64_t MonotonicNs() {
  timespec now;
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

bool FutexWait(const std::atomic<uint32_t>& word, uint32_t expected, int64_t until_ns) {
  timespec until;
  until.tv_sec = static_cast<time_t>(until_ns / 1'000'000'000);
  until.tv_nsec = static_cast<long>(until_ns % 1'000'000'000);
  // The bitset form is the one with an absolute timeout.
  const long result = ::syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, expected, &until, nullptr,
                                FUTEX_BITSET_MATCH_ANY);
  return !(result == -1 && errno == ETIMEDOUT);
}

void FutexWake(std::atomic<uint32_t>& word, int waiters_max) {
  ::syscall(SYS_futex, &word, FUTEX_WAKE, waiters_max, nullptr, nullptr, 0);
}

}  // namespace rayx::shm
