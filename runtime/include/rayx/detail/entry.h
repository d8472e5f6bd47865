// From a function to its entry in the registry: what the executor calls.
//
// Purpose:  unpack the arguments, call, pack the result; one instantiation a function.
// Promises: arguments are unpacked left to right. Whatever the function or the serializer throws
//           leaves the invoker: the executor captures it (CaptureException).
#ifndef RAYX_DETAIL_ENTRY_H_
#define RAYX_DETAIL_ENTRY_H_

#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "rayx/detail/function_id.h"
#include "rayx/detail/function_traits.h"
#include "rayx/detail/result_parts.h"
#include "rayx/detail/runtime_interface.h"
#include "rayx/serialize.h"

namespace rayx::detail {

[[noreturn]] RAYX_PUBLIC void ThrowArgumentCount(std::size_t expected, std::size_t given);

// A parameter P out of the unpacked value: moved, unless P is a reference to const.
template <class P>
decltype(auto) Pass(ValueOf<P>& value) {
  if constexpr (std::is_lvalue_reference_v<P>) {
    return static_cast<const ValueOf<P>&>(value);
  } else {
    return static_cast<ValueOf<P>&&>(value);
  }
}

template <class List>
struct Caller;
template <class... P>
struct Caller<TypeList<P...>> {
  template <class Call>
  static auto With(const Arguments& arguments, Call&& call) {
    if (arguments.size() != sizeof...(P)) ThrowArgumentCount(sizeof...(P), arguments.size());
    return Apply(arguments, call, std::index_sequence_for<P...>());
  }

