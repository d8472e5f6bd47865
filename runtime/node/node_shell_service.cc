// NodeShell: calls of the head, of other daemons, of the command line.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "base/fd.h"
#include "base/file_tail.h"
#include "base/log.h"
#include "node/node_shell.h"
#include "node/wire.h"
#include "rpc/errors.h"
#include "scheduling/wire.h"

namespace rayx::node {

using model::LeaseId;
using model::NodeNumber;
using model::ProcessId;

namespace {

constexpr uint32_t kSpillsMax = LeaseCore::kSpillsMax;

base::Status NotYet() {
  return absl::UnavailableError("the node daemon is starting or ending");
}

// "n3.p17/42", as RemoteLeaseRequest.id has it.
bool ParseRemoteId(const std::string& id, RequestKey& key) {
  unsigned node = 0;
  unsigned number = 0;
  unsigned long long request = 0;
  if (std::sscanf(id.c_str(), "n%u.p%u/%llu", &node, &number, &request) != 3) return false;
  key = RequestKey{ProcessId::Make(NodeNumber{node}, number), request, 0};
  return true;
}

}  // namespace

// Hands a call over to the loop; the handler fills in the reply.
template <typename Request, typename Reply>
void NodeShell::Handle(const rpc::Method<Request, Reply>& method,
                       void (NodeShell::*handler)(const Request&, Reply&)) {
  server_->Handle<Request, Reply>(method, [this, loop = loop_, alive = alive_, handler](
                                              Request& request, rpc::Responder<Reply> responder) {
    auto own = std::make_shared<Request>(std::move(request));
    auto answer = std::make_shared<rpc::Responder<Reply>>(std::move(responder));
    const bool posted = loop->Post([this, alive, handler, own, answer] {
      if (!*alive || !store_ || stopping_) return answer->Fail(NotYet());
      Reply reply;
      (this->*handler)(*own, reply);
      answer->Reply(reply);
    });
    if (!posted) answer->Fail(absl::UnavailableError("the node daemon is overloaded"));
  });
}

template <typename Request, typename Reply>
void NodeShell::HandleLater(const rpc::Method<Request, Reply>& method,
                            void (NodeShell::*handler)(const Request&,
                                                       std::shared_ptr<rpc::Responder<Reply>>)) {
  server_->Handle<Request, Reply>(method, [this, loop = loop_, alive = alive_, handler](
                                              Request& request, rpc::Responder<Reply> responder) {
    auto own = std::make_shared<Request>(std::move(request));
    auto answer = std::make_shared<rpc::Responder<Reply>>(std::move(responder));
    const bool posted = loop->Post([this, alive, handler, own, answer] {
      if (!*alive || !store_ || stopping_) return answer->Fail(NotYet());
      (this->*handler)(*own, answer);
    });
    if (!posted) answer->Fail(absl::UnavailableError("the node daemon is overloaded"));
  });
}

void NodeShell::AddHandlers() {
  HandleLater(rpc::kNodeLease, &NodeShell::OnRemoteLease);
  HandleLater(rpc::kNodeStartActor, &NodeShell::OnStartActor);
  Handle(rpc::kNodeCancelLease, &NodeShell::OnRemoteLeaseCancel);
  Handle(rpc::kNodeReturnLease, &NodeShell::OnRemoteLeaseReturn);
  Handle(rpc::kNodeStopActor, &NodeShell::OnStopActor);
  Handle(rpc::kNodeNotify, &NodeShell::OnNotify);
  Handle(rpc::kNodeJobEnded, &NodeShell::OnJobEnded);
  Handle(rpc::kNodeState, &NodeShell::OnState);
  Handle(rpc::kNodeLogs, &NodeShell::OnLogs);
  Handle(rpc::kNodeStop, &NodeShell::OnNodeStop);
  server_->HandleStream(
      rpc::kNodeFrames,
      [loop = loop_, events = peers_->incoming_events()]() -> rpc::ServerStreamBase* {
        return new IncomingStream(*loop, events);
      });
}

void NodeShell::OnRemoteLease(const proto::RemoteLeaseRequest& wire, LeaseResponder responder) {
  const ProcessId owner{wire.owner()};
  const model::JobId job{wire.request().scheduling_class().job()};
  auto request = LeaseFromWire(wire.request(), owner, job);
  if (!request.ok() || !owner.node() || owner.node() == self_ || !job ||
      wire.program().key().empty()) {
    return responder->Fail(request.ok() ? absl::InvalidArgumentError("owner, job or program")
                                        : request.status());
  }
  if (ended_jobs_.count(job) != 0) {
    proto::RemoteLeaseReply reply;
    *reply.mutable_failed()->mutable_error() =
        rpc::MakeErrorInfo(ErrorCode::kCancelled, "the job has ended");
    return responder->Reply(reply);
  }
  OpenJob(job, wire.program(), wire.job_namespace());
  AskForDriver(job);
  request->program_key = wire.program().key();
  request->asking = owner.node();
  request->spill_count = std::min(wire.spill_count(), kSpillsMax);
  remote_asks_[request->key].push_back(std::move(responder));
  parts_->Want(wire.program(), job, [this, lease = *request](const proto::ErrorInfo& error) {
    OnPartsOfLease(lease, error);
  });
}

void NodeShell::OnPartsOfLease(LeaseRequest request, const proto::ErrorInfo& error) {
  if (remote_asks_.count(request.key) == 0) return;  // cancelled, or answered as a repeat
  proto::ErrorInfo wrong = error;
  if (wrong.code() == 0 && ended_jobs_.count(request.job) != 0) {
    wrong = rpc::MakeErrorInfo(ErrorCode::kCancelled, "the job has ended");
  }
  if (wrong.code() != 0) {
    proto::RemoteLeaseReply reply;
    *reply.mutable_failed()->mutable_error() = std::move(wrong);
    return AnswerRemote(request.key, reply);
  }
  core_->OnLeaseRequest(request, Now(), effects_);
  RunEffects();
}

void NodeShell::OnRemoteLeaseCancel(const proto::RemoteLeaseCancel& request,
                                    proto::RemoteLeaseCancelReply&) {
  RequestKey key;
  if (!ParseRemoteId(request.id(), key)) return;
  core_->OnLeaseCancel(key, Now(), effects_);
  RunEffects();
  AnswerRemote(key, proto::RemoteLeaseReply{});  // nobody listens any more
}

void NodeShell::OnRemoteLeaseReturn(const proto::RemoteLeaseReturn& request,
                                    proto::RemoteLeaseReturnReply&) {
  core_->OnLeaseReturn(LeaseId{request.lease()}, request.worker_failed(), Now(), effects_);
  RunEffects();
}

void NodeShell::OnStartActor(const proto::StartActorRequest& request, ActorResponder responder) {
  const proto::ActorSpec& spec = request.spec();
  const model::JobId job{spec.job()};
  const auto answer = [responder](const proto::ErrorInfo& error) {
    proto::StartActorReply reply;
    if (error.code() != 0) *reply.mutable_error() = error;
    responder->Reply(reply);
  };
  auto resources = scheduling::FromWire(spec.lifetime_resources());
  if (!resources.ok() || request.incarnation() == 0 || spec.id().creator() == 0 || !job ||
      spec.program().key().empty()) {
    return answer(rpc::MakeErrorInfo(ErrorCode::kInvalidOption,
                                     resources.ok()
                                         ? "an actor without id, incarnation, job or program"
                                         : std::string(base::Message(resources.status()))));
  }
  const auto has_ended = [this, job] { return ended_jobs_.count(job) != 0; };
  const auto ended = rpc::MakeErrorInfo(ErrorCode::kCancelled, "the job has ended");
  if (has_ended()) return answer(ended);
  OpenJob(job, spec.program(), spec.job_namespace());
  if (!jobs_[job].driver) AskForDriver(job);
  parts_->Want(spec.program(), job,
               [=, this, resources = *std::move(resources)](const proto::ErrorInfo& error) {
                 if (error.code() == 0 && has_ended()) return answer(ended);
                 if (error.code() == 0) StartActor(request, resources);
                 answer(error);
               });
}

void NodeShell::StartActor(const proto::StartActorRequest& request,
                           const model::ResourceSet& resources) {
  const proto::ActorSpec& spec = request.spec();
  LeaseRequest placement;
  placement.job = model::JobId{spec.job()};
  placement.resources = resources;
  placement.program_key = spec.program().key();
  core_->OnStartActor(spec, request.incarnation(), placement, Now(), effects_);
  RunEffects();
}

void NodeShell::OnStopActor(const proto::StopActorRequest& request, proto::StopActorReply&) {
  core_->OnStopActor({scheduling::FromWire(request.id()), request.incarnation()}, request.reason(),
                     Now(), effects_);
  RunEffects();
}

void NodeShell::OnNotify(const proto::NotifyRequest& request, proto::NotifyReply&) {
  for (const auto& lines : request.logs()) SendLines(ProcessId{lines.driver()}, lines);
  for (const auto& wire : request.freed()) {
    const model::StoredLocation location = scheduling::FromWire(wire);
    if (location.node == self_) {
      store_->Free(location, location.object.owner);
    } else {
      store_->FreeCopy(location);
    }
  }
  TellLeft(request.left());
  if (request.recalled_lease() != 0) {
    const LeaseId lease{request.recalled_lease()};
    const ProcessId owner = core_->leases().OwnerOfRemote(lease);
    if (owner) Recall({lease, owner, request.recalled_if_idle()});
  }
}

void NodeShell::OnJobEnded(const proto::JobEndedRequest& request, proto::JobEndedReply&) {
  EndJob(model::JobId{request.job()}, "the head says that it has ended", false);
}

proto::NodeInfo NodeShell::OwnInfo() const {
  proto::NodeInfo info;
  info.set_number(self_.value);
  info.set_host_name(options_.host_name);
  info.set_address(server_->address().ToString());
  *info.mutable_total() = scheduling::ToWire(core_->leases().ledger().total());
  *info.mutable_available() = scheduling::ToWire(Available());
  for (const auto& [key, value] : options_.labels) {
    auto* label = info.add_labels();
    label->set_key(key);
    label->set_value(value);
  }
  info.set_alive(true);
  info.set_pid(::getpid());
  info.set_store_bytes(options_.store_bytes);
  info.set_store_used_bytes(store_->used_bytes());
  info.set_is_head(options_.beside_head);
  info.set_workers(static_cast<uint32_t>(core_->pool().workers()));
  info.set_queued_leases(static_cast<uint32_t>(core_->leases().queued()));
  return info;
}

void NodeShell::OnState(const proto::NodeStateRequest&, proto::NodeState& reply) {
  constexpr int kRowsMax = 10000;  // of each kind: the message has to stay below 8 MiB
  *reply.mutable_node() = OwnInfo();
  for (const auto& [id, process] : table_->all()) {
    if (reply.workers_size() >= kRowsMax) break;
    auto* worker = reply.add_workers();
    worker->set_process(id.value);
    worker->set_pid(process->pid);
    const LeaseId lease = core_->leases().LeaseOf(id);
    worker->set_state(process->role == proto::DRIVER ? "driver" : core_->pool().StateOf(id));
    if (lease && core_->leases().ledger().IsBlocked(lease.value)) worker->set_state("blocked");
    worker->set_job(process->job.value);
    const ActorLife life = core_->actors().LifeOf(id);
    if (life.incarnation != 0) worker->set_actor(ToString(life.id));
    worker->set_title(process->plate.page->title());
    worker->set_lease(lease.value);
  }
  core_->leases().ForEach(
      [&](LeaseId id, const LeaseRequest& request, ProcessId worker, const char* state) {
        if (reply.leases_size() >= kRowsMax) return;
        auto* lease = reply.add_leases();
        lease->set_lease(id.value);
        lease->set_owner(request.key.owner.value);
        lease->set_worker(worker.value);
        *lease->mutable_resources() = scheduling::ToWire(request.resources);
        lease->set_state(state);
      });
  for (const store::ObjectView& view : store_->Objects()) {
    if (reply.objects_size() >= kRowsMax) break;
    auto* object = reply.add_objects();
    *object->mutable_id() = scheduling::ToWire(view.object);
    object->set_bytes(view.bytes);
    object->set_state(view.state);
    object->set_job(view.job.value);
    object->set_pins(view.is_pinned ? 1 : 0);
    object->set_primary(view.is_primary);
  }
}

void NodeShell::OnLogs(const proto::LogRequest& request, proto::LogReply& reply) {
  const std::string folder = options_.session_folder + "/logs";
  if (request.file().empty()) {
    DIR* entries = ::opendir(folder.c_str());
    if (entries == nullptr) return;
    while (const dirent* entry = ::readdir(entries)) {
      if (entry->d_name[0] != '.') reply.add_files(entry->d_name);
    }
    ::closedir(entries);
    std::sort(reply.mutable_files()->begin(), reply.mutable_files()->end());
    return;
  }
  const auto refuse = [&](const std::string& why) {
    *reply.mutable_error() = rpc::MakeErrorInfo(ErrorCode::kInvalidOption, why);
  };
  if (request.file().find('/') != std::string::npos || request.file()[0] == '.') {
    return refuse("a log file is named without a folder");
  }
  const std::string path = folder + "/" + request.file();
  // Not blocking, and of files alone: user code may have put a pipe or a link there.
  const base::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
  struct stat info = {};
  if (!file || ::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return refuse("there is no log file " + request.file());
  }
  const size_t wanted = std::min<size_t>(request.tail_lines(), base::kSentTailLinesMax);
  const base::FileTail tail = base::ReadTail(file.get(), wanted, base::kSentTailBytesMax);
  for (std::string& line : base::LinesOf(tail.text)) reply.add_lines(ValidUtf8(std::move(line)));
}

void NodeShell::OnNodeStop(const proto::NodeStopRequest& request, proto::NodeStopReply&) {
  RAYX_LOG(kInfo) << "told to stop: " << request.reason();
  // After the answer has left.
  loop_->AddTimerAfter(std::chrono::milliseconds(50), [this] { Stop(absl::OkStatus()); });
}

}  // namespace rayx::node
