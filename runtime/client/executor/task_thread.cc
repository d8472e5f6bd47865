#include "client/executor/task_thread.h"

#include <sys/prctl.h>

#include <cstring>

#include "client/cluster_client.h"

namespace rayx::client {
namespace {

thread_local const void* stack_lowest = nullptr;

void FindStack() {
  pthread_attr_t attributes;
  if (::pthread_getattr_np(::pthread_self(), &attributes) != 0) return;
  void* lowest = nullptr;
  size_t bytes = 0;
  if (::pthread_attr_getstack(&attributes, &lowest, &bytes) == 0) stack_lowest = lowest;
  ::pthread_attr_destroy(&attributes);
}

void* Serve(void* client) {
  ::prctl(PR_SET_NAME, "rayx-task");
  FindStack();
  static_cast<ClusterClient*>(client)->ServeCalls();
  return nullptr;
}

}  // namespace

base::StatusOr<pthread_t> StartTaskThread(ClusterClient& client, size_t stack_bytes) {
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  ::pthread_attr_setstacksize(&attributes, stack_bytes);
  pthread_t thread;
  const int error = ::pthread_create(&thread, &attributes, Serve, &client);
  ::pthread_attr_destroy(&attributes);
  if (error == 0) return thread;
  return base::MakeStatus(absl::StatusCode::kResourceExhausted,
                          std::string("no thread for calls: ") + std::strerror(error));
}

bool HasStackLeft() {
  const char here = 0;
  return stack_lowest == nullptr || &here - static_cast<const char*>(stack_lowest) >
                                        static_cast<ptrdiff_t>(kStackReserveBytes);
}

uint32_t& CallDepth() {
  thread_local uint32_t depth = 0;
  return depth;
}

}  // namespace rayx::client
