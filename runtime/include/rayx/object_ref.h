// References to objects: what a remote call returns at once, and what Get waits for.
//
// Threads:  an ObjectRef is a value; using a const one from several threads at once is fine.
// Promises: the object stays as long as a reference to it is held anywhere in the cluster.
//           References may be copied, moved, compared, hashed, put into containers, passed to and
//           returned from tasks, and may outlive Shutdown (using them then throws NotInitialized).
//           A Get of a failed call throws the error of the call (errors.h).
// Limits:   times are milliseconds; a negative one, the default, waits for ever.
#ifndef RAYX_OBJECT_REF_H_
#define RAYX_OBJECT_REF_H_

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <iterator>
#include <list>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "rayx/detail/ref_hold.h"
#include "rayx/detail/runtime_interface.h"
#include "rayx/detail/value_batch.h"
#include "rayx/serialize.h"

namespace rayx {

// To an object of type T, which may not be there yet.
template <class T>
class ObjectRef {
 public:
  using Type = T;
  // What Get gives: std::shared_ptr<T>, or nothing for a function without result.
  using Value = std::conditional_t<std::is_void_v<T>, void, std::shared_ptr<T>>;

  // Refers to nothing: using it throws InvalidOption.
  ObjectRef() = default;
  explicit ObjectRef(detail::RefHold hold) : hold_(std::move(hold)) {}

  // Waits for the value. Throws its error, or Timeout. The pointer has to outlive what is read
  // through it: `for (auto& x : *ref.Get())` reads what has been freed.
  Value Get(int timeout_ms = -1) const {
    detail::Fetched value;
    detail::Runtime().Get(&hold_.Use(), 1, detail::Milliseconds(timeout_ms), &value);
    if constexpr (!std::is_void_v<T>) {
      return std::make_shared<T>(detail::UnpackValue<T>(value, hold_.raw()));
    }
  }

  // Whether it refers to anything.
  explicit operator bool() const noexcept { return !hold_.empty(); }
  // As `rayx list objects` shows it.
  std::string ID() const { return hold_.Name(); }
  const detail::RefHold& hold() const noexcept { return hold_; }

  friend bool operator==(const ObjectRef& a, const ObjectRef& b) {
    return a.hold_.raw() == b.hold_.raw();
  }
  friend bool operator!=(const ObjectRef& a, const ObjectRef& b) { return !(a == b); }
  friend bool operator<(const ObjectRef& a, const ObjectRef& b) {
    return std::pair(a.hold_.raw().owner, a.hold_.raw().sequence) <
           std::pair(b.hold_.raw().owner, b.hold_.raw().sequence);
  }

