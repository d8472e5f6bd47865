// runtime/node/wire.h
//
// Small conversions between the wire contracts and the types of the daemon; those of ids, places
// and resources are in scheduling/wire.h.
// Owner:    none.
// Threads:  any.
// Promises: LeaseFromWire checks resources and strategy; the rest of a request is checked by
//           LeaseCore.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/frame.h"
#include "model/ids.h"
#include "node/core/lease_effects.h"
#include "proto/local.pb.h"

namespace rayx::node {

proto::Versions OwnClientVersions();
// VersionMismatch names both sides.
base::Status CheckClientVersions(const proto::Versions& theirs);

base::StatusOr<LeaseRequest> LeaseFromWire(const proto::LeaseRequest& wire, model::ProcessId owner,
                                           model::JobId job);

proto::ErrorInfo StoreError(const base::Status& status);

// The end of a process as a frame to another daemon: in the stream it comes after the last answers
// of that process. `died` loses its log lines where a frame has no room for them.
model::FrameHeader DeathFrame(proto::ProcessDied died, model::NodeNumber to,
                              std::vector<std::byte>& body);
// InvalidArgument: no such frame, or of another process than the one that it comes from.
base::StatusOr<proto::ProcessDied> DeathFromFrame(const model::FrameHeader& header,
                                                  std::span<const std::byte> body);

// A packet holds 128 KiB: of the log lines the newest stay, 16 KiB in all and 1 KiB each; other
// texts are cut at 16 KiB.
void Bound(proto::DeathCause& cause);
void Bound(proto::ErrorInfo& error);
// The same for a whole message: false: it does not fit whatever is cut. An answer that is too large
// becomes an error that says so.
bool FitIntoPacket(proto::DaemonMessage& message);

// proto strings are UTF-8; user programs print what they like. Other bytes become '?'.
std::string ValidUtf8(std::string text);

}  // namespace rayx::node
