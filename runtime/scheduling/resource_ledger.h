// runtime/scheduling/resource_ledger.h
//
// Who holds which of a node's resources.
// Owner:    the node's lease core, one a node.      Threads: the node loop only.
// Inputs:   Acquire / Release / Block / Unblock by holder.   Outputs: available().
// Promises: available == total - the sum of what is held, always; every call is idempotent for its
//           holder. Acquire never oversubscribes. Only Unblock may: a blocked holder gave its CPU
//           back and takes it again at once, so available CPU can be negative until others end.
// Limits:   a blocked holder gives back its CPU alone; GPU, memory and the rest stay with it.
#pragma once

#include <cstdint>
#include <map>

#include "model/resources.h"

namespace rayx::scheduling {

class ResourceLedger {
 public:
  explicit ResourceLedger(model::ResourceSet total);

  // True when `holder` now holds `demand` (also when it held something before: a repeat).
  bool Acquire(uint64_t holder, const model::ResourceSet& demand);
  void Release(uint64_t holder);
  // The holder waits: its CPU is free meanwhile. True when something changed.
  bool Block(uint64_t holder);
  bool Unblock(uint64_t holder);

  bool IsBlocked(uint64_t holder) const;
  const model::ResourceSet& total() const { return total_; }
  // Amounts may be negative while oversubscribed.
  const model::ResourceSet& available() const { return available_; }
  bool Fits(const model::ResourceSet& demand) const { return available_.Covers(demand); }
  bool Feasible(const model::ResourceSet& demand) const { return total_.Covers(demand); }
  size_t holders() const { return held_.size(); }

  void CheckInvariants() const;

 private:
  struct Held {
    model::ResourceSet demand;
    bool blocked = false;
  };
  static model::ResourceSet CpuOf(const model::ResourceSet& demand);

  const model::ResourceSet total_;
  model::ResourceSet available_;
  std::map<uint64_t, Held> held_;
};

}  // namespace rayx::scheduling
