// The public functions that only pass a question on to the runtime.
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "rayx/actor.h"
#include "rayx/context.h"
#include "rayx/detail/runtime_interface.h"
#include "rayx/key_value.h"

namespace rayx {

void KeyValue::Put(const std::string& key, const std::string& value) {
  detail::Runtime().KvPut(key, value, false);
}
bool KeyValue::PutIfAbsent(const std::string& key, const std::string& value) {
  return detail::Runtime().KvPut(key, value, true);
}
std::optional<std::string> KeyValue::Get(const std::string& key) {
  std::string value;
  if (!detail::Runtime().KvGet(key, value)) return std::nullopt;
  return value;
}
bool KeyValue::Wait(const std::vector<std::string>& keys, int timeout_ms) {
  return detail::Runtime().KvWait(keys, detail::Milliseconds(timeout_ms));
}
bool KeyValue::Delete(const std::string& key) {
  return detail::Runtime().KvDelete(key);
}
std::int64_t KeyValue::Add(const std::string& key, std::int64_t amount) {
  return detail::Runtime().KvAdd(key, amount);
}
std::size_t KeyValue::Count() {
  return detail::Runtime().KvCount();
}

RuntimeContext GetRuntimeContext() {
  return RuntimeContext(detail::Runtime().Context());
}
std::vector<NodeDescription> Nodes() {
  return detail::Runtime().Nodes();
}
std::vector<ActorDescription> Actors() {
  return detail::Runtime().Actors();
}
std::vector<JobDescription> Jobs() {
  return detail::Runtime().Jobs();
}

namespace {
std::map<std::string, double> SumOverLiving(
    std::map<std::string, double> NodeDescription::*amounts_of) {
  std::map<std::string, double> sum;
  for (const NodeDescription& node : Nodes()) {
    if (!node.alive) continue;
    for (const auto& [name, amount] : node.*amounts_of) sum[name] += amount;
  }
  return sum;
}
}  // namespace

std::map<std::string, double> ClusterResources() {
  return SumOverLiving(&NodeDescription::total);
}
std::map<std::string, double> AvailableResources() {
  return SumOverLiving(&NodeDescription::available);
}
bool WasCurrentActorRestarted() {
  return detail::Runtime().Context().was_actor_restarted;
}
std::string GetNamespace() {
  return detail::Runtime().Context().job_namespace;
}
void ExitActor() {
  detail::Runtime().ExitActor();
}

}  // namespace rayx
