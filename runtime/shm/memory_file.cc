#include "shm/memory_file.h"

#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

// Newer than Debian 12's headers.
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

namespace rayx::shm {
namespace {

base::Status FromErrno(int error, const std::string& what) {
  const bool exhausted =
      error == ENOMEM || error == ENFILE || error == EMFILE || error == ENOSPC || error == EAGAIN;
  return base::MakeStatus(
      exhausted ? base::StatusCode::kResourceExhausted : base::StatusCode::kUnavailable,
      what + ": " + std::strerror(error));
}

base::Status InvalidMemory(const std::string& what) {
  return base::MakeStatus(base::StatusCode::kInvalidArgument, what);
}

int CreateMemfd(const std::string& name) {
  const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  const int fd = ::memfd_create(name.c_str(), flags | MFD_NOEXEC_SEAL);
  // Kernels before 6.3 do not know the flag.
  return fd >= 0 || errno != EINVAL ? fd : ::memfd_create(name.c_str(), flags);
}

}  // namespace

base::StatusOr<base::UniqueFd> CreateMemoryFile(std::string_view name, uint64_t bytes) {
  const std::string full_name = "rayx:" + std::string(name);
  if (bytes == 0 || bytes > kMemoryFileBytesMax) {
    return InvalidMemory("memory file " + full_name + " of " + std::to_string(bytes) +
                         " bytes: expected 1 to " + std::to_string(kMemoryFileBytesMax));
  }
  bytes = (bytes + kPageBytes - 1) & ~uint64_t{kPageBytes - 1};
  base::UniqueFd fd(CreateMemfd(full_name));
  if (!fd) return FromErrno(errno, "memfd_create " + full_name);
  if (::fchmod(fd.get(), 0600) != 0) return FromErrno(errno, "fchmod " + full_name);
  if (::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) {
    return FromErrno(errno, "ftruncate " + full_name + " to " + std::to_string(bytes));
  }
  if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return FromErrno(errno, "sealing " + full_name);
  }
  return fd;
}

base::StatusOr<uint64_t> CheckedFileBytes(int fd, uint64_t bytes_max) {
  const int seals = ::fcntl(fd, F_GET_SEALS);
  if (seals < 0) return InvalidMemory("descriptor is not a memory file");
  if ((seals & F_SEAL_SHRINK) == 0)
    return InvalidMemory("memory file is not sealed against shrinking");
  struct stat status;
  if (::fstat(fd, &status) != 0) return FromErrno(errno, "fstat of a memory file");
  const auto bytes = static_cast<uint64_t>(status.st_size);
  if (bytes == 0 || bytes > bytes_max) {
    return InvalidMemory("memory file of " + std::to_string(bytes) + " bytes: expected 1 to " +
                         std::to_string(bytes_max));
  }
  return bytes;
}

Mapping::Mapping(Mapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  if (this == &other) return *this;
  if (data_ != nullptr) ::munmap(data_, size_);
  data_ = std::exchange(other.data_, nullptr);
  size_ = std::exchange(other.size_, 0);
  return *this;
}

Mapping::~Mapping() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

base::StatusOr<Mapping> Mapping::Map(int fd, uint64_t offset, size_t bytes, Protection protection) {
  RAYX_ASSIGN_OR_RETURN(const uint64_t file_bytes, CheckedFileBytes(fd));
  if (bytes == 0 || offset % kPageBytes != 0 || offset > file_bytes ||
      bytes > file_bytes - offset) {
    return InvalidMemory("mapping " + std::to_string(bytes) + " bytes at " +
                         std::to_string(offset) + " of a memory file of " +
                         std::to_string(file_bytes));
  }
  const int access = protection == Protection::kRead ? PROT_READ : PROT_READ | PROT_WRITE;
  void* data =
      ::mmap(nullptr, bytes, access, MAP_SHARED | MAP_NORESERVE, fd, static_cast<off_t>(offset));
  if (data == MAP_FAILED) return FromErrno(errno, "mmap of a memory file");
  Mapping mapping(static_cast<std::byte*>(data), bytes);
  if (::madvise(data, bytes, MADV_DONTFORK) != 0) return FromErrno(errno, "MADV_DONTFORK");
  return mapping;
}

base::StatusOr<Mapping> Mapping::MapWhole(int fd, Protection protection, size_t bytes_max) {
  RAYX_ASSIGN_OR_RETURN(const uint64_t bytes, CheckedFileBytes(fd, bytes_max));
  return Map(fd, 0, bytes, protection);
}

bool Mapping::Populate(size_t offset, size_t bytes) const {
  if (offset >= size_) return false;
  const size_t first = offset & ~(kPageBytes - 1);
  const size_t length = std::min(bytes + (offset - first), size_ - first);
  // Writing fails on a read-only mapping; reading needs Linux 5.14 as well.
  return ::madvise(data_ + first, length, MADV_POPULATE_WRITE) == 0 ||
         ::madvise(data_ + first, length, MADV_POPULATE_READ) == 0;
}

bool Mapping::GiveBack(size_t offset, size_t bytes) const {
  if (offset > size_ || bytes > size_ - offset) return false;
  const size_t first = (offset + kPageBytes - 1) & ~(kPageBytes - 1);
  const size_t end = (offset + bytes) & ~(kPageBytes - 1);
  return end <= first || ::madvise(data_ + first, end - first, MADV_REMOVE) == 0;
}

}  // namespace rayx::shm
