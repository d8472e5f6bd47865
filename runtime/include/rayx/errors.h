// The one list of errors.
//
// Purpose:  what RayX throws, and the numbers by which errors travel between processes.
// Threads:  values; copying does not throw.
// Promises: every exception that RayX throws is a std::exception and a rayx::Error. An exception
//           that the user's code threw remotely arrives as TaskErrorAs<E>, which is both E and
//           TaskError, where E is known here (the std:: family, RAYX_EXCEPTION); else as
//           TaskErrorAs of the nearest std:: base that it has. Numbers never change their meaning.
//
// Error is deliberately not derived from std::exception: TaskErrorAs<std::out_of_range> would then
// have std::exception twice, and `catch (const std::exception&)` would not catch it.
#ifndef RAYX_ERRORS_H_
#define RAYX_ERRORS_H_

#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

#include "rayx/detail/error_record.h"
#include "rayx/detail/visibility.h"

namespace rayx {

// What every error of RayX can say.
class RAYX_PUBLIC Error {
 public:
  virtual ~Error();
  // kTaskError for what a task threw; else it names the class.
  ErrorCode code() const noexcept { return record_->code; }
  // The whole story in one sentence: what failed, where, why.
  const std::string& message() const noexcept { return record_->message; }
  // message(), or for a TaskError what the task's exception said.
  virtual const char* what() const noexcept = 0;
  // For functions that take one: whatever is thrown is also a std::exception.
  operator const std::exception&() const noexcept;  // NOLINT: implicit, as from a derived class
  // Where it happened; 0 and "" when that is unknown or here:
  std::uint32_t node() const noexcept { return record_->node; }
  int pid() const noexcept { return record_->pid; }
  const std::string& host() const noexcept { return record_->host; }

  // The attempt of the task that failed, from 1; 0 when no task is concerned.
  std::uint32_t attempt() const noexcept { return record_->attempt; }
  const detail::ErrorRecord& record() const noexcept { return *record_; }

 protected:
  explicit Error(detail::ErrorRecord record);
  Error(const Error&) = default;
  Error& operator=(const Error&) = default;

 private:
  std::shared_ptr<const detail::ErrorRecord> record_;
};

// Base of every error but TaskError; never thrown itself.
class RAYX_PUBLIC Failure : public std::runtime_error, public Error {
 public:
  ~Failure() override;
  // message().
  const char* what() const noexcept override { return std::runtime_error::what(); }

 protected:
  explicit Failure(detail::ErrorRecord record);
  Failure(ErrorCode code, std::string message);
};

// An exception left a task or an actor's method. what() is what it said.
class RAYX_PUBLIC TaskError : public Error {
 public:
  ~TaskError() override;
  // The type of the exception as its program spells it: "std::out_of_range", "app::BadInput".
  const std::string& type_name() const noexcept { return record().type_name; }

 protected:
  using Error::Error;
};

namespace detail {
template <class E>
E MakeException(const std::string& what) {
  if constexpr (std::is_constructible_v<E, const std::string&>) {
    return E(what);
  } else if constexpr (std::is_constructible_v<E, const char*>) {
    return E(what.c_str());
  } else {
    static_assert(
        std::is_default_constructible_v<E>,
        "RAYX_EXCEPTION(E): E must be constructible from a std::string, or from nothing.");
    return E();
  }
}
struct NoBase {};
}  // namespace detail

// What is thrown for a TaskError: E itself and TaskError. E must not be final.
template <class E>
class RAYX_PUBLIC TaskErrorAs : public E,
                                public TaskError,
                                public std::conditional_t<std::is_base_of_v<std::exception, E>,
                                                          detail::NoBase, std::exception> {
  static_assert(
      !std::is_base_of_v<Error, E>,
      "RAYX_EXCEPTION(E): E must not derive from rayx::Error; those travel by themselves.");

 public:
  explicit TaskErrorAs(detail::ErrorRecord record)
      : E(detail::MakeException<E>(record.what)), TaskError(std::move(record)) {}
  // What the exception said where it was thrown.
  const char* what() const noexcept override { return record().what.c_str(); }
};

// The process that ran the task ended: by a signal, or by exit.
class RAYX_PUBLIC WorkerDied : public Failure {
 public:
  explicit WorkerDied(detail::ErrorRecord record);
  ~WorkerDied() override;
  int signal() const noexcept { return record().signal; }        // 0: it exited
  int exit_code() const noexcept { return record().exit_code; }  // when signal() is 0
  // The last lines that it wrote to stderr.
  const std::vector<std::string>& log_lines() const noexcept { return record().log_lines; }

