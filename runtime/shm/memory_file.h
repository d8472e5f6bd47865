// runtime/shm/memory_file.h
//
// Memory shared between processes: sealed memfds and their mappings.
// Owner:    the maker owns the descriptor, whoever maps owns its Mapping (unmapped by the
//           destructor).
// Threads:  any; a Mapping moves like a unique_ptr.
// Inputs:   descriptors from peers are checked before they are mapped: a memfd that cannot shrink
//           under us (F_SEAL_SHRINK), at least as large as what is mapped. So no access to a
//           mapping raises SIGBUS for its size, whatever the peer does later.
// Promises: mappings are shared, page-aligned, and absent in a forked child (MADV_DONTFORK).
// Limits:   files are sparse: a page costs memory from its first touch on. Mode 0600, not
//           executable, close-on-exec, named `memfd:rayx:<name>` in /proc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/fd.h"
#include "base/status.h"

namespace rayx::shm {

inline constexpr size_t kCacheLineBytes = 64;
inline constexpr size_t kPageBytes = 4096;
inline constexpr uint64_t kMemoryFileBytesMax = uint64_t{1} << 46;

// Every shared layout starts with this; a peer built from another layout is refused, not guessed
// at.
inline constexpr uint32_t kLayoutVersion = 4;  // digest d47a29a9bfe8586f

// A sparse memfd of `bytes` (rounded up to pages), sealed against shrinking, growing and more
// seals. Errors: InvalidArgument (size), ResourceExhausted (descriptors, memory), Unavailable.
base::StatusOr<base::UniqueFd> CreateMemoryFile(std::string_view name, uint64_t bytes);

// The size of a descriptor that may be mapped safely. Errors: InvalidArgument names what is missing
// (not a memory file, no seal against shrinking, longer than `bytes_max`).
base::StatusOr<uint64_t> CheckedFileBytes(int fd, uint64_t bytes_max = kMemoryFileBytesMax);

enum class Protection { kRead, kReadWrite };

class Mapping {
 public:
  Mapping() = default;
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping();

  // [offset, offset + bytes) of the file; `offset` a multiple of kPageBytes, `bytes` not zero.
  static base::StatusOr<Mapping> Map(int fd, uint64_t offset, size_t bytes, Protection protection);
  // The whole file, refused if longer than `bytes_max`.
  static base::StatusOr<Mapping> MapWhole(int fd, Protection protection, size_t bytes_max);

  std::byte* data() const { return data_; }
  size_t size() const { return size_; }
  std::span<std::byte> bytes() const { return {data_, size_}; }

  // Touches [offset, offset + bytes) ahead of use (first-touch faults cost 0.25-0.7 us a page).
  // A hint: false when the kernel would not, and then nothing is lost but time.
  bool Populate(size_t offset, size_t bytes) const;
  // The contrary: the whole pages of it hold zeros for everybody and cost no memory until they are
  // touched again. A hint; of a mapping that may be written to.
  bool GiveBack(size_t offset, size_t bytes) const;

 private:
  Mapping(std::byte* data, size_t size) : data_(data), size_(size) {}

  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace rayx::shm
