// runtime/client/runtime_holder.h
//
// Which runtime this process has.
//
// Owner:    the process.
// Threads:  any.
// Promises: Runtime() and RuntimeOrNull() (rayx/detail/runtime_interface.h) are one atomic load. A
//           runtime that was taken off stays in memory: another thread may be inside one of its
//           methods. In a fork of the process they answer ForkedProcess and null.
#pragma once

#include <memory>

#include "rayx/detail/runtime_interface.h"

namespace rayx::client {

// There must be none.
void InstallRuntime(std::unique_ptr<detail::RuntimeInterface> runtime);
// The same for a runtime that the caller keeps as long as the process lives (a worker's).
void SetRuntime(detail::RuntimeInterface* runtime);
// Takes the runtime off, then stops it. Does nothing when there is none.
void RemoveRuntime();

}  // namespace rayx::client