 protected:
  WorkerDied(ErrorCode code, std::string message) : Failure(code, std::move(message)) {}
};

// The actor is gone: killed, ended, its process died, its factory threw or returned null.
class RAYX_PUBLIC ActorDied : public Failure {
 public:
  explicit ActorDied(detail::ErrorRecord record);
  // Of a cause that is no process's death.
  explicit ActorDied(std::string message) : Failure(ErrorCode::kActorDied, std::move(message)) {}
  ~ActorDied() override;
  // Of its process, as for WorkerDied, when that is what died:
  int signal() const noexcept { return record().signal; }
  int exit_code() const noexcept { return record().exit_code; }
  const std::vector<std::string>& log_lines() const noexcept { return record().log_lines; }
};

#define RAYX_DECLARE_KIND(Name, Base)                                                    \
  class RAYX_PUBLIC Name : public ::rayx::Base {                                         \
   public:                                                                               \
    explicit Name(::rayx::detail::ErrorRecord record);                                   \
    explicit Name(std::string message) : Base(ErrorCode::k##Name, std::move(message)) {} \
    ~Name() override;                                                                    \
                                                                                         \
   protected:                                                                            \
    Name(ErrorCode code, std::string message) : Base(code, std::move(message)) {}        \
  }
#define RAYX_DECLARE_FAILURE(Name) RAYX_DECLARE_KIND(Name, Failure)

RAYX_DECLARE_FAILURE(NodeDied);            // the VM was declared dead
RAYX_DECLARE_FAILURE(ObjectLost);          // every copy is gone and it could not be rebuilt
RAYX_DECLARE_FAILURE(OutOfMemory);         // memory or descriptors ran out; names of what
RAYX_DECLARE_FAILURE(ObjectStoreFull);     // no room in the object store (nothing is spilled)
RAYX_DECLARE_FAILURE(OutOfDisk);           // of a VM: no room for a program's parts, a checkpoint
RAYX_DECLARE_FAILURE(Timeout);             // the given time passed; names what is missing
RAYX_DECLARE_FAILURE(Cancelled);           // its job has ended
RAYX_DECLARE_FAILURE(Infeasible);          // no node could ever run it; says what is missing
RAYX_DECLARE_FAILURE(WouldDeadlock);       // an actor waits for a call to itself
RAYX_DECLARE_FAILURE(UnknownFunction);     // the receiving program has no such function
RAYX_DECLARE_FAILURE(MissingLibrary);      // a VM lacks a library of the program
RAYX_DECLARE_FAILURE(LibraryMismatch);     // a VM has another build of it
RAYX_DECLARE_FAILURE(SerializationError);  // bytes that are no value of the type; values too deep
RAYX_DECLARE_FAILURE(VersionMismatch);     // two releases of RayX met
RAYX_DECLARE_FAILURE(HeadUnavailable);     // the head does not answer
RAYX_DECLARE_FAILURE(Unauthenticated);     // no token, or a wrong one
RAYX_DECLARE_FAILURE(ForkedProcess);       // the API was called in a fork of the process
RAYX_DECLARE_FAILURE(InvalidOption);       // a wrong option, address, flag, name or argument
RAYX_DECLARE_FAILURE(NotInitialized);      // before Init or after Shutdown
RAYX_DECLARE_FAILURE(NameTaken);           // an actor of that name lives

// Of those above:
RAYX_DECLARE_KIND(OwnerDied, ObjectLost);      // the process that owned the object is gone
RAYX_DECLARE_KIND(ObjectCorrupt, ObjectLost);  // checksum mismatch and no other copy
RAYX_DECLARE_KIND(TaskPoisoned, WorkerDied);   // every attempt killed its worker: of the last

#undef RAYX_DECLARE_FAILURE
#undef RAYX_DECLARE_KIND

namespace detail {
template <class E>
[[noreturn]] void ThrowTaskErrorAs(const ErrorRecord& record) {
  throw TaskErrorAs<E>(record);
}
template <class E>
bool RegisterExceptionType() {
  RegisterException(typeid(E), &ThrowTaskErrorAs<E>);
  return true;
}
}  // namespace detail
}  // namespace rayx

#define RAYX_ERRORS_CONCAT_INNER(a, b) a##b
#define RAYX_ERRORS_CONCAT(a, b) RAYX_ERRORS_CONCAT_INNER(a, b)

// RAYX_EXCEPTION(app::BadInput); at namespace scope: an exception of this type that is thrown in a
// task is an app::BadInput (and a rayx::TaskError) where its result is read.
#define RAYX_EXCEPTION(E)                                                                       \
  [[maybe_unused]] static const bool RAYX_ERRORS_CONCAT(rayx_exception_registered_, __LINE__) = \
      ::rayx::detail::RegisterExceptionType<E>()

#endif  // RAYX_ERRORS_H_
