#include "rayx/detail/ref_hold.h"

#include "model/ids.h"
#include "rayx/detail/runtime_interface.h"
#include "rayx/errors.h"

namespace rayx::detail {

RefHold::RefHold(const RawRef& counted) : raw_(counted), generation_(RuntimeGeneration()) {}

void RefHold::Retain() noexcept {
  RuntimeInterface* runtime = RuntimeOrNull();
  if (runtime != nullptr && generation_ == RuntimeGeneration()) runtime->Retain(raw_);
}

void RefHold::Release() noexcept {
  RuntimeInterface* runtime = RuntimeOrNull();
  if (runtime != nullptr && generation_ == RuntimeGeneration()) runtime->Release(raw_);
}

void RefHold::CheckAlive() const {
  if (generation_ == RuntimeGeneration()) return;
  throw NotInitialized("The rayx::ObjectRef " + Name() +
                       " belongs to a runtime that was shut down: it refers to nothing now.");
}

void RefHold::ThrowEmpty() {
  throw InvalidOption(
      "An empty rayx::ObjectRef was used: it was default-constructed or moved from.");
}

std::string RefHold::Name() const {
  if (empty()) return "";
  return model::ToString(model::ObjectId{model::ProcessId{raw_.owner}, raw_.sequence});
}

}  // namespace rayx::detail
