// runtime/node/node_shell.h
//
// The shell of the node daemon: decodes what processes, the head and other daemons say, asks
// NodeCore, and runs what it decides.
// Owner:    RunNodeDaemon.
// Threads:  the main thread, in the node loop. gRPC's threads and the data threads only post.
// Inputs:   node.sock, worker sockets, pidfds, rings, calls of the service Node, heartbeats.
// Promises: see node_daemon.h.
//
// Files: node_shell.cc (life, ticks), _greetings.cc (processes that come), _local.cc (their
// messages), _objects.cc (the store, output), _effects.cc (what the core asks for), _deaths.cc
// (ends of processes, jobs, nodes), _service.cc (calls of the head and other daemons).
#pragma once

#include <deque>
#include <memory>
#include <set>
#include <string>

#include "io/clock.h"
#include "io/loop.h"
#include "io/packet_socket.h"
#include "node/core/node_core.h"
#include "node/frame_router.h"
#include "node/head_link.h"
#include "node/node_daemon.h"
#include "node/parts/part_server.h"
#include "node/parts/program_parts.h"
#include "node/peer_nodes.h"
#include "node/process_table.h"
#include "node/worker_starter.h"
#include "rpc/server.h"
#include "store/node_store.h"
#include "store/transfer/data_client.h"
#include "store/transfer/data_server.h"

namespace rayx::node {

class NodeShell {
 public:
  explicit NodeShell(const NodeOptions& options);
  ~NodeShell();

  base::Status Start();
  void Run() { loop_->Run(); }
  // Why Run returned; OK when it was told to.
  const base::Status& outcome() const { return outcome_; }
  void Finish();

 private:
  struct Greeting {  // a connection that has not said Hello
    std::unique_ptr<Connection> connection;
    int32_t pid = 0;
    io::Loop::TimerId deadline = 0;
  };
  struct Job {
    model::ProcessId driver;  // none: not known here yet
    std::string program_key;
    uint32_t source_node = 0;  // of the program's files
    std::string job_namespace;
    bool asked_for_driver = false;
    std::vector<proto::LogLines> early_lines;  // until the driver is known
  };
  struct Lingering {  // left the cluster, lives on: its pins hold
    model::ProcessId id;
    base::UniqueFd pidfd;
  };
  using LeaseResponder = std::shared_ptr<rpc::Responder<proto::RemoteLeaseReply>>;
  using ActorResponder = std::shared_ptr<rpc::Responder<proto::StartActorReply>>;

  // --- life (node_shell.cc)
  base::Status StartServer();
  base::Status StartDataPlane();
  base::Status RegisterAtHead();
  base::Status StartLocal();
  void MakeStore();
  void MakeParts();
  std::function<bool(std::function<void()>)> Poster();
  bool BeforeSleep();
  void Tick();
  void OnView(const proto::HeartbeatReply& reply);
  void ApplyNodes(const google::protobuf::RepeatedPtrField<proto::NodeInfo>& nodes);
  void FillHeartbeat(proto::HeartbeatRequest& request) const;
  model::ResourceSet Available() const;
  void OnHeadLost(const proto::ErrorInfo& error);
  void OnSignal();
  void Stop(const base::Status& why);
  void OpenJob(model::JobId job, const proto::Program& program,
               const std::string& job_namespace = "");
  // A value of it is wanted on this node, where perhaps nothing of it runs. NotFound: it has ended.
  base::Status OpenForeignJob(model::JobId job);
  // For another node. Jobs of several drivers may have one program.
  void FillProgram(model::JobId job, const std::string& key, proto::Program& program) const;

