// runtime/model/resources.h
//
// Amounts of resources in fixed point.
//
// Purpose:  CPU, GPU, memory and custom resources as sums that never drift (units of 1/10000).
// Owner:    values.
// Threads:  any.
// Promises: exact arithmetic; iteration in name order; names and amounts from outside are checked
//           by SetDouble, which answers with a sentence that names the thing.
// Limits:   kResourceNamesMax names; amounts up to 9e11.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/status.h"

namespace rayx::model {

inline constexpr int64_t kResourceUnit = 10000;
inline constexpr size_t kResourceNamesMax = 64;
inline constexpr char kCpu[] = "CPU";
inline constexpr char kGpu[] = "GPU";
inline constexpr char kMemory[] = "memory";  // bytes

class ResourceSet {
 public:
  // In units of 1/kResourceUnit. Zero removes the name.
  void Set(const std::string& name, int64_t units);
  int64_t Get(const std::string& name) const;
  // InvalidArgument: not finite, negative, not a multiple of 1/10000 within rounding, too large,
  // bad name.
  absl::Status SetDouble(const std::string& name, double amount);

  bool Covers(const ResourceSet& demand) const;  // each demanded amount is available here
  void Add(const ResourceSet& other);
  void Subtract(const ResourceSet& other);  // may go negative: a ledger's oversubscription
  bool empty() const { return units_.empty(); }
  const std::map<std::string, int64_t>& units() const { return units_; }
  std::string ToString() const;  // "CPU: 2, gold: 0.5"
  // What `demand` asks beyond this set, as a sentence part: "CPU: needs 8, has 2"; empty if
  // covered.
  std::string Missing(const ResourceSet& demand) const;

  friend auto operator<=>(const ResourceSet&, const ResourceSet&) = default;

 private:
  std::map<std::string, int64_t> units_;
};

}  // namespace rayx::model
