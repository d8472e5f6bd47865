#include "scheduling/resource_ledger.h"

#include <utility>

#include "base/check.h"

namespace rayx::scheduling {

using model::ResourceSet;

ResourceLedger::ResourceLedger(ResourceSet total) : total_(std::move(total)), available_(total_) {}

ResourceSet ResourceLedger::CpuOf(const ResourceSet& demand) {
  ResourceSet cpu;
  cpu.Set(model::kCpu, demand.Get(model::kCpu));
  return cpu;
}

bool ResourceLedger::Acquire(uint64_t holder, const ResourceSet& demand) {
  if (held_.count(holder) != 0) return true;
  if (!available_.Covers(demand)) return false;
  held_.emplace(holder, Held{demand, false});
  available_.Subtract(demand);
  return true;
}

void ResourceLedger::Release(uint64_t holder) {
  auto it = held_.find(holder);
  if (it == held_.end()) return;
  available_.Add(it->second.demand);
  if (it->second.blocked) available_.Subtract(CpuOf(it->second.demand));
  held_.erase(it);
}

bool ResourceLedger::Block(uint64_t holder) {
  auto it = held_.find(holder);
  if (it == held_.end() || it->second.blocked) return false;
  it->second.blocked = true;
  available_.Add(CpuOf(it->second.demand));
  return true;
}

bool ResourceLedger::Unblock(uint64_t holder) {
  auto it = held_.find(holder);
  if (it == held_.end() || !it->second.blocked) return false;
  it->second.blocked = false;
  available_.Subtract(CpuOf(it->second.demand));
  return true;
}

bool ResourceLedger::IsBlocked(uint64_t holder) const {
  auto it = held_.find(holder);
  return it != held_.end() && it->second.blocked;
}

void ResourceLedger::CheckInvariants() const {
  ResourceSet sum = available_;
  for (const auto& [holder, held] : held_) {
    sum.Add(held.demand);
    if (held.blocked) sum.Subtract(CpuOf(held.demand));
  }
  RAYX_CHECK(sum == total_, "resources appeared or vanished");
  for (const auto& [name, units] : available_.units()) {
    RAYX_CHECK(units <= total_.Get(name), "more is available than the node has");
    RAYX_CHECK(units >= 0 || name == model::kCpu, "only CPU may be oversubscribed");
  }
}

}  // namespace rayx::scheduling