 private:
  template <class Call, std::size_t... I>
  static auto Apply([[maybe_unused]] const Arguments& arguments, Call& call,
                    std::index_sequence<I...>) {
    [[maybe_unused]] std::tuple<ValueOf<P>...> values{UnpackValue<ValueOf<P>>(arguments[I])...};
    return call(Pass<P>(std::get<I>(values))...);
  }
};

// Calls and packs while the arguments live: a function may return a reference to one of them.
template <class R, class Call>
void CallAndEmit(ResultSink& results, Call&& call) {
  const std::size_t parts = results.count_wanted();
  if (parts != 0 && !ResultParts<R>::kHasParts) ThrowPartCount(parts, 1);
  Packed packed;
  Packer packer(packed);
  if constexpr (std::is_void_v<R>) {
    call();
    packer.Nil();
    results.Emit(0, packed);
  } else {
    const R& result = call();  // lives until it was emitted: `packed` looks into it
    if constexpr (ResultParts<R>::kHasParts) {
      if (parts != 0) return EmitParts<R>(result, parts, results);
    }
    packer.Pack(result);
    results.Emit(0, packed);
  }
}

template <auto F>
void InvokeTask(const Arguments& arguments, ResultSink& results) {
  using Traits = FunctionTraits<decltype(F)>;
  Caller<typename Traits::Parameters>::With(arguments, [&](auto&&... values) {
    CallAndEmit<typename Traits::Result>(results, [&]() -> typename Traits::Returned {
      return F(static_cast<decltype(values)>(values)...);
    });
  });
}

template <auto F>
std::shared_ptr<void> InvokeFactory(const Arguments& arguments) {
  using Traits = FunctionTraits<decltype(F)>;
  using T = typename MadeBy<typename Traits::Result>::Type;
  return Caller<typename Traits::Parameters>::With(arguments, [](auto&&... values) {
    return std::shared_ptr<T>(F(static_cast<decltype(values)>(values)...));
  });
}

// T: the class of the actor, whose base declares the method, perhaps.
template <class T, auto F>
void InvokeMethod(void* self, const Arguments& arguments, ResultSink& results) {
  using Traits = FunctionTraits<decltype(F)>;
  Caller<typename Traits::Parameters>::With(arguments, [&](auto&&... values) {
    CallAndEmit<typename Traits::Result>(results, [&]() -> typename Traits::Returned {
      return (static_cast<T*>(self)->*F)(static_cast<decltype(values)>(values)...);
    });
  });
}

// --- ids and entries of the three kinds
// ------------------------------------------------------------

inline constexpr std::string_view kFactoryTag = "actor factory";

template <auto F>
constexpr std::uint64_t TaskId(std::string_view file = {}) {
  return HashFunction(TextOf<F>(), file, {});
}
template <auto F>
constexpr std::uint64_t FactoryId(std::string_view file = {}) {
  return HashFunction(TextOf<F>(), file, kFactoryTag);
}
template <class T, auto F>
constexpr std::uint64_t MethodId(std::string_view file = {}) {
  if constexpr (std::is_same_v<typename FunctionTraits<decltype(F)>::Class, T>) {
    return HashFunction(TextOf<F>(), file, {});
  } else {
    return HashFunction(TextOf<F>(), file, TypeName<T>());
  }
}

template <auto F>
FunctionEntry TaskEntry(std::string_view file = {}) {
  FunctionEntry entry;
  entry.id = TaskId<F>(file);
  entry.name = DisplayName(TextOf<F>());
  entry.task = &InvokeTask<F>;
  return entry;
}
template <auto F>
FunctionEntry FactoryEntry(std::string_view file = {}) {
  FunctionEntry entry;
  entry.id = FactoryId<F>(file);
  entry.name = DisplayName(TextOf<F>());
  entry.factory = &InvokeFactory<F>;
  return entry;
}
template <class T, auto F>
FunctionEntry MethodEntry(std::string_view file = {}) {
  FunctionEntry entry;
  entry.id = MethodId<T, F>(file);
  entry.name = DisplayName(TextOf<F>());
  entry.method = &InvokeMethod<T, F>;
  return entry;
}

// A static member of a template is initialised before main when something names it: that is how
// Task<&f>() registers f in every program that contains the call, whether or not it is reached.
template <auto F>
struct RegisteredTask {
  static inline const bool done = (RegisterFunction(TaskEntry<F>()), true);
};
template <auto F>
struct RegisteredFactory {
  static inline const bool done = (RegisterFunction(FactoryEntry<F>()), true);
};
template <class T, auto F>
struct RegisteredMethod {
  static inline const bool done = (RegisterFunction(MethodEntry<T, F>()), true);
};

// --- from a pointer to an id, for Task(f), Actor(f), handle.Task(&C::m)
// ------------------------------

// A pointer as the registry keys it: its type and its bytes.
struct PointerKey {
  std::uint64_t type = 0;
  std::uint64_t bytes[2] = {0, 0};
  friend bool operator==(const PointerKey& a, const PointerKey& b) {
    return a.type == b.type && a.bytes[0] == b.bytes[0] && a.bytes[1] == b.bytes[1];
  }
};
RAYX_PUBLIC void RegisterPointer(const PointerKey& key, std::uint64_t id);
// Throws UnknownFunction with the given advice.
RAYX_PUBLIC std::uint64_t FindPointer(const PointerKey& key, const char* spelling,
                                      std::string_view signature);

template <class F>
PointerKey KeyOf(F pointer, bool factory) {
  static_assert(sizeof(F) <= sizeof(PointerKey::bytes));
  PointerKey key;
  key.type = kTypeHash<F> + (factory ? 1 : 0);
  std::memcpy(key.bytes, &pointer, sizeof(F));
  return key;
}

// FindPointer, with the last answer for this type of function kept.
template <class F, bool kFactory>
std::uint64_t IdOfPointer(F pointer, const char* spelling) {
  thread_local F last = nullptr;
  thread_local std::uint64_t last_id = 0;
  if (pointer != last || last_id == 0) {
    last_id = FindPointer(KeyOf(pointer, kFactory), spelling, TypeName<F>());
    last = pointer;
  }
  return last_id;
}

}  // namespace rayx::detail

#endif  // RAYX_DETAIL_ENTRY_H_
