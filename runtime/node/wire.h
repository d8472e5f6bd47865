// runtime/node/wire.h
//
// Small conversions between the wire contracts and the types of the daemon.
// Owner:    none.             Threads: any.
// Promises: what comes from outside is checked by whoever uses the result (the store, LeaseCore);
//           LeaseFromWire checks resources and strategy.
#pragma once

#include <string>

#include "base/status.h"
#include "model/frame.h"
#include "node/core/lease_effects.h"
#include "proto/local.pb.h"

namespace rayx::node {

proto::Versions OurClientVersions();
// VersionMismatch names both sides.
base::Status CheckClientVersions(const proto::Versions& theirs);

base::StatusOr<LeaseRequest> LeaseFromWire(const proto::LeaseRequest& wire,
                                           model::ProcessId owner, model::JobId job);

model::ObjectId ObjectFromWire(const proto::ObjectId& object);
model::ActorId ActorFromWire(const proto::ActorId& actor);
model::StoredLocation LocationFromWire(const proto::Location& location);
proto::Location LocationToWire(const model::StoredLocation& location);
proto::ErrorInfo StoreError(const base::Status& status);

// proto strings are UTF-8; user programs print what they like. Other bytes become '?'.
std::string ValidUtf8(std::string text);

}  // namespace rayx::node