 private:
  detail::RefHold hold_;
};

// What of the references was there when Wait returned.
template <class T>
struct WaitResult {
  std::list<ObjectRef<T>> ready;
  std::list<ObjectRef<T>> unready;
};

// Stores a value; the calling process owns it.
template <class T>
ObjectRef<T> Put(const T& value) {
  const detail::Packed packed = detail::PackValue(value);
  return ObjectRef<T>(detail::RefHold(detail::Runtime().Put(packed)));
}

// A literal: its text.
inline ObjectRef<std::string> Put(const char* text) {
  return Put(std::string(text));
}

// ref.Get(timeout_ms).
template <class T>
typename ObjectRef<T>::Value Get(const ObjectRef<T>& ref, int timeout_ms = -1) {
  return ref.Get(timeout_ms);
}

// Waits for all, in order; throws the error of the first that failed. The time is for all together.
// Small plain values (numbers) share memory, 1 KiB at most: it is freed with the last of them.
template <class T>
auto Get(const std::vector<ObjectRef<T>>& refs, int timeout_ms = -1) {
  std::vector<detail::RawRef> raw;
  raw.reserve(refs.size());
  for (const ObjectRef<T>& ref : refs) raw.push_back(ref.hold().Use());
  std::vector<detail::Fetched> fetched(refs.size());
  detail::Runtime().Get(raw.data(), raw.size(), detail::Milliseconds(timeout_ms), fetched.data());
  if constexpr (!std::is_void_v<T>) {
    std::vector<std::shared_ptr<T>> values;
    values.reserve(refs.size());
    [[maybe_unused]] detail::ValueBatch<T> batch;
    for (std::size_t i = 0; i < refs.size(); ++i) {
      if constexpr (detail::ValueBatch<T>::kFits) {
        values.push_back(batch.Add(detail::UnpackValue<T>(fetched[i], raw[i])));
      } else {
        values.push_back(std::make_shared<T>(detail::UnpackValue<T>(fetched[i], raw[i])));
      }
      fetched[i] = {};
    }
    return values;
  }
}

namespace detail {
// What is there is taken out of `refs`, the rest with it; unchanged if it throws.
template <class T>
WaitResult<T> WaitFor(std::list<ObjectRef<T>>& refs, int num_objects, int timeout_ms) {
  const std::size_t count = refs.size();
  const std::size_t asked =
      num_objects < 0 ? std::size_t{0} : static_cast<std::size_t>(num_objects);
  const std::size_t wanted = asked < count ? asked : count;
  std::vector<RawRef> raw;
  std::vector<bool> ready;
  const auto look = [&](std::size_t first, Milliseconds timeout) {
    raw.clear();
    raw.reserve(first);
    for (auto ref = refs.begin(); raw.size() < first; ++ref) raw.push_back(ref->hold().Use());
    ready.assign(first, false);
    Runtime().Wait(raw.data(), first, wanted < first ? wanted : first, timeout, ready);
    return static_cast<std::size_t>(std::count(ready.begin(), ready.end(), true)) >= wanted;
  };
  // Who takes one after another out of many finds it near the front.
  constexpr std::size_t kAhead = 8;
  if (wanted + kAhead >= count || !look(wanted + kAhead, Milliseconds(0))) {
    look(count, Milliseconds(timeout_ms));
  }
  WaitResult<T> result;
  auto ref = refs.begin();
  for (std::size_t i = 0; i < ready.size() && result.ready.size() < wanted; ++i) {
    const auto next = std::next(ref);
    if (ready[i]) result.ready.splice(result.ready.end(), refs, ref);
    ref = next;
  }
  result.unready = std::move(refs);
  return result;
}
}  // namespace detail

// Waits until num_objects of refs are there (values or errors) or the time is over; never throws an
// object's error. `ready` has num_objects of those that are there at most, the first ones, so none
// for 0; both lists keep the order of refs.
template <class T>
WaitResult<T> Wait(const std::vector<ObjectRef<T>>& refs, int num_objects, int timeout_ms) {
  for (const ObjectRef<T>& ref : refs) ref.hold().Use();
  std::list<ObjectRef<T>> all(refs.begin(), refs.end());
  return detail::WaitFor(all, num_objects, timeout_ms);
}
template <class T>
WaitResult<T> Wait(const std::list<ObjectRef<T>>& refs, int num_objects, int timeout_ms) {
  for (const ObjectRef<T>& ref : refs) ref.hold().Use();
  std::list<ObjectRef<T>> all(refs);
  return detail::WaitFor(all, num_objects, timeout_ms);
}
// Nothing is copied, and few are looked at where the first ones are there: for what was `unready`
// the last time. An empty reference behind those is not noticed.
template <class T>
WaitResult<T> Wait(std::list<ObjectRef<T>>&& refs, int num_objects, int timeout_ms) {
  return detail::WaitFor(refs, num_objects, timeout_ms);
}

template <class T>
struct Serializer<ObjectRef<T>> {
  static void Pack(Packer& packer, const ObjectRef<T>& ref) {
    packer.Reference(ref.hold().empty() ? detail::RawRef() : ref.hold().Use());
  }
  static ObjectRef<T> Unpack(Unpacker& unpacker) {
    const detail::RawRef raw = unpacker.Reference();
    return raw.owner == 0 ? ObjectRef<T>() : ObjectRef<T>(detail::RefHold(raw));
  }
};

}  // namespace rayx

template <class T>
struct std::hash<rayx::ObjectRef<T>> {
  std::size_t operator()(const rayx::ObjectRef<T>& ref) const noexcept {
    const rayx::detail::RawRef& raw = ref.hold().raw();
    return static_cast<std::size_t>((raw.owner * 0x9e3779b97f4a7c15ULL) ^
                                    (raw.sequence * 0xc2b2ae3d27d4eb4fULL));
  }
};

#endif  // RAYX_OBJECT_REF_H_
