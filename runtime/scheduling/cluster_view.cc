#include "scheduling/cluster_view.h"

namespace rayx::scheduling {

void ClusterView::Upsert(const NodeView& node) {
  auto [it, added] = nodes_.try_emplace(node.number, node);
  if (added || !it->second.alive) return;
  it->second = node;
}

bool ClusterView::MarkDead(model::NodeNumber node, const std::string& reason) {
  auto it = nodes_.find(node);
  if (it == nodes_.end() || !it->second.alive) return false;
  it->second.alive = false;
  it->second.death_reason = reason;
  return true;
}

void ClusterView::Reserve(model::NodeNumber node, const model::ResourceSet& demand) {
  auto it = nodes_.find(node);
  if (it != nodes_.end()) it->second.available.Subtract(demand);
}

const NodeView* ClusterView::Find(model::NodeNumber node) const {
  auto it = nodes_.find(node);
  return it == nodes_.end() ? nullptr : &it->second;
}

bool ClusterView::IsAlive(model::NodeNumber node) const {
  const NodeView* view = Find(node);
  return view != nullptr && view->alive;
}

size_t ClusterView::alive_count() const {
  size_t count = 0;
  for (const auto& [number, node] : nodes_) count += node.alive ? 1 : 0;
  return count;
}

}  // namespace rayx::scheduling
