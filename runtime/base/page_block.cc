#include "base/page_block.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>

namespace rayx::base {

void FreePages::operator()(std::byte* block) const {
  ::munmap(block, bytes);
}

PageBlock NewPageBlock(size_t bytes) {
  // One huge page more, and what lies before and behind the aligned part is given back.
  const size_t mapped = bytes + kHugePageBytes;
  void* const map =
      ::mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (map == MAP_FAILED) throw std::bad_alloc();
  auto* const begin = static_cast<std::byte*>(map);
  const size_t before =
      (kHugePageBytes - reinterpret_cast<uintptr_t>(begin) % kHugePageBytes) % kHugePageBytes;
  if (before > 0) ::munmap(begin, before);
  ::munmap(begin + before + bytes, kHugePageBytes - before);
  ::madvise(begin + before, bytes, MADV_HUGEPAGE);  // a wish
  return PageBlock(begin + before, FreePages{bytes});
}

}  // namespace rayx::base
