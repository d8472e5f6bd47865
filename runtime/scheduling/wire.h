// runtime/scheduling/wire.h
//
// Between the wire contracts (proto/) and our types: the resources, strategies and nodes of this
// module, and of model the ids and the places of stored objects.
// Owner:    none.
// Threads:  any.
// Promises: resources, strategies and nodes of a peer are checked: names, signs and counts; the
//           answer names the field. Ids and places are only taken over: whoever uses them looks
//           them up.
// Limits:   model::kResourceNamesMax names; kLabelsMax labels.
#pragma once

#include "base/status.h"
#include "model/frame.h"
#include "model/ids.h"
#include "model/resources.h"
#include "proto/local.pb.h"
#include "proto/types.pb.h"
#include "scheduling/cluster_view.h"
#include "scheduling/policy.h"

namespace rayx::scheduling {

base::StatusOr<model::ResourceSet> FromWire(const proto::Resources& resources);
base::StatusOr<Strategy> FromWire(const proto::Strategy& strategy);
base::StatusOr<NodeView> FromWire(const proto::NodeInfo& node);
model::ObjectId FromWire(const proto::ObjectId& object);
model::ActorId FromWire(const proto::ActorId& actor);
model::StoredLocation FromWire(const proto::Location& location);

proto::Resources ToWire(const model::ResourceSet& resources);
proto::Strategy ToWire(const Strategy& strategy);
// What a NodeView knows; the rest (pid, store, workers) is the caller's.
proto::NodeInfo ToWire(const NodeView& node);
proto::ObjectId ToWire(const model::ObjectId& object);
proto::ActorId ToWire(const model::ActorId& actor);
proto::Location ToWire(const model::StoredLocation& location);

// A death as the error of what ran there. Not filled in: node, attempt.
proto::ErrorInfo ErrorOf(const proto::DeathCause& cause);

}  // namespace rayx::scheduling
