// runtime/client/executor/task_thread.h
//
// The threads on which a worker runs user code, and how much of their stacks is left.
// Owner:    RunWorker makes the first one, the executor those of a concurrent actor.
// Threads:  StartTaskThread: any. The rest is about the calling thread.
// Limits:   a thread that was not made here has no known stack: it counts as one with room.
#pragma once

#include <pthread.h>

#include <cstddef>
#include <cstdint>

#include "base/status.h"

namespace rayx::client {

class ClusterClient;

// Address space only: pages are taken as they are touched.
inline constexpr size_t kTaskStackBytes = 64u << 20;
inline constexpr size_t kConcurrentStackBytes = 16u << 20;
// What a call finds at least when it begins: the stack of an ordinary Linux thread.
inline constexpr size_t kStackReserveBytes = 8u << 20;
// Calls that an actor may serve at once, each on a thread.
inline constexpr uint32_t kConcurrencyMax = 1000;

// A thread that serves calls until the client ends or its actor exits. ResourceExhausted: no memory
// or no room for one more thread.
base::StatusOr<pthread_t> StartTaskThread(ClusterClient& client, size_t stack_bytes);

// Whether a nested call may begin on the calling thread's stack.
bool HasStackLeft();
// Calls that are on it now.
uint32_t& CallDepth();

}  // namespace rayx::client
