// Values that came by one Get, a few to an allocation.
//
// Purpose:  Get of thousands of numbers allocates once for dozens of them, not once for each.
// Owner:    the call that fills it; the pointers it gave own the values, and live without it.
// Threads:  one; the pointers as any shared_ptr.
// Promises: a value's destructor runs never (it has none worth running: see kFits); its memory is
//           freed with the last pointer to any of its batch.
// Limits:   what one pointer keeps from being freed: kBytes.
#ifndef RAYX_DETAIL_VALUE_BATCH_H_
#define RAYX_DETAIL_VALUE_BATCH_H_

#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace rayx::detail {

template <class T>
class ValueBatch {
 public:
  static constexpr std::size_t kBytes = 1024;
  // Worth it, and possible without running destructors.
  static constexpr bool kFits = std::is_trivially_destructible_v<T> && sizeof(T) <= kBytes / 8;

  std::shared_ptr<T> Add(T&& value) {
    if (used_ == kCount) {
      block_ = std::make_shared<Block>();
      used_ = 0;
    }
    void* const room = block_->bytes + used_++ * sizeof(T);
    T* const at = ::new (room) T(std::move(value));
    return std::shared_ptr<T>(block_, at);
  }

 private:
  static constexpr std::size_t kCount = kBytes / sizeof(T);
  struct Block {
    alignas(T) std::byte bytes[kCount * sizeof(T)];
  };

  std::shared_ptr<Block> block_;
  std::size_t used_ = kCount;
};

}  // namespace rayx::detail

#endif  // RAYX_DETAIL_VALUE_BATCH_H_
