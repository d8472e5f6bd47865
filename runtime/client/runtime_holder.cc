#include "client/runtime_holder.h"

#include <pthread.h>

#include <atomic>
#include <mutex>
#include <utility>
#include <vector>

#include "rayx/errors.h"

namespace rayx::client {
namespace {

std::atomic<detail::RuntimeInterface*> current{nullptr};
std::atomic<std::uint32_t> generation{0};
std::atomic<bool> forked{false};

// Every runtime that this process ever had; never destroyed, so that it outlives static
// destructors.
struct Graveyard {
  std::mutex mutex;
  std::vector<std::unique_ptr<detail::RuntimeInterface>> runtimes;
};
Graveyard& AllRuntimes() {
  static Graveyard* all = new Graveyard;
  return *all;
}

void AfterForkInChild() {
  if (current.exchange(nullptr) != nullptr) forked.store(true);
}

}  // namespace

void InstallRuntime(std::unique_ptr<detail::RuntimeInterface> runtime) {
  detail::RuntimeInterface* raw = runtime.get();
  {
    std::lock_guard lock(AllRuntimes().mutex);
    AllRuntimes().runtimes.push_back(std::move(runtime));
  }
  SetRuntime(raw);
}

void SetRuntime(detail::RuntimeInterface* runtime) {
  static const int fork_handler = pthread_atfork(nullptr, nullptr, &AfterForkInChild);
  static_cast<void>(fork_handler);
  generation.fetch_add(1);
  current.store(runtime, std::memory_order_release);
}

void RemoveRuntime() {
  detail::RuntimeInterface* runtime = current.exchange(nullptr);
  if (runtime != nullptr) runtime->Stop();
}

}  // namespace rayx::client

namespace rayx::detail {

RuntimeInterface* RuntimeOrNull() noexcept {
  return client::current.load(std::memory_order_acquire);
}

std::uint32_t RuntimeGeneration() noexcept {
  return client::generation.load(std::memory_order_acquire);
}

RuntimeInterface& Runtime() {
  RuntimeInterface* runtime = RuntimeOrNull();
  if (runtime != nullptr) [[likely]] {
    return *runtime;
  }
  if (client::forked.load()) {
    throw ForkedProcess(
        "RayX was used in a fork of the process that called rayx::Init. Only that process may use "
        "it; "
        "fork followed by exec is fine.");
  }
  throw NotInitialized(
      "RayX is not running in this process: call rayx::Init first (or again, after "
      "rayx::Shutdown).");
}

}  // namespace rayx::detail
