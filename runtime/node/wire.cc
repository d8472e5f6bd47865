#include "node/wire.h"

#include <utility>

#include "rpc/errors.h"
#include "rpc/join.h"
#include "scheduling/wire.h"
#include "shm/memory_file.h"
#include "store/node_store.h"

namespace rayx::node {

proto::Versions OurClientVersions() { return rpc::OurVersions(shm::kLayoutVersion); }

base::Status CheckClientVersions(const proto::Versions& theirs) {
  const proto::Versions ours = OurClientVersions();
  if (theirs.layout() == ours.layout() && theirs.frame() == ours.frame() &&
      theirs.protocol() == ours.protocol() && theirs.release() == ours.release()) {
    return absl::OkStatus();
  }
  const auto describe = [](const proto::Versions& v) {
    return "release " + ValidUtf8(v.release().substr(0, 64)) + " (layout " +
           std::to_string(v.layout()) + ", frame " + std::to_string(v.frame()) + ", protocol " +
           std::to_string(v.protocol()) + ")";
  };
  return rpc::MakeError(ErrorCode::kVersionMismatch,
                        "version mismatch: the node daemon is " + describe(ours) +
                            ", the program's librayx is " + describe(theirs));
}

base::StatusOr<LeaseRequest> LeaseFromWire(const proto::LeaseRequest& wire, model::ProcessId owner,
                                           model::JobId job) {
  constexpr int kArgumentNodesMax = 16;
  const proto::SchedulingClass& described = wire.scheduling_class();
  LeaseRequest request;
  request.key = RequestKey{owner, wire.request_id(), 0};
  request.job = job;
  RAYX_ASSIGN_OR_RETURN(request.resources, scheduling::FromWire(described.resources()));
  RAYX_ASSIGN_OR_RETURN(request.strategy, scheduling::FromWire(described.strategy()));
  request.wait_if_infeasible = described.wait_if_infeasible();
  request.class_key = described.SerializeAsString();
  for (int i = 0; i < wire.argument_nodes_size() && i < kArgumentNodesMax; ++i) {
    request.argument_nodes.push_back(model::NodeNumber{wire.argument_nodes(i)});
  }
  return request;
}

model::ObjectId ObjectFromWire(const proto::ObjectId& object) {
  return {model::ProcessId{object.owner()}, object.sequence()};
}

model::ActorId ActorFromWire(const proto::ActorId& actor) {
  return {model::ProcessId{actor.creator()}, actor.sequence()};
}

model::StoredLocation LocationFromWire(const proto::Location& wire) {
  model::StoredLocation location;
  location.object = ObjectFromWire(wire.object());
  location.node = model::NodeNumber{wire.node()};
  location.job = model::JobId{wire.job()};
  location.entry = wire.entry();
  location.generation = wire.generation();
  location.offset = wire.offset();
  location.size = wire.bytes();
  return location;
}

proto::Location LocationToWire(const model::StoredLocation& location) {
  proto::Location wire;
  wire.mutable_object()->set_owner(location.object.owner.value);
  wire.mutable_object()->set_sequence(location.object.sequence);
  wire.set_node(location.node.value);
  wire.set_job(location.job.value);
  wire.set_entry(location.entry);
  wire.set_generation(location.generation);
  wire.set_offset(location.offset);
  wire.set_bytes(location.size);
  return wire;
}

proto::ErrorInfo StoreError(const base::Status& status) {
  return rpc::MakeErrorInfo(store::ErrorCodeOf(status), std::string(base::Message(status)));
}

namespace {

// Length of the well-formed sequence at `at`, 0 if there is none.
size_t SequenceAt(const std::string& text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[at + i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || at + length > text.size()) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const bool overlong = (first == 0xE0 && byte(1) < 0xA0) || (first == 0xF0 && byte(1) < 0x90);
  const bool surrogate = first == 0xED && byte(1) >= 0xA0;
  const bool too_large = first == 0xF4 && byte(1) >= 0x90;
  return overlong || surrogate || too_large ? 0 : length;
}

}  // namespace

std::string ValidUtf8(std::string text) {
  for (size_t at = 0; at < text.size();) {
    const size_t length = SequenceAt(text, at);
    if (length == 0) text[at] = '?';
    at += length == 0 ? 1 : length;
  }
  return text;
}

}  // namespace rayx::node
