#include "base/mark.h"

namespace rayx::base {
namespace {

// A list that only grows at its head: constant-initialised, so marks in static initialisers work.
constinit std::atomic<Mark*> first_mark{nullptr};

}  // namespace

Mark::Mark(const char* name) : name_(name), next_(first_mark.load(std::memory_order_relaxed)) {
  while (!first_mark.compare_exchange_weak(next_, this, std::memory_order_release,
                                           std::memory_order_relaxed)) {
  }
}

std::uint64_t MarkCount(std::string_view name) {
  std::uint64_t count = 0;
  for (Mark* mark = first_mark.load(std::memory_order_acquire); mark != nullptr; mark = mark->next_)
    if (name == mark->name_) count += mark->count_.load(std::memory_order_relaxed);
  return count;
}

}  // namespace rayx::base
