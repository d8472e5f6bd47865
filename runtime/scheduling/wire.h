// runtime/scheduling/wire.h
//
// Resources, strategies and nodes between the wire contracts (proto/) and the types of this module.
// Owner:    none.             Threads: any.
// Promises: what comes from a peer is checked: names, signs and counts; the answer names the field.
// Limits:   model::kResourceNamesMax names; kLabelsMax labels.
#pragma once

#include "base/status.h"
#include "model/resources.h"
#include "proto/types.pb.h"
#include "scheduling/cluster_view.h"
#include "scheduling/policy.h"

namespace rayx::scheduling {

inline constexpr int kLabelsMax = 64;

base::StatusOr<model::ResourceSet> FromWire(const proto::Resources& resources);
base::StatusOr<Strategy> FromWire(const proto::Strategy& strategy);
base::StatusOr<NodeView> FromWire(const proto::NodeInfo& node);

proto::Resources ToWire(const model::ResourceSet& resources);
proto::Strategy ToWire(const Strategy& strategy);
// What a NodeView knows; the rest (pid, store, workers) is the caller's.
proto::NodeInfo ToWire(const NodeView& node);

}  // namespace rayx::scheduling
