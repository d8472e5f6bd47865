// One hold on an object: the untyped inside of rayx::ObjectRef.
//
// Owner:    whoever has it; copying takes another hold, the destructor gives it back.
// Threads:  a const RefHold may be used and copied by several threads at once.
// Promises: outlives the runtime it came from: it then does nothing, and Use() throws
//           NotInitialized.
#ifndef RAYX_DETAIL_REF_HOLD_H_
#define RAYX_DETAIL_REF_HOLD_H_

#include <cstdint>
#include <string>
#include <utility>

#include "rayx/detail/packed.h"
#include "rayx/detail/visibility.h"

namespace rayx::detail {

class RAYX_PUBLIC RefHold {
 public:
  RefHold() = default;
  // Takes over a hold that the runtime has counted already.
  explicit RefHold(const RawRef& counted);
  RefHold(const RefHold& other) : raw_(other.raw_), generation_(other.generation_) {
    if (raw_.owner != 0) Retain();
  }
  RefHold(RefHold&& other) noexcept
      : raw_(std::exchange(other.raw_, RawRef())), generation_(other.generation_) {}
  RefHold& operator=(RefHold other) noexcept {
    std::swap(raw_, other.raw_);
    std::swap(generation_, other.generation_);
    return *this;
  }
  ~RefHold() {
    if (raw_.owner != 0) Release();
  }

  bool empty() const noexcept { return raw_.owner == 0; }
  const RawRef& raw() const noexcept { return raw_; }
  // The id for a call of the runtime. Throws InvalidOption when empty, NotInitialized when its
  // runtime is gone.
  const RawRef& Use() const {
    if (raw_.owner == 0) ThrowEmpty();
    CheckAlive();
    return raw_;
  }
  std::string Name() const;  // "n1.p2.o3"; "" when empty

 private:
  void Retain() noexcept;
  void Release() noexcept;
  void CheckAlive() const;
  [[noreturn]] static void ThrowEmpty();

  RawRef raw_;
  std::uint32_t generation_ = 0;  // of the runtime that counted it
};

}  // namespace rayx::detail

#endif  // RAYX_DETAIL_REF_HOLD_H_