  // --- processes (node_shell_greetings.cc, node_shell_local.cc, node_shell_objects.cc)
  void OnAccept();
  void PauseAccept(const std::string& why);
  void OnGreeting(int fd);
  void Refuse(int fd, ErrorCode code, const std::string& message);
  void OnDriverHello(std::unique_ptr<Connection> connection, int32_t pid,
                     const proto::Hello& hello);
  void RegisterDriver(std::unique_ptr<Connection> connection, int32_t pid, base::UniqueFd pidfd,
                      const proto::Hello& hello, const Manifest& manifest, model::TimePoint came);
  void WelcomeDriver(model::ProcessId driver, const Manifest& manifest,
                     base::StatusOr<proto::RegisterJobReply> reply);
  void OnWorkerHello(StartedWorker worker);
  void Welcome(LocalProcess& process);
  void WatchProcess(LocalProcess& process);
  void OnSocket(model::ProcessId id, uint32_t events);
  void OnSocketLost(LocalProcess& process);
  void OnMessage(LocalProcess& process, const proto::ClientMessage& message);
  void OnLeaseRequest(LocalProcess& process, const proto::LeaseRequest& request);
  void OnConnectPeer(LocalProcess& process, model::ProcessId other);
  void OnHeadRequest(LocalProcess& process, const proto::HeadRequest& request);
  void StartPolls();
  void CallHead(const proto::HeadRequest& request, std::chrono::milliseconds deadline);
  void OnAllocate(LocalProcess& process, const proto::Allocate& request);
  void OnFree(model::ProcessId from, const proto::Location& location);
  void OnPull(LocalProcess& process, const proto::Pull& request);
  base::Status AttachSegment(LocalProcess& process, model::JobId job);
  void OnAttachSegment(LocalProcess& process, model::JobId job);
  void OfferLeft(const model::StoredLocation& left);
  void SendLeft();
  void TellLeft(const google::protobuf::RepeatedPtrField<proto::Location>& left);
  void UpdateWatch(LocalProcess& process);
  void OnGoodbye(LocalProcess& process, const proto::Goodbye& goodbye);
  void OnWorkerLines(StartId start, bool is_stderr, std::vector<std::string> lines);
  void DeliverLines(model::JobId job, proto::LogLines lines);
  void SendLines(model::ProcessId to, proto::LogLines lines);
  void AskForDriver(model::JobId job);
  void OnJobs(const proto::ListJobsReply& reply);
  void Broadcast(const proto::DaemonMessage& message);

  // --- effects (node_shell_effects.cc)
  void RunEffects();
  void RunStarts(NodeEffects& step);
  void RunLeases(NodeEffects& step);
  void RunGrant(const LeaseEffects::Granted& grant);
  void RunFailure(const LeaseEffects::Failed& failure);
  void AskNode(const LeaseEffects::AskNode& ask);
  void OnRemoteReply(const RequestKey& key, model::NodeNumber node,
                     const proto::RemoteLeaseReply& reply);
  void AnswerRemote(const RequestKey& key, const proto::RemoteLeaseReply& reply);
  void Recall(const LeaseEffects::Recall& recall);
  void EndWorker(const PoolEffects::EndWorker& end);
  void CreateActor(const ActorEffects::Create& creation);
  void OnFrameForDaemon(const model::FrameHeader& header, std::span<const std::byte> body);
  void Report(const ActorEffects::Report& report);

  // --- ends (node_shell_deaths.cc)
  void OnExit(model::ProcessId id);
  void OnCorrupt(LocalProcess& process, const std::string& why);
  void OnDriverLeft(LocalProcess& driver);
  proto::DeathCause CauseOf(LocalProcess& process);
  void TellDeath(LocalProcess& process, const proto::DeathCause& cause);
  void TellAllAfterAnswers(const std::shared_ptr<const proto::DaemonMessage>& message);
  void Forget(LocalProcess& process, const proto::DeathCause& cause);
  void OnRemoteDeath(const proto::ProcessDied& died);
  void EndJob(model::JobId job, const std::string& reason, bool tell_head);
  void RemoveJobFolder(model::JobId job);
  void OnNodeDead(model::NodeNumber node, const std::string& reason);
  void ReapStrangers();
  void Notify(model::NodeNumber node, const proto::NotifyRequest& request);

