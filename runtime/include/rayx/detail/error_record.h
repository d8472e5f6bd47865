// An error as plain data: what travels, mirrored by proto ErrorInfo.
//
// Purpose:  one form of an error between the exceptions of errors.h and the runtime behind the
//           door.
// Threads:  CaptureException, ThrowError and RegisterException from any thread.
#ifndef RAYX_DETAIL_ERROR_RECORD_H_
#define RAYX_DETAIL_ERROR_RECORD_H_

#include <cstdint>
#include <exception>
#include <string>
#include <typeinfo>
#include <vector>

#include "rayx/detail/visibility.h"

namespace rayx {

// The number of an error on the wire: fixed for ever; a new error takes a new number.
enum class ErrorCode : std::int32_t {
  kNone = 0,
  kTaskError = 1,
  kWorkerDied = 2,
  kActorDied = 3,
  kNodeDied = 4,
  kOwnerDied = 5,
  kObjectLost = 6,
  kObjectCorrupt = 7,
  kOutOfMemory = 8,
  kObjectStoreFull = 9,
  kOutOfDisk = 10,
  kTimeout = 11,
  kCancelled = 12,
  kInfeasible = 13,
  kTaskPoisoned = 14,
  kWouldDeadlock = 15,
  kUnknownFunction = 16,
  kMissingLibrary = 17,
  kLibraryMismatch = 18,
  kSerializationError = 19,
  kVersionMismatch = 20,
  kHeadUnavailable = 21,
  kUnauthenticated = 22,
  kForkedProcess = 23,
  kInvalidOption = 24,
  kNotInitialized = 25,
  kNameTaken = 26,
};

// "WorkerDied"; "unknown error" for a number that is none of the list.
RAYX_PUBLIC const char* ErrorName(ErrorCode code) noexcept;

namespace detail {

struct ErrorRecord {
  ErrorCode code = ErrorCode::kNone;
  std::string message;    // one sentence for a person
  std::string type_name;  // kTaskError: type of the user's exception
  std::string base_name;  // kTaskError: its nearest base of the std:: family, "" when it has none
  std::string what;       // kTaskError: what it said
  int signal = 0;         // kWorkerDied, kActorDied
  int exit_code = 0;
  std::vector<std::string> log_lines;
  std::uint32_t node = 0;  // where it happened
  int pid = 0;
  std::string host;
  std::uint32_t attempt = 0;  // the attempt that failed, from 1
};

// Throws the type of errors.h that the record names; an unknown code, which only another
// release can have sent, becomes VersionMismatch.
[[noreturn]] RAYX_PUBLIC void ThrowError(const ErrorRecord& record);

// What left the user's code, as data: a rayx::Error keeps its record, anything else is kTaskError.
// Fills in neither place nor attempt: the executor knows them.
RAYX_PUBLIC ErrorRecord CaptureException(const std::exception_ptr& error);

using ExceptionThrower = void (*)(const ErrorRecord& record);
RAYX_PUBLIC void RegisterException(const std::type_info& type, ExceptionThrower thrower);

}  // namespace detail
}  // namespace rayx

#endif  // RAYX_DETAIL_ERROR_RECORD_H_
