// runtime/head/storage/head_storage.h
//
// Where the head keeps what must outlive it.
// Owner:    HeadServer.
// Threads:  the head's loop only.
// Inputs:   the Persists of a core's step, applied before anything of that step is sent.
// Promises: Apply takes a whole step or nothing of it. What was applied is seen by ForEach, in the
//           order of tables and keys.
// Limits:   an implementation says what survives what (MemoryStorage: nothing survives the
//           process).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "base/status.h"

namespace rayx::head {

enum class Table : uint8_t { kCluster, kJob, kActor, kKeyValue };

struct Persist {
  Table table = Table::kCluster;
  std::string key;
  std::optional<std::string> value;  // nothing: the row goes
};

class HeadStorage {
 public:
  virtual ~HeadStorage() = default;
  virtual base::Status Apply(std::span<const Persist> step) = 0;
  virtual base::Status ForEach(
      Table table,
      const std::function<void(const std::string& key, const std::string& value)>& row) const = 0;
};

class MemoryStorage final : public HeadStorage {
 public:
  base::Status Apply(std::span<const Persist> step) override;
  base::Status ForEach(Table table,
                       const std::function<void(const std::string& key, const std::string& value)>&
                           row) const override;

 private:
  std::map<std::pair<Table, std::string>, std::string> rows_;
};

}  // namespace rayx::head
