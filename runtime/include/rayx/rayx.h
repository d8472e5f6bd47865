// RayX: remote tasks, actors and shared objects for C++ programs on a cluster of VMs.
//
//   int square(int x) { return x * x; }
//   int main(int argc, char** argv) {
//     rayx::Init(argc, argv);
//     rayx::ObjectRef<int> result = rayx::Task<&square>().Remote(7);
//     return *result.Get() == 49 ? 0 : 1;
//   }
//
// Everything a program needs; each part may also be included alone. From C++17 on.
#ifndef RAYX_RAYX_H_
#define RAYX_RAYX_H_

#if __cplusplus < 201703L
#error "RayX needs C++17 or later: -std=c++17, or set(CMAKE_CXX_STANDARD 17) in CMake"
#else  // one line instead of a thousand about what the older language lacks

#include "rayx/actor.h"
#include "rayx/context.h"
#include "rayx/detail/msgpack_adaptors.h"
#include "rayx/errors.h"
#include "rayx/init.h"
#include "rayx/key_value.h"
#include "rayx/object_ref.h"
#include "rayx/options.h"
#include "rayx/remote.h"
#include "rayx/serialize.h"
#include "rayx/task.h"
#include "rayx/view.h"

#endif  // __cplusplus

#endif  // RAYX_RAYX_H_
