#include "base/read_at.h"

#include <unistd.h>

#include <cerrno>

namespace rayx::base {

std::string ReadAt(int fd, uint64_t offset, size_t bytes) {
  std::string text(bytes, '\0');
  size_t size = 0;
  while (size < bytes && offset + size <= INT64_MAX) {
    const ssize_t n =
        ::pread(fd, text.data() + size, bytes - size, static_cast<off_t>(offset + size));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    size += static_cast<size_t>(n);
  }
  text.resize(size);
  return text;
}

}  // namespace rayx::base
