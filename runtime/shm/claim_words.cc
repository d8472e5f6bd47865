#include "shm/claim_words.h"

#include <algorithm>

namespace rayx::shm {

std::optional<uint32_t> ClaimTable::Reserve(uint64_t consumer_tail) {
  const auto size = static_cast<uint32_t>(words_.size());
  for (uint32_t probe = 0; probe < std::min(size, kProbesMax); ++probe) {
    const uint32_t slot = next_;
    const uint64_t end = frame_end_[slot];
    if (end == kFree || ClaimProtocol::Reusable(words_[slot], end <= consumer_tail)) return slot;
    next_ = next_ + 1 == size ? 0 : next_ + 1;
  }
  return std::nullopt;
}

void ClaimTable::Occupy(uint32_t slot, uint32_t cookie_sequence, uint64_t frame_end) {
  ClaimProtocol::Queue(words_[slot], cookie_sequence);
  frame_end_[slot] = frame_end;
  next_ = slot + 1 == words_.size() ? 0 : slot + 1;
}

}  // namespace rayx::shm
