#include "shm/claim_words.h"

#include <algorithm>

namespace rayx::shm {
namespace {

constexpr uint32_t kWordsALine = kCacheLineBytes / sizeof(uint64_t);

}  // namespace

bool ClaimTable::Reserve(uint32_t& slot) {
  const auto size = static_cast<uint32_t>(words_.size());
  for (uint32_t probe = 0; probe < std::min(size, kProbesMax); ++probe) {
    const uint32_t index = next_;
    if (uses_[index] == 0 || ClaimProtocol::Reusable(words_[index])) {
      slot = uses_[index] << index_bits_ | index;
      return true;
    }
    next_ = (next_ + 1) & (size - 1);
  }
  return false;
}

void ClaimTable::Queue(uint32_t slot, uint32_t cookie_sequence) {
  const auto size = static_cast<uint32_t>(words_.size());
  const uint32_t index = slot & (size - 1);
  ClaimProtocol::Queue(words_[index], TagOf(slot, cookie_sequence));
  ++uses_[index];
  next_ = (index + 1) & (size - 1);
  if (next_ % kWordsALine == 0) Prefetch();
}

}  // namespace rayx::shm