  // --- calls from outside (node_shell_service.cc)
  void AddHandlers();
  template <typename Request, typename Reply>
  void Handle(const rpc::Method<Request, Reply>& method,
              void (NodeShell::*handler)(const Request&, Reply&));
  // The same for a handler that answers later.
  template <typename Request, typename Reply>
  void HandleLater(const rpc::Method<Request, Reply>& method,
                   void (NodeShell::*handler)(const Request&,
                                              std::shared_ptr<rpc::Responder<Reply>>));
  void OnRemoteLease(const proto::RemoteLeaseRequest& request, LeaseResponder responder);
  void OnRemoteLeaseCancel(const proto::RemoteLeaseCancel& request,
                           proto::RemoteLeaseCancelReply& reply);
  void OnRemoteLeaseReturn(const proto::RemoteLeaseReturn& request,
                           proto::RemoteLeaseReturnReply& reply);
  void OnPartsOfLease(LeaseRequest request, const proto::ErrorInfo& error);
  void OnStartActor(const proto::StartActorRequest& request, ActorResponder responder);
  void StartActor(const proto::StartActorRequest& request, const model::ResourceSet& resources);
  void OnStopActor(const proto::StopActorRequest& request, proto::StopActorReply& reply);
  void OnNotify(const proto::NotifyRequest& request, proto::NotifyReply& reply);
  void OnJobEnded(const proto::JobEndedRequest& request, proto::JobEndedReply& reply);
  void OnState(const proto::NodeStateRequest& request, proto::NodeState& reply);
  void OnLogs(const proto::LogRequest& request, proto::LogReply& reply);
  void OnNodeStop(const proto::NodeStopRequest& request, proto::NodeStopReply& reply);

  model::TimePoint Now() const { return loop_->Now(); }
  proto::NodeInfo OwnInfo() const;

  const NodeOptions options_;
  const std::string registration_;  // random: names this start
  io::PosixClock clock_;
  std::shared_ptr<io::Loop> loop_;
  base::UniqueFd signals_;
  std::unique_ptr<rpc::RpcServer> server_;
  std::unique_ptr<HeadLink> head_;
  std::unique_ptr<PeerNodes> peers_;
  model::NodeNumber self_;
  std::string cluster_;
  std::unique_ptr<ProcessTable> table_;
  std::unique_ptr<FrameRouter> router_;
  std::unique_ptr<shm::DoorbellConsumer> doorbell_;
  std::unique_ptr<NodeCore> core_;
  std::unique_ptr<WorkerStarter> starter_;
  std::unique_ptr<store::DataThreads> data_threads_;
  std::unique_ptr<store::DataClient> data_client_;
  std::unique_ptr<store::NodeStore> store_;
  std::unique_ptr<store::DataServer> data_server_;
  std::unique_ptr<PartServer> part_server_;
  std::unique_ptr<ProgramParts> parts_;
  io::PacketListener listener_;
  NodeEffects effects_;
  bool running_effects_ = false;

  std::map<int, Greeting> greetings_;
  std::map<model::JobId, Job> jobs_;
  std::set<model::JobId> ended_jobs_;
  std::map<model::ProcessId, Lingering> lingering_;
  std::map<StartId, model::ProcessId> starts_;  // of the workers that said Hello
  std::map<RequestKey, std::vector<LeaseResponder>> remote_asks_;
  model::TimePoint next_stranger_hunt_{};
  std::map<pid_t, model::TimePoint> strangers_;  // zombies that nobody has claimed
  // Finished objects of dead writers, to be told to their owners elsewhere.
  std::map<model::NodeNumber, std::vector<model::StoredLocation>> left_;
  std::deque<proto::HeadRequest> waiting_polls_;  // long polls that wait for their turn at the head
  uint32_t polls_at_head_ = 0;
  model::TimePoint accept_warned_{};  // of a connection that could not be accepted
  io::Loop::TimerId room_timer_ = 0;
  bool stopping_ = false;
  base::Status outcome_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace rayx::node
