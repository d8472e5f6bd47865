// NodeShell: the store's requests of this node's processes, and what workers print.
#include <utility>

#include "base/log.h"
#include "node/node_shell.h"
#include "node/wire.h"
#include "scheduling/wire.h"

namespace rayx::node {

using model::NodeNumber;
using model::ProcessId;

namespace {

constexpr size_t kEarlyLinesMax = 256;  // messages of lines
constexpr int kLeftMax = 1000;          // locations a message
constexpr auto kOfferElsewhere = std::chrono::seconds(1);
constexpr auto kAskDriverAgain = std::chrono::seconds(1);

}  // namespace

// --- store ---------------------------------------------------------------------------------------

base::Status NodeShell::AttachSegment(LocalProcess& process, model::JobId job) {
  // An actor of another job may have been given a value of it.
  RAYX_RETURN_IF_ERROR(OpenForeignJob(job));
  RAYX_ASSIGN_OR_RETURN(const auto attachment, store_->Attach(job, process.id));
  proto::DaemonMessage message;
  auto* attached = message.mutable_segment_attached();
  attached->set_job(job.value);
  attached->set_segment_bytes(attachment.segment_bytes);
  attached->set_control_bytes(attachment.control_bytes);
  attached->set_ledger(attachment.ledger);
  const int fds[] = {attachment.segment, attachment.control};
  table_->Send(process, message, fds);
  return absl::OkStatus();
}

// Answered before the next message is read: in the order of the requests.
void NodeShell::OnAttachSegment(LocalProcess& process, model::JobId job) {
  const auto status = AttachSegment(process, job);
  if (status.ok()) return;
  RAYX_LOG(kWarning) << ToString(process.id) << " is not given the segment of job " << job.value
                     << ": " << base::Message(status);
  proto::DaemonMessage message;
  *message.mutable_refused()->mutable_error() = StoreError(status);
  table_->Send(process, message);
}

void NodeShell::OnAllocate(LocalProcess& process, const proto::Allocate& request) {
  const uint64_t id = request.request_id();
  store_->Allocate(process.id, id, scheduling::FromWire(request.object()),
                   model::JobId{request.job()}, request.bytes(),
                   [this, id, from = process.id](base::StatusOr<model::StoredLocation> location) {
                     LocalProcess* asker = table_->Find(from);
                     if (asker == nullptr) return;
                     proto::DaemonMessage message;
                     auto* allocated = message.mutable_allocated();
                     allocated->set_request_id(id);
                     if (location.ok()) {
                       allocated->set_entry(location->entry);
                       allocated->set_generation(location->generation);
                       allocated->set_offset(location->offset);
                       allocated->set_bytes(location->size);
                     } else {
                       *allocated->mutable_error() = StoreError(location.status());
                     }
                     table_->Send(*asker, message);
                   });
}

void NodeShell::OnFree(ProcessId from, const proto::Location& wire) {
  const model::StoredLocation location = scheduling::FromWire(wire);
  if (location.node == self_) return store_->Free(location, from);
  if (location.object.owner != from) return;  // only the owner frees elsewhere
  proto::NotifyRequest request;
  *request.add_freed() = wire;
  Notify(location.node, request);
}

void NodeShell::OnPull(LocalProcess& process, const proto::Pull& request) {
  const uint64_t id = request.request_id();
  // The copy lies in its segment here. Without one the store answers why there is no copy.
  OpenForeignJob(model::JobId{request.source().job()}).IgnoreError();
  store_->Pull(process.id, id, scheduling::FromWire(request.source()),
               [this, id, from = process.id](base::StatusOr<model::StoredLocation> copy) {
                 LocalProcess* asker = table_->Find(from);
                 if (asker == nullptr) return;
                 proto::DaemonMessage message;
                 message.mutable_pulled()->set_request_id(id);
                 if (copy.ok()) {
                   *message.mutable_pulled()->mutable_copy() = scheduling::ToWire(*copy);
                 } else {
                   *message.mutable_pulled()->mutable_error() = StoreError(copy.status());
                 }
                 table_->Send(*asker, message);
               });
}

// --- objects that a dead writer has finished
// -------------------------------------------------------

// Its answer may have been lost with it: the owner alone knows. On another node its last answers
// are still on their way.
void NodeShell::OfferLeft(const model::StoredLocation& left) {
  const NodeNumber node = left.object.owner.node();
  if (node == self_) {
    google::protobuf::RepeatedPtrField<proto::Location> one;
    *one.Add() = scheduling::ToWire(left);
    return TellLeft(one);
  }
  const bool first = left_.empty();
  left_[node].push_back(left);
  if (first) loop_->AddTimerAfter(kOfferElsewhere, [this] { SendLeft(); });
}

void NodeShell::SendLeft() {
  for (const auto& [node, locations] : std::exchange(left_, {})) {
    proto::NotifyRequest request;
    for (const model::StoredLocation& location : locations) {
      *request.add_left() = scheduling::ToWire(location);
      if (request.left_size() < kLeftMax) continue;
      Notify(node, request);
      request.clear_left();
    }
    if (request.left_size() != 0) Notify(node, request);
  }
}

void NodeShell::TellLeft(const google::protobuf::RepeatedPtrField<proto::Location>& left) {
  std::map<ProcessId, std::shared_ptr<proto::DaemonMessage>> messages;
  for (const proto::Location& location : left) {
    auto& message = messages[ProcessId{location.object().owner()}];
    if (!message) message = std::make_shared<proto::DaemonMessage>();
    *message->mutable_objects_left()->add_locations() = location;
  }
  for (const auto& [owner, message] : messages) {
    if (LocalProcess* process = table_->Find(owner)) router_->TellAfterAnswers(*process, message);
  }
}

// --- output --------------------------------------------------------------------------------------

void NodeShell::OnWorkerLines(StartId start, bool is_stderr, std::vector<std::string> lines) {
  auto it = starts_.find(start);
  if (it == starts_.end()) return;  // before its Hello: the file has them
  LocalProcess* process = table_->Find(it->second);
  if (process == nullptr) return;
  proto::LogLines message;
  message.set_process(process->id.value);
  message.set_title(process->plate.page->title());
  if (message.title().empty()) message.set_title("worker");
  message.set_pid(process->pid);
  message.set_host(options_.host_name);
  message.set_job(process->job.value);
  message.set_is_stderr(is_stderr);
  size_t bytes = 0;
  for (std::string& line : lines) {
    if (bytes + line.size() > io::kPacketBytesMax / 2) {  // one packet each
      DeliverLines(process->job, message);
      message.clear_lines();
      bytes = 0;
    }
    bytes += line.size() + 8;
    message.add_lines(ValidUtf8(std::move(line)));
  }
  if (message.lines_size() != 0) DeliverLines(process->job, std::move(message));
}

void NodeShell::DeliverLines(model::JobId job_id, proto::LogLines lines) {
  auto job = jobs_.find(job_id);
  if (job == jobs_.end()) return;
  if (!job->second.driver) {
    if (job->second.early_lines.size() < kEarlyLinesMax) {
      job->second.early_lines.push_back(std::move(lines));
    }
    return AskForDriver(job_id);
  }
  if (job->second.driver.node() == self_) {
    return SendLines(job->second.driver, std::move(lines));
  }
  lines.set_driver(job->second.driver.value);
  proto::NotifyRequest request;
  *request.add_logs() = std::move(lines);
  Notify(job->second.driver.node(), request);
}

// To a driver of this node. One that is gone (a detached actor's) prints no more.
void NodeShell::SendLines(ProcessId to, proto::LogLines lines) {
  LocalProcess* driver = table_->Find(to);
  if (driver == nullptr || driver->role != proto::DRIVER) return;
  proto::DaemonMessage message;
  *message.mutable_log_lines() = std::move(lines);
  table_->Send(*driver, message);
}

// Where a job of another node prints. Asked again as long as there is something to print.
void NodeShell::AskForDriver(model::JobId id) {
  Job& job = jobs_[id];
  if (job.driver || job.asked_for_driver) return;
  job.asked_for_driver = true;
  proto::HeadRequest request;
  request.mutable_list_jobs();
  request.set_process(table_->daemon_id().value);
  rpc::CallOptions options;
  options.idempotent = true;
  head_->Call<proto::HeadRequest, proto::HeadResponse>(
      rpc::kHeadCall, request, options, [this, id](base::StatusOr<proto::HeadResponse> reply) {
        if (reply.ok()) OnJobs(reply->list_jobs());
        const auto it = jobs_.find(id);
        if (it == jobs_.end() || it->second.driver) return;
        loop_->AddTimerAfter(kAskDriverAgain, [this, id] {
          const auto late = jobs_.find(id);
          if (late == jobs_.end()) return;
          late->second.asked_for_driver = false;
          if (!late->second.early_lines.empty()) AskForDriver(id);
        });
      });
}

void NodeShell::OnJobs(const proto::ListJobsReply& reply) {
  for (const auto& info : reply.jobs()) {
    auto it = jobs_.find(model::JobId{info.id()});
    if (it == jobs_.end() || info.driver() == 0) continue;
    it->second.driver = ProcessId{info.driver()};
    for (proto::LogLines& lines : std::exchange(it->second.early_lines, {})) {
      DeliverLines(it->first, std::move(lines));
    }
  }
}

void NodeShell::Broadcast(const proto::DaemonMessage& message) {
  for (const auto& [id, process] : table_->all()) {
    if (process->welcomed) table_->Send(*process, message);
  }
}

}  // namespace rayx::node
