#include "shm/doorbell.h"

#include <cerrno>
#include <cstring>
#include <string>

namespace rayx::shm {

base::StatusOr<base::UniqueFd> CreateDoorbellEvent() {
  base::UniqueFd fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (fd) return fd;
  return base::MakeStatus(base::StatusCode::kResourceExhausted,
                          std::string("doorbell eventfd: ") + std::strerror(errno));
}

}  // namespace rayx::shm
