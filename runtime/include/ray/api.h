// Ray's C++ API on RayX: a program that includes Ray's <ray/api.h> compiles and runs unchanged.
//
// Purpose:  Ray's names for what <rayx/rayx.h> has, the same types wherever Ray's signature is the
//           same: a program may use both.
// Promises: those of the headers under ray/api/ and rayx/. Beyond Ray's implementation: references
//           are moved, stored, passed and returned; a Get of several throws the error of one that
//           failed; a caller object is used many times; a program may end without Shutdown.
// Limits:   no placement groups (a compile error says so), no functions of Python or Java, no
//           ray/api/metric.h, no Get by ids, and of namespace ray::internal the exceptions only.
//           Headers under ray/api/ are parts of this one, and fewer than Ray's.
#ifndef RAY_API_H_
#define RAY_API_H_

#include <rayx/rayx.h>
#if __cplusplus >= 201703L  // for any older language rayx.h has one line

#include <ray/api/actor_creator.h>
#include <ray/api/init.h>
#include <ray/api/logging.h>
#include <ray/api/placement_group.h>
#include <ray/api/ray_config.h>
#include <ray/api/ray_exception.h>
#include <ray/api/ray_remote.h>
#include <ray/api/runtime_env.h>
#include <ray/api/task_caller.h>

// What Ray's programs have from here without asking.
#include <algorithm>
#include <cassert>
#include <cmath>
#include <functional>
#include <iostream>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

namespace ray {

template <class T>
using ObjectRef = ::rayx::ObjectRef<T>;
template <class T>
using WaitResult = ::rayx::WaitResult<T>;

using ::rayx::ExitActor;
using ::rayx::Get;
using ::rayx::GetNamespace;
using ::rayx::IsInitialized;
using ::rayx::Put;
using ::rayx::Shutdown;
using ::rayx::Wait;
using ::rayx::WasCurrentActorRestarted;

}  // namespace ray

#endif  // __cplusplus

#endif  // RAY_API_H_
