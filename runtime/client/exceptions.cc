// Between exceptions and error records: CaptureException, ThrowError, RegisterException.
#include <cxxabi.h>

#include <any>
#include <cstdlib>
#include <functional>
#include <ios>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <shared_mutex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <typeinfo>
#include <unordered_map>
#include <utility>
#include <variant>

#include "rayx/errors.h"

namespace rayx::detail {
namespace {

std::string Spell(const std::type_info& type) {
  int status = 0;
  std::unique_ptr<char, void (*)(void*)> name(
      abi::__cxa_demangle(type.name(), nullptr, nullptr, &status), &std::free);
  return status == 0 && name != nullptr ? std::string(name.get()) : std::string(type.name());
}

struct KnownExceptions {
  std::shared_mutex mutex;
  std::unordered_map<std::string, ExceptionThrower> throwers;
};

template <class... E>
void AddAll(KnownExceptions& known) {
  (known.throwers.emplace(Spell(typeid(E)), &ThrowTaskErrorAs<E>), ...);
}

KnownExceptions& Known() {
  static KnownExceptions* known = [] {
    auto* made = new KnownExceptions;
    // std::exception itself cannot carry a sentence: a runtime_error that is one stands for it.
    AddAll<std::runtime_error, std::logic_error, std::invalid_argument, std::domain_error,
           std::length_error, std::out_of_range, std::range_error, std::overflow_error,
           std::underflow_error, std::bad_alloc, std::bad_array_new_length, std::bad_cast,
           std::bad_any_cast, std::bad_typeid, std::bad_function_call, std::bad_weak_ptr,
           std::bad_optional_access, std::bad_variant_access, std::bad_exception>(*made);
    return made;
  }();
  return *known;
}

ExceptionThrower FindThrower(const std::string& type_name) {
  KnownExceptions& known = Known();
  std::shared_lock lock(known.mutex);
  const auto found = known.throwers.find(type_name);
  return found == known.throwers.end() ? nullptr : found->second;
}

// The most derived class of the std:: family that the exception is.
template <class... E>
const std::type_info* FirstMatch(const std::exception& error) {
  const std::type_info* match = nullptr;
  ((match == nullptr && dynamic_cast<const E*>(&error) != nullptr ? match = &typeid(E) : nullptr),
   ...);
  return match;
}
std::string StandardBase(const std::exception& error) {
  const std::type_info* type =
      FirstMatch<std::invalid_argument, std::domain_error, std::length_error, std::out_of_range,
                 std::range_error, std::overflow_error, std::underflow_error, std::runtime_error,
                 std::logic_error, std::bad_alloc, std::bad_cast, std::bad_typeid>(error);
  return type == nullptr ? std::string() : Spell(*type);
}

ErrorRecord TaskErrorRecord(const std::type_info* type, std::string what) {
  ErrorRecord record;
  record.code = ErrorCode::kTaskError;
  record.type_name = type == nullptr ? "an exception of another language" : Spell(*type);
  record.message = record.type_name + (what.empty() ? "" : ": " + what);
  record.what = std::move(what);
  return record;
}

template <class E>
[[noreturn]] void Throw(const ErrorRecord& record) {
  throw E(record);
}

[[noreturn]] void ThrowTaskError(const ErrorRecord& record) {
  ExceptionThrower thrower = FindThrower(record.type_name);
  if (thrower == nullptr) thrower = FindThrower(record.base_name);
  if (thrower == nullptr) thrower = &ThrowTaskErrorAs<std::runtime_error>;
  thrower(record);
  std::abort();  // a thrower returns never
}

ExceptionThrower ThrowerOf(ErrorCode code) {
  static constexpr ExceptionThrower kThrowers[] = {
      nullptr,
      &ThrowTaskError,
      &Throw<WorkerDied>,
      &Throw<ActorDied>,
      &Throw<NodeDied>,
      &Throw<OwnerDied>,
      &Throw<ObjectLost>,
      &Throw<ObjectCorrupt>,
      &Throw<OutOfMemory>,
      &Throw<ObjectStoreFull>,
      &Throw<OutOfDisk>,
      &Throw<Timeout>,
      &Throw<Cancelled>,
      &Throw<Infeasible>,
      &Throw<TaskPoisoned>,
      &Throw<WouldDeadlock>,
      &Throw<UnknownFunction>,
      &Throw<MissingLibrary>,
      &Throw<LibraryMismatch>,
      &Throw<SerializationError>,
      &Throw<VersionMismatch>,
      &Throw<HeadUnavailable>,
      &Throw<Unauthenticated>,
      &Throw<ForkedProcess>,
      &Throw<InvalidOption>,
      &Throw<NotInitialized>,
      &Throw<NameTaken>,
  };
  const auto number = static_cast<std::size_t>(code);
  return number < std::size(kThrowers) ? kThrowers[number] : nullptr;
}

}  // namespace

void RegisterException(const std::type_info& type, ExceptionThrower thrower) {
  KnownExceptions& known = Known();
  std::unique_lock lock(known.mutex);
  known.throwers.insert_or_assign(Spell(type), thrower);
}

ErrorRecord CaptureException(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const Error& known) {
    return known.record();
  } catch (const std::exception& standard) {
    const char* what = standard.what();
    ErrorRecord record = TaskErrorRecord(&typeid(standard), what == nullptr ? "" : what);
    record.base_name = StandardBase(standard);
    return record;
  } catch (const std::string& text) {
    return TaskErrorRecord(&typeid(std::string), text);
  } catch (const char* text) {
    return TaskErrorRecord(&typeid(const char*), text == nullptr ? "" : text);
  } catch (...) {
    ErrorRecord record = TaskErrorRecord(abi::__cxa_current_exception_type(), "");
    record.what = "an object of type " + record.type_name + " was thrown";
    return record;
  }
}

void ThrowError(const ErrorRecord& record) {
  if (ExceptionThrower thrower = ThrowerOf(record.code); thrower != nullptr) thrower(record);
  ErrorRecord unknown = record;
  unknown.code = ErrorCode::kVersionMismatch;
  unknown.message = "A peer sent the error number " +
                    std::to_string(static_cast<int>(record.code)) +
                    ", which this release does not know: " + record.message;
  throw VersionMismatch(std::move(unknown));
}

}  // namespace rayx::detail
