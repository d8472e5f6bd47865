// runtime/client/core/client_core_locality.inl.h
//
// ClientCore: tasks go where their arguments lie. The contract is client_core.h's, of which this is
// a part: include that.
#pragma once

#include <algorithm>

#include "client/core/client_core.h"

namespace rayx::client {

template <class Sink>
std::vector<std::pair<uint64_t, model::NodeNumber>> ClientCore<Sink>::DataOf(
    const TaskRecord& record) const {
  std::vector<std::pair<uint64_t, model::NodeNumber>> data;
  for (const TaskArgument& argument : record.arguments()) {
    if (argument.slot == kNoSlot) continue;
    const Entry& object = slab_.At(argument.slot);
    if (object.kind != ValueKind::kStored) continue;
    const auto known = std::find_if(data.begin(), data.end(), [&](const auto& there) {
      return there.second == object.stored->node;
    });
    if (known == data.end()) {
      data.emplace_back(object.stored->size, object.stored->node);
    } else {
      known->first += object.stored->size;
    }
  }
  std::sort(data.begin(), data.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second < b.second;
  });
  return data;
}

template <class Sink>
void ClientCore<Sink>::FindData(TaskRecord& record, model::TimePoint now) const {
  if (record.arguments().empty()) return;  // the common case: by value
  record.extras->data_node = {};
  const proto::Strategy& strategy = classes_[record.class_index].description.strategy();
  if (strategy.kind() != proto::Strategy::HYBRID || strategy.labels_size() != 0) return;
  const auto data = DataOf(record);
  if (data.empty()) return;
  record.extras->data_node = data.front().second;
  const std::chrono::microseconds transfer(
      static_cast<int64_t>(static_cast<double>(data.front().first) / kTransferBytesPerUs));
  record.extras->anywhere_at = now + std::min<model::Duration>(transfer, kDataWaitMax);
}

template <class Sink>
size_t ClientCore<Sink>::PickTask(const TaskClass& task_class, const HeldLease& lease,
                                  model::TimePoint now) const {
  const size_t end = std::min(task_class.queued.size(), kLookAheadMax);
  for (size_t i = 0; i < end; ++i) {
    const uint32_t slot = task_class.queued[i];
    const TaskRecord& record = *slab_.At(slot).task;
    if (!MayGoTo(record, lease.worker.node(), now) || !record.MayBeSentAt(now)) continue;
    if (i == 0 || HasRoom(lease.worker, lease.in_flight, slot)) return i;
  }
  return kNoTask;
}

}  // namespace rayx::client
