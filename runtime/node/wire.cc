#include "node/wire.h"

#include <utility>

#include "io/packet_socket.h"
#include "model/versions.h"
#include "rpc/errors.h"
#include "rpc/join.h"
#include "scheduling/wire.h"
#include "shm/memory_file.h"
#include "store/node_store.h"

namespace rayx::node {

proto::Versions OwnClientVersions() {
  proto::Versions versions;
  model::VersionsToWire(model::OwnVersions(shm::kLayoutVersion), versions);
  return versions;
}

base::Status CheckClientVersions(const proto::Versions& theirs) {
  return rpc::CheckVersions("the node daemon", model::OwnVersions(shm::kLayoutVersion),
                            "the program's librayx", theirs);
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

proto::ErrorInfo StoreError(const base::Status& status) {
  return rpc::MakeErrorInfo(store::ErrorCodeOf(status), std::string(base::Message(status)));
}

model::FrameHeader DeathFrame(proto::ProcessDied died, model::NodeNumber to,
                              std::vector<std::byte>& body) {
  constexpr size_t kReasonBytesMax = 4096;
  if (died.ByteSizeLong() > model::kBodyBytesMax / 2) {
    died.mutable_cause()->clear_log_lines();
    died.mutable_cause()->set_reason(died.cause().reason().substr(0, kReasonBytesMax));
  }
  const std::string bytes = died.SerializeAsString();
  body.clear();
  model::BodyWriter writer(body);
  writer.AddInline(std::as_bytes(std::span(bytes)));
  model::FrameHeader header;
  header.kind = model::FrameKind::kProcessDied;
  header.source = model::ProcessId{died.process()};
  header.destination = model::ProcessId::Make(to, 0);
  header.item_count = writer.item_count();
  return header;
}

base::StatusOr<proto::ProcessDied> DeathFromFrame(const model::FrameHeader& header,
                                                  std::span<const std::byte> body) {
  proto::ProcessDied died;
  model::BodyReader reader(body, header.item_count);
  model::Item item;
  if (header.kind != model::FrameKind::kProcessDied || !reader.Next(item) ||
      item.kind != model::ItemKind::kInline ||
      !died.ParseFromArray(item.bytes.data(), static_cast<int>(item.bytes.size())) ||
      died.process() != header.source.value || header.source.is_daemon()) {
    return absl::InvalidArgumentError("no news of a process's end");
  }
  return died;
}

namespace {

constexpr size_t kTextBytesMax = 16 * 1024;
constexpr size_t kLinesBytesMax = 16 * 1024;
constexpr size_t kLineBytesMax = 1024;

void Cut(std::string* text, size_t bytes_max) {
  if (text->size() > bytes_max) text->resize(bytes_max);
}

void BoundLines(google::protobuf::RepeatedPtrField<std::string>& lines) {
  size_t bytes = 0;
  int first = lines.size();
  while (first > 0) {
    std::string* line = lines.Mutable(first - 1);
    Cut(line, kLineBytesMax);
    if (bytes + line->size() > kLinesBytesMax) break;
    bytes += line->size();
    --first;
  }
  lines.DeleteSubrange(0, first);
}

// The one that a message of this kind carries; none otherwise.
proto::ErrorInfo* ErrorIn(proto::DaemonMessage& message) {
  switch (message.message_case()) {
    case proto::DaemonMessage::kRefused:
      return message.mutable_refused()->mutable_error();
    case proto::DaemonMessage::kLeaseFailed:
      return message.mutable_lease_failed()->mutable_error();
    case proto::DaemonMessage::kPeerRefused:
      return message.mutable_peer_refused()->mutable_error();
    case proto::DaemonMessage::kAllocated:
      return message.mutable_allocated()->mutable_error();
    case proto::DaemonMessage::kPulled:
      return message.mutable_pulled()->mutable_error();
    case proto::DaemonMessage::kHeadLost:
      return message.mutable_head_lost()->mutable_error();
    default:
      return nullptr;
  }
}

}  // namespace

void Bound(proto::DeathCause& cause) {
  BoundLines(*cause.mutable_log_lines());
  Cut(cause.mutable_reason(), kTextBytesMax);
  Cut(cause.mutable_host(), kLineBytesMax);
}

void Bound(proto::ErrorInfo& error) {
  BoundLines(*error.mutable_log_lines());
  for (std::string* text : {error.mutable_message(), error.mutable_what()})
    Cut(text, kTextBytesMax);
  for (std::string* text :
       {error.mutable_type_name(), error.mutable_base_name(), error.mutable_host()}) {
    Cut(text, kLineBytesMax);
  }
}

bool FitIntoPacket(proto::DaemonMessage& message) {
  const auto fits = [&] { return message.ByteSizeLong() <= io::kPacketBytesMax; };
  if (fits()) return true;
  if (message.has_process_died()) {
    Bound(*message.mutable_process_died()->mutable_cause());
  } else if (message.has_node_died()) {
    Cut(message.mutable_node_died()->mutable_reason(), kTextBytesMax);
  } else if (message.has_head_response()) {
    proto::HeadResponse& response = *message.mutable_head_response();
    const size_t bytes = response.ByteSizeLong();
    const uint64_t request = response.request_id();
    response.Clear();
    response.set_request_id(request);
    *response.mutable_error() = rpc::MakeErrorInfo(
        ErrorCode::kSerializationError, "the head's answer has " + std::to_string(bytes) +
                                            " bytes; a process can be told " +
                                            std::to_string(io::kPacketBytesMax));
  } else if (proto::ErrorInfo* error = ErrorIn(message)) {
    Bound(*error);
  }
  return fits();
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
