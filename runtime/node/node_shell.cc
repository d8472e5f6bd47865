#include "node/node_shell.h"

#include <signal.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "base/log.h"
#include "node/wire.h"
#include "rpc/errors.h"
#include "scheduling/wire.h"

namespace rayx::node {

using model::NodeNumber;
using model::ProcessId;
using std::chrono::milliseconds;

namespace {

constexpr auto kTick = milliseconds(50);
constexpr auto kRoomTick = milliseconds(1);
constexpr auto kAllocateWait = milliseconds(4000);  // what a user gets wrong is told within 5 s
constexpr auto kChildrenEnd = milliseconds(1000);
constexpr size_t kJobsMax = 4096;
constexpr int64_t kWorkersPerCpu = 4;
constexpr int64_t kWorkersExtra = 64;
constexpr char kNodeEnds[] = "the node ends";

std::string RandomWord() {
  uint64_t words[2] = {};
  if (::getrandom(words, sizeof words, 0) != sizeof words) {
    words[0] = static_cast<uint64_t>(::getpid());
    words[1] = static_cast<uint64_t>(io::PosixClock().Now().time_since_epoch().count());
  }
  char text[40];
  std::snprintf(text, sizeof text, "%016lx%016lx", static_cast<unsigned long>(words[0]),
                static_cast<unsigned long>(words[1]));
  return text;
}

// A handler and not a mask with signalfd: threads that were there before us have no such mask.
std::atomic<int> stop_event{-1};

void OnStopSignal(int) {
  const int error = errno;
  (void)::eventfd_write(stop_event.load(std::memory_order_relaxed), 1);
  errno = error;
}

void TakeStopSignals(int event_fd) {
  stop_event = event_fd;
  struct sigaction action {};
  action.sa_handler = event_fd >= 0 ? OnStopSignal : SIG_DFL;
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGTERM, &action, nullptr);
  ::sigaction(SIGINT, &action, nullptr);
}

// Each worker costs about ten descriptors.
void RaiseOpenFiles() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

NodeShell::NodeShell(const NodeOptions& options) : options_(options), registration_(RandomWord()) {}

NodeShell::~NodeShell() {
  *alive_ = false;
  if (signals_) TakeStopSignals(-1);
}

base::Status NodeShell::Start() {
  RaiseOpenFiles();
  if (!io::AdoptOrphans()) RAYX_LOG(kWarning) << "children of workers may outlive this node";
  RAYX_ASSIGN_OR_RETURN(auto loop, io::Loop::Create(clock_));
  loop_ = std::move(loop);
  ::signal(SIGPIPE, SIG_IGN);
  signals_.Reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  RAYX_RETURN_IF_ERROR(loop_->AddFd(signals_.get(), EPOLLIN, [this](uint32_t) { OnSignal(); }));
  TakeStopSignals(signals_.get());
  RAYX_RETURN_IF_ERROR(StartServer());
  RAYX_RETURN_IF_ERROR(RegisterAtHead());
  RAYX_RETURN_IF_ERROR(StartLocal());
  head_->StartHeartbeats(self_.value);
  Tick();
  RAYX_LOG(kInfo) << "node " << ToString(self_) << " of cluster " << cluster_ << " serves at "
                  << server_->address().ToString() << " with " << options_.resources.ToString();
  if (options_.on_ready) options_.on_ready({self_, cluster_, server_->address()});
  return absl::OkStatus();
}

base::Status NodeShell::StartServer() {
  PeerNodesEvents events;
  events.on_frame = [this](const model::FrameHeader& header, std::span<const std::byte> body,
                           NodeNumber from) {
    if (router_) router_->Deliver(header, body, from);
  };
  events.on_undelivered = [this](const model::FrameHeader& header, const proto::ErrorInfo& why) {
    if (router_) router_->Undeliverable(header, why);
  };
  events.on_room = [] {};  // BeforeSleep drains in each round
  peers_ =
      std::make_unique<PeerNodes>(*loop_, registration_, options_.credentials, std::move(events));
  rpc::ServerOptions server;
  server.ip = options_.listen_ip;
  server.port = options_.port;
  server.credentials = options_.credentials;
  server_ = std::make_unique<rpc::RpcServer>(server);
  AddHandlers();
  part_server_ = std::make_unique<PartServer>(Poster(), [this](const std::string& sha256) {
    return parts_ ? parts_->Find(sha256) : nullptr;
  });
  part_server_->AddTo(*server_);
  RAYX_RETURN_IF_ERROR(StartDataPlane());
  return server_->Start();
}

base::Status NodeShell::StartDataPlane() {
  RAYX_ASSIGN_OR_RETURN(data_threads_, store::DataThreads::Start());
  store::DataServerOptions server;
  server.ip = options_.listen_ip;
  server.credentials = options_.credentials;
  RAYX_ASSIGN_OR_RETURN(data_server_,
                        store::DataServer::Start(std::move(server), *data_threads_, Poster()));
  store::DataClientOptions client;
  client.credentials = options_.credentials;
  client.find_peer = [this](NodeNumber node) { return peers_->DataAddress(node); };
  RAYX_ASSIGN_OR_RETURN(data_client_, store::DataClient::Make(std::move(client), *data_threads_));
  return base::OkStatus();
}

base::Status NodeShell::RegisterAtHead() {
  HeadLinkOptions options;
  options.head = options_.head;
  options.credentials = options_.credentials;
  options.lost_after = options_.head_lost_after;
  HeadLinkEvents events;
  events.fill_heartbeat = [this](proto::HeartbeatRequest& request) { FillHeartbeat(request); };
  events.on_view = [this](const proto::HeartbeatReply& reply) { OnView(reply); };
  events.on_lost = [this](const proto::ErrorInfo& error) { OnHeadLost(error); };
  head_ = std::make_unique<HeadLink>(loop_, std::move(options), std::move(events));
  proto::RegisterNodeRequest request;
  *request.mutable_versions() = OwnClientVersions();
  request.set_registration(registration_);
  request.set_host_name(options_.host_name);
  request.set_address(server_->address().ToString());
  request.set_data_port(data_server_->address().port);
  *request.mutable_total() = scheduling::ToWire(options_.resources);
  for (const auto& [key, value] : options_.labels) {
    auto* label = request.add_labels();
    label->set_key(key);
    label->set_value(value);
  }
  request.set_pid(::getpid());
  request.set_store_bytes(options_.store_bytes);
  request.set_beside_head(options_.beside_head);
  RAYX_ASSIGN_OR_RETURN(const proto::RegisterNodeReply reply,
                        head_->Register(request, options_.register_wait));
  self_ = NodeNumber{reply.node()};
  cluster_ = reply.cluster();
  peers_->SetSelf(self_);
  NodeCoreOptions core;
  core.leases.self = self_;
  core.leases.total = options_.resources;
  const int64_t cpus = options_.resources.Get(model::kCpu) / model::kResourceUnit;
  core.leases.task_workers_max = static_cast<uint32_t>(kWorkersPerCpu * cpus + kWorkersExtra);
  core_ = std::make_unique<NodeCore>(core);
  ApplyNodes(reply.nodes());
  return absl::OkStatus();
}

base::Status NodeShell::StartLocal() {
  table_ = std::make_unique<ProcessTable>(self_);
  RAYX_RETURN_IF_ERROR(table_->Prepare());
  table_->on_queue_changed = [this](LocalProcess& process) { UpdateWatch(process); };
  doorbell_ = std::make_unique<shm::DoorbellConsumer>(*table_->daemon().page,
                                                      table_->daemon().event_fd.get());
  RAYX_RETURN_IF_ERROR(loop_->AddFd(table_->daemon().event_fd.get(), EPOLLIN, [](uint32_t) {}));
  FrameRouter::Outside outside;
  outside.send = [this](const model::FrameHeader& header, std::span<const std::byte> body,
                        std::string& why) { return peers_->Send(header, body, why); };
  outside.is_full = [this](const model::FrameHeader& header) { return peers_->IsFull(header); };
  outside.receive = [this](const model::FrameHeader& header, std::span<const std::byte> body) {
    OnFrameForDaemon(header, body);
  };
  outside.on_corrupt = [this](LocalProcess& process, std::string_view why) {
    OnCorrupt(process, std::string(why));
  };
  outside.on_delivered = [this](NodeNumber from, const model::FrameHeader& header) {
    peers_->OnDelivered(from, header);
  };
  router_ = std::make_unique<FrameRouter>(self_, *table_, std::move(outside));
  WorkerStarterEvents events;
  events.on_zygote_ready = [this](const std::string& key, bool can_fork) {
    core_->OnZygoteReady(key, can_fork, Now(), effects_);
    RunEffects();
  };
  events.on_zygote_gone = [this](const std::string& key, ErrorCode code,
                                 const std::string& reason) {
    core_->OnZygoteGone(key, reason, Now(), effects_, code);
    RunEffects();
  };
  events.on_hello = [this](StartedWorker worker) { OnWorkerHello(std::move(worker)); };
  events.image_of = [this](const std::string& key) { return parts_->ImageOf(key); };
  events.on_start_failed = [this](StartId start, ErrorCode code, const std::string& reason) {
    core_->OnStartFailed(start, reason, Now(), effects_, code);
    RunEffects();
  };
  events.on_lines = [this](StartId start, bool is_stderr, std::vector<std::string> lines) {
    OnWorkerLines(start, is_stderr, std::move(lines));
  };
  starter_ = std::make_unique<WorkerStarter>(*loop_, options_.session_folder, options_.log_limits,
                                             std::move(events));
  MakeStore();
  MakeParts();
  RAYX_ASSIGN_OR_RETURN(listener_,
                        io::PacketListener::Listen(options_.session_folder + "/node.sock"));
  RAYX_RETURN_IF_ERROR(loop_->AddFd(listener_.fd(), EPOLLIN, [this](uint32_t) { OnAccept(); }));
  loop_->SetBeforeSleep([this] { return BeforeSleep(); });
  return absl::OkStatus();
}

void NodeShell::MakeStore() {
  store::NodeStoreOptions options;
  options.node = self_;
  options.store_bytes = options_.store_bytes;
  options.allocate_wait = kAllocateWait;
  options.post = [loop = loop_, alive = alive_](std::function<void()> call) {
    return loop->PostAlways([alive, call = std::move(call)] {
      if (*alive) call();
    });
  };
  options.on_orphan = [this](const model::StoredLocation& left) { OfferLeft(left); };
  options.forward_free = [this](NodeNumber node, const model::StoredLocation& source) {
    proto::NotifyRequest request;
    *request.add_freed() = scheduling::ToWire(source);
    Notify(node, request);
  };
  data_client_->SetSelf(self_);
  store_ = std::make_unique<store::NodeStore>(std::move(options), clock_, data_client_.get());
  data_server_->SetStore(*store_);
}

void NodeShell::MakeParts() {
  ProgramPartsOptions options;
  options.session_folder = options_.session_folder;
  options.host_name = options_.host_name;
  const char* search_path = std::getenv("LD_LIBRARY_PATH");
  if (search_path != nullptr) options.search_path = search_path;
  options.self = self_;
  options.find_channel = [this](NodeNumber node) -> std::shared_ptr<grpc::Channel> {
    rpc::RpcChannel* channel = peers_->Channel(node);
    return channel == nullptr ? nullptr : channel->grpc_channel();
  };
  options.on_plan = [this](const std::string& key, const RunPlan& plan) {
    starter_->SetPlan(key, plan);
  };
  parts_ = std::make_unique<ProgramParts>(*loop_, std::move(options));
}

std::function<bool(std::function<void()>)> NodeShell::Poster() {
  return [loop = loop_, alive = alive_](std::function<void()> call) {
    return loop->Post([alive, call = std::move(call)] {
      if (*alive) call();
    });
  };
}

// The rings have no descriptor: they are looked at before each sleep, and the doorbell is armed.
bool NodeShell::BeforeSleep() {
  doorbell_->DisarmAttendant();
  const bool more = router_->Drain();
  peers_->Flush();
  if (more) return true;
  if (router_->stalled() && room_timer_ == 0) {
    room_timer_ = loop_->AddTimerAfter(kRoomTick, [this] { room_timer_ = 0; });
  }
  return !doorbell_->ArmAttendant([this] { return router_->HasWork(); });
}

void NodeShell::Tick() {
  loop_->AddTimerAfter(kTick, [this] { Tick(); });
  core_->OnTick(Now(), effects_);
  RunEffects();
  store_->Tick();
  starter_->Tick();
  parts_->Tick();
  for (const auto& [id, process] : table_->all()) process->channel->GiveBackWhenIdle(Now());
  ReapStrangers();
}

void NodeShell::FillHeartbeat(proto::HeartbeatRequest& request) const {
  *request.mutable_available() = scheduling::ToWire(Available());
  request.set_queued_leases(static_cast<uint32_t>(core_->leases().queued()));
  request.set_workers(static_cast<uint32_t>(core_->pool().workers()));
  request.set_store_used_bytes(store_->used_bytes());
  for (const auto& [id, job] : jobs_) request.add_jobs(id.value);
}

// What others may count on: a CPU that is used twice for a moment is none.
model::ResourceSet NodeShell::Available() const {
  model::ResourceSet available = core_->leases().ledger().available();
  for (const auto& [name, total] : options_.resources.units()) {
    if (available.Get(name) < 0) available.Set(name, 0);
  }
  return available;
}

void NodeShell::OnView(const proto::HeartbeatReply& reply) {
  ApplyNodes(reply.nodes());
  for (uint32_t job : reply.ended_jobs()) {
    EndJob(model::JobId{job}, "the head says that it has ended", false);
  }
}

void NodeShell::ApplyNodes(const google::protobuf::RepeatedPtrField<proto::NodeInfo>& nodes) {
  std::vector<scheduling::NodeView> views;
  for (const auto& node : nodes) {
    auto view = scheduling::FromWire(node);
    if (!view.ok()) {
      RAYX_LOG(kWarning) << "the head sent a node that cannot be: " << base::Message(view.status());
      continue;
    }
    if (!view->alive) {
      OnNodeDead(view->number, view->death_reason);
      continue;
    }
    peers_->OnNode(*view);
    views.push_back(*std::move(view));
  }
  core_->OnClusterView(views, Now(), effects_);
  RunEffects();
  if (!parts_) return;
  std::vector<NodeNumber> alive;
  for (const scheduling::NodeView& view : views) alive.push_back(view.number);
  parts_->OnNodes(alive);
}

void NodeShell::OnHeadLost(const proto::ErrorInfo& error) {
  RAYX_LOG(kError) << "the cluster is lost: " << error.message();
  proto::DaemonMessage message;
  *message.mutable_head_lost()->mutable_error() = error;
  Broadcast(message);
  Stop(rpc::ToStatus(error));
}

void NodeShell::OnSignal() {
  eventfd_t count = 0;
  if (::eventfd_read(signals_.get(), &count) != 0) return;
  RAYX_LOG(kInfo) << "a signal to stop has come";
  Stop(absl::OkStatus());
}

void NodeShell::Stop(const base::Status& why) {
  if (stopping_) return;
  stopping_ = true;
  outcome_ = why;
  if (!core_ || !table_) return loop_->Stop();
  loop_->RemoveFd(listener_.fd());
  proto::DaemonMessage exit;
  exit.mutable_exit()->set_reason(kNodeEnds);
  for (const auto& [id, process] : table_->all()) {
    if (process->role != proto::WORKER) continue;
    if (process->end_reason.empty()) process->end_reason = kNodeEnds;
    table_->Send(*process, exit);
  }
  // Workers have a moment to flush what they print.
  const auto deadline = Now() + std::chrono::seconds(1);
  const auto wait = std::make_shared<std::function<void()>>();
  *wait = [this, deadline, wait = std::weak_ptr(wait)] {
    const bool any = std::any_of(table_->all().begin(), table_->all().end(),
                                 [](const auto& p) { return p.second->role == proto::WORKER; });
    const auto again = wait.lock();
    if (!any || Now() >= deadline || !again) return loop_->Stop();
    loop_->AddTimerAfter(milliseconds(20), [again] { (*again)(); });
  };
  loop_->Post([wait] { (*wait)(); });
}

// After the loop: nothing is decided any more.
void NodeShell::Finish() {
  if (!loop_) return;
  if (head_ && self_) {
    head_->Leave(self_.value,
                 outcome_.ok() ? "it was stopped" : std::string(base::Message(outcome_)));
  }
  if (starter_) starter_->Stop();
  if (table_) {
    for (const auto& [id, process] : table_->all()) {
      if (process->role != proto::WORKER) continue;
      io::Signal(process->pidfd.get(), SIGKILL);
    }
    for (const auto& [id, process] : table_->all()) {
      if (process->role != proto::WORKER) continue;
      siginfo_t info{};
      ::waitid(P_PID, static_cast<id_t>(process->pid), &info, WEXITED);
    }
  }
  // What user programs have left behind, out of reach by setsid: it has come to us by its parent's
  // end.
  if (table_ && !io::EndAllChildren(kChildrenEnd)) {
    RAYX_LOG(kWarning) << "children of workers are left";
  }
  if (data_server_) data_server_->Stop();
  if (part_server_) part_server_->Stop();
  if (parts_) parts_->Stop();
  if (store_) store_->Stop();
  if (data_client_) data_client_->Stop();
  if (data_threads_) data_threads_->Stop();
  *alive_ = false;
  loop_->Close();  // drops calls of others that wait for an answer
  if (head_) head_->Stop();
  remote_asks_.clear();
  if (peers_) peers_->Stop();
  if (server_) server_->Stop(milliseconds(200));
}

void NodeShell::OpenJob(model::JobId job, const proto::Program& program,
                        const std::string& job_namespace) {
  if (!program.key().empty()) starter_->AddProgram(program, job);
  auto [it, added] = jobs_.try_emplace(job);
  if (it->second.program_key.empty()) {
    it->second.program_key = program.key();
    it->second.source_node = program.source_node();
  }
  if (it->second.job_namespace.empty()) it->second.job_namespace = job_namespace;
  if (!added) return;
  if (const auto status = store_->OpenJob(job); !status.ok()) {
    RAYX_LOG(kWarning) << "the store of job " << job.value << ": " << base::Message(status);
  }
}

base::Status NodeShell::OpenForeignJob(model::JobId job) {
  if (!job || ended_jobs_.count(job) != 0) {
    return absl::NotFoundError("job " + std::to_string(job.value) + " has ended");
  }
  if (jobs_.count(job) == 0) {
    if (jobs_.size() >= kJobsMax) {
      return absl::ResourceExhaustedError("this node has values of " + std::to_string(kJobsMax) +
                                          " jobs already");
    }
    OpenJob(job, proto::Program{});
  }
  return store_->OpenJob(job);  // open already, or why it is not
}

void NodeShell::FillProgram(model::JobId job, const std::string& key,
                            proto::Program& program) const {
  const proto::Program* known = starter_->Program(key);
  if (known == nullptr) return;
  program = *known;
  auto it = jobs_.find(job);
  if (it != jobs_.end() && it->second.source_node != 0) {
    program.set_source_node(it->second.source_node);
  }
}

int RunNodeDaemon(const NodeOptions& options, std::string* why) {
  NodeShell shell(options);
  base::Status status = shell.Start();
  if (status.ok()) {
    shell.Run();
    status = shell.outcome();
  }
  shell.Finish();
  if (status.ok()) return 0;
  RAYX_LOG(kError) << "the node ends: " << base::Message(status);
  if (why != nullptr) *why = std::string(base::Message(status));
  return 1;
}

}  // namespace rayx::node
