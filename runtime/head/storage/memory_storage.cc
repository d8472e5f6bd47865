#include "head/storage/head_storage.h"

namespace rayx::head {

base::Status MemoryStorage::Apply(std::span<const Persist> step) {
  for (const Persist& persist : step) {
    std::pair key(persist.table, persist.key);
    if (persist.value.has_value()) {
      rows_[std::move(key)] = *persist.value;
    } else {
      rows_.erase(key);
    }
  }
  return base::OkStatus();
}

base::Status MemoryStorage::ForEach(
    Table table,
    const std::function<void(const std::string& key, const std::string& value)>& row) const {
  for (auto it = rows_.lower_bound({table, ""}); it != rows_.end() && it->first.first == table;
       ++it) {
    row(it->first.second, it->second);
  }
  return base::OkStatus();
}

}  // namespace rayx::head
