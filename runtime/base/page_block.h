// runtime/base/page_block.h
//
// Large blocks of memory for tables that grow without bound: huge pages where the system gives
// them, so that the first touch of a million entries does not cost a fault every 4 KiB.
// Owner:    whoever allocates.             Threads: any.
// Promises: zeroed by the kernel, aligned to kHugePageBytes; std::bad_alloc when there is none.
#pragma once

#include <cstddef>
#include <memory>

namespace rayx::base {

inline constexpr size_t kHugePageBytes = size_t{2} << 20;

struct FreePages {
  size_t bytes = 0;
  void operator()(std::byte* block) const;
};
using PageBlock = std::unique_ptr<std::byte[], FreePages>;

// `bytes`: a multiple of kHugePageBytes.
PageBlock NewPageBlock(size_t bytes);

}  // namespace rayx::base
