// The exception classes of rayx/errors.h.
#include "rayx/errors.h"

#include <utility>

namespace rayx {

const char* ErrorName(ErrorCode code) noexcept {
  static constexpr const char* kNames[] = {
      "no error",        "TaskError",       "WorkerDied",      "ActorDied",
      "NodeDied",        "OwnerDied",       "ObjectLost",      "ObjectCorrupt",
      "OutOfMemory",     "ObjectStoreFull", "OutOfDisk",       "Timeout",
      "Cancelled",       "Infeasible",      "TaskPoisoned",    "WouldDeadlock",
      "UnknownFunction", "MissingLibrary",  "LibraryMismatch", "SerializationError",
      "VersionMismatch", "HeadUnavailable", "Unauthenticated", "ForkedProcess",
      "InvalidOption",   "NotInitialized",  "NameTaken"};
  const auto number = static_cast<std::size_t>(code);
  return number < std::size(kNames) ? kNames[number] : "unknown error";
}

namespace {
detail::ErrorRecord RecordOf(ErrorCode code, std::string message) {
  detail::ErrorRecord record;
  record.code = code;
  record.message = std::move(message);
  return record;
}
}  // namespace

Error::Error(detail::ErrorRecord record)
    : record_(std::make_shared<const detail::ErrorRecord>(std::move(record))) {}
Error::~Error() = default;
Error::operator const std::exception&() const noexcept {
  return dynamic_cast<const std::exception&>(*this);
}

Failure::Failure(detail::ErrorRecord record)
    : std::runtime_error(record.message), Error(std::move(record)) {}
Failure::Failure(ErrorCode code, std::string message)
    : std::runtime_error(message), Error(RecordOf(code, std::move(message))) {}
Failure::~Failure() = default;
TaskError::~TaskError() = default;

#define RAYX_DEFINE_KIND(Name, Base)                                  \
  Name::Name(detail::ErrorRecord record) : Base(std::move(record)) {} \
  Name::~Name() = default;
#define RAYX_DEFINE_FAILURE(Name) RAYX_DEFINE_KIND(Name, Failure)

RAYX_DEFINE_FAILURE(WorkerDied)
RAYX_DEFINE_FAILURE(ActorDied)
RAYX_DEFINE_FAILURE(NodeDied)
RAYX_DEFINE_KIND(OwnerDied, ObjectLost)
RAYX_DEFINE_FAILURE(ObjectLost)
RAYX_DEFINE_KIND(ObjectCorrupt, ObjectLost)
RAYX_DEFINE_FAILURE(OutOfMemory)
RAYX_DEFINE_FAILURE(ObjectStoreFull)
RAYX_DEFINE_FAILURE(OutOfDisk)
RAYX_DEFINE_FAILURE(Timeout)
RAYX_DEFINE_FAILURE(Cancelled)
RAYX_DEFINE_FAILURE(Infeasible)
RAYX_DEFINE_KIND(TaskPoisoned, WorkerDied)
RAYX_DEFINE_FAILURE(WouldDeadlock)
RAYX_DEFINE_FAILURE(UnknownFunction)
RAYX_DEFINE_FAILURE(MissingLibrary)
RAYX_DEFINE_FAILURE(LibraryMismatch)
RAYX_DEFINE_FAILURE(SerializationError)
RAYX_DEFINE_FAILURE(VersionMismatch)
RAYX_DEFINE_FAILURE(HeadUnavailable)
RAYX_DEFINE_FAILURE(Unauthenticated)
RAYX_DEFINE_FAILURE(ForkedProcess)
RAYX_DEFINE_FAILURE(InvalidOption)
RAYX_DEFINE_FAILURE(NotInitialized)
RAYX_DEFINE_FAILURE(NameTaken)

}  // namespace rayx
