// Ray's exceptions: the errors of rayx/errors.h by Ray's names.
//
// Purpose:  a program that catches what Ray throws catches the same here.
// Promises: RayException catches every error. RayTaskException: what a task threw, which is also of
//           its own type where that is known here. RayWorkerException: also of the last of several
//           attempts. UnreconstructableException: also of an object whose owner is gone.
// Limits:   what() is RayX's sentence. A program cannot throw RayException and RayTaskException
//           itself.
#ifndef RAY_API_RAY_EXCEPTION_H_
#define RAY_API_RAY_EXCEPTION_H_

#include <rayx/errors.h>

namespace ray {
namespace internal {

using RayException = ::rayx::Error;
using RayTaskException = ::rayx::TaskError;
using RayActorException = ::rayx::ActorDied;
using RayWorkerException = ::rayx::WorkerDied;
using UnreconstructableException = ::rayx::ObjectLost;
using RayFunctionNotFound = ::rayx::UnknownFunction;
using RayTimeoutException = ::rayx::Timeout;
// Thrown for a runtime environment that RayX cannot give.
using RayRuntimeEnvException = ::rayx::InvalidOption;

}  // namespace internal
}  // namespace ray

#endif  // RAY_API_RAY_EXCEPTION_H_
