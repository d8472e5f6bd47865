#include "fake_cluster.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>

#include "node/node_daemon.h"
#include "node/wire.h"
#include "scheduling/wire.h"

namespace rayx::node::testing {
namespace {

constexpr char kToken[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

std::string OwnProgram() {
  return std::filesystem::read_symlink("/proc/self/exe");
}

model::ResourceSet Cpus(double cpus) {
  model::ResourceSet set;
  if (!set.SetDouble(model::kCpu, cpus).ok()) std::abort();
  return set;
}

}  // namespace

FakeHead::FakeHead() {
  credentials_.token = kToken;
  rpc::ServerOptions options;
  options.credentials = credentials_;
  server_ = std::make_unique<rpc::RpcServer>(options);
  server_->Handle<proto::RegisterNodeRequest, proto::RegisterNodeReply>(
      rpc::kHeadRegisterNode, [this](auto& request, auto responder) {
        std::lock_guard lock(mutex_);
        auto [it, added] = registrations_.emplace(request.registration(), nodes_.size() + 1);
        proto::NodeInfo& node = nodes_[it->second];
        node.set_number(it->second);
        node.set_host_name(request.host_name());
        node.set_address(request.address());
        node.set_data_port(request.data_port());
        *node.mutable_total() = request.total();
        *node.mutable_available() = request.total();
        node.set_alive(true);
        proto::RegisterNodeReply reply;
        reply.set_node(it->second);
        reply.set_cluster("fake");
        for (const auto& [number, info] : nodes_) *reply.add_nodes() = info;
        responder.Reply(reply);
      });
  server_->Handle<proto::HeartbeatRequest, proto::HeartbeatReply>(
      rpc::kHeadHeartbeat, [this](auto& request, auto responder) {
        std::lock_guard lock(mutex_);
        *nodes_[request.node()].mutable_available() = request.available();
        proto::HeartbeatReply reply;
        for (const auto& [number, info] : nodes_) *reply.add_nodes() = info;
        responder.Reply(reply);
      });
  server_->Handle<proto::RegisterJobRequest, proto::RegisterJobReply>(
      rpc::kHeadRegisterJob, [this](auto& request, auto responder) {
        std::lock_guard lock(mutex_);
        proto::RegisterJobReply reply;
        reply.set_job(++jobs_);
        drivers_[jobs_] = request.driver();
        responder.Reply(reply);
      });
  server_->Handle<proto::FinishJobRequest, proto::FinishJobReply>(
      rpc::kHeadFinishJob, [this](auto& request, auto responder) {
        std::lock_guard lock(mutex_);
        finished_.push_back(request.job());
        changed_.notify_all();
        responder.Reply({});
      });
  server_->Handle<proto::LeaveRequest, proto::LeaveReply>(rpc::kHeadLeave,
                                                          [this](auto& request, auto responder) {
                                                            std::lock_guard lock(mutex_);
                                                            left_.push_back(request.node());
                                                            changed_.notify_all();
                                                            responder.Reply({});
                                                          });
  server_->Handle<proto::ActorReport, proto::ActorReportReply>(
      rpc::kHeadReportActor, [this](auto& request, auto responder) {
        std::lock_guard lock(mutex_);
        const bool repeated =
            std::any_of(reports_.begin(), reports_.end(), [&request](const auto& known) {
              return known.SerializeAsString() == request.SerializeAsString();
            });
        if (!repeated) reports_.push_back(request);
        changed_.notify_all();
        responder.Reply({});
      });
  server_->Handle<proto::HeadRequest, proto::HeadResponse>(
      rpc::kHeadCall, [this](auto& request, auto responder) {
        std::lock_guard lock(mutex_);
        proto::HeadResponse reply;
        reply.set_request_id(request.request_id());
        if (hold_polls_ && request.has_watch_actor()) {
          reply.mutable_watch_actor();
          held_polls_.emplace_back(std::move(reply), std::move(responder));
          return;
        }
        if (request.has_list_jobs()) {
          for (const auto& [job, driver] : drivers_) {
            auto* info = reply.mutable_list_jobs()->add_jobs();
            info->set_id(job);
            info->set_driver(driver);
          }
        } else if (request.has_kv_get()) {
          reply.mutable_kv_get()->set_found(true);
          reply.mutable_kv_get()->set_value(std::to_string(request.process()) + "/" +
                                            std::to_string(request.job()));
        }
        responder.Reply(reply);
      });
  REQUIRE(server_->Start().ok());
}

void FakeHead::HoldPolls(bool hold) {
  std::lock_guard lock(mutex_);
  hold_polls_ = hold;
  for (auto& [reply, responder] : held_polls_) responder.Reply(reply);
  held_polls_.clear();
}

void FakeHead::Stop() {
  HoldPolls(false);
  server_->Stop(std::chrono::milliseconds(0));
}

io::Address FakeHead::NodeAddress(uint32_t node) {
  std::lock_guard lock(mutex_);
  return *io::ParseAddress(nodes_.at(node).address());
}

io::Address FakeHead::DataAddress(uint32_t node) {
  const io::Address calls = NodeAddress(node);
  std::lock_guard lock(mutex_);
  return {calls.ip, static_cast<uint16_t>(nodes_.at(node).data_port())};
}

void FakeHead::MarkDead(uint32_t node) {
  std::lock_guard lock(mutex_);
  nodes_[node].set_alive(false);
  nodes_[node].set_death_reason("no heartbeat for 10 s");
}

bool FakeHead::AwaitFinished(uint32_t job) {
  return Await([&] { return std::count(finished_.begin(), finished_.end(), job) > 0; });
}
bool FakeHead::AwaitLeft(uint32_t node) {
  return Await([&] { return std::count(left_.begin(), left_.end(), node) > 0; });
}
bool FakeHead::AwaitReport(proto::ActorState state, proto::ActorReport& report) {
  return Await([&] {
    for (const auto& known : reports_) {
      if (known.state() != state) continue;
      report = known;
      return true;
    }
    return false;
  });
}
size_t FakeHead::reports() {
  std::lock_guard lock(mutex_);
  return reports_.size();
}

FakeDaemon::FakeDaemon(FakeHead& head, const DaemonSpec& spec) {
  char folder[] = "/tmp/rayx-node-XXXXXX";
  REQUIRE(::mkdtemp(folder) != nullptr);
  folder_ = folder;
  REQUIRE(::mkdir((folder_ + "/logs").c_str(), 0700) == 0);
  int ready[2];
  REQUIRE(::pipe2(ready, O_CLOEXEC) == 0);
  const base::UniqueFd ready_read(ready[0]);
  base::UniqueFd ready_write(ready[1]);
  base::UniqueFd log(::open((folder_ + "/logs/node.log").c_str(), O_WRONLY | O_CREAT, 0600));
  io::SpawnOptions options;
  options.executable = OwnProgram();
  options.arguments = {options.executable,
                       "--daemon",
                       head.address().ToString(),
                       folder_,
                       std::to_string(spec.cpus),
                       spec.host,
                       std::to_string(spec.head_lost_after_ms)};
  options.fds = {{ready_write.get(), 3}, {log.get(), 2}};
  auto process = io::Spawn(options);
  REQUIRE(process.ok());
  process_ = std::move(*process);
  ready_write.Reset();
  uint32_t node = 0;
  const bool is_ready = ::read(ready_read.get(), &node, sizeof node) == sizeof node;
  REQUIRE(is_ready);
  node_ = node;
}

FakeDaemon::~FakeDaemon() {
  io::ExitStatus status;
  if (!exited_) {
    Signal(SIGTERM);
    if (!AwaitExit(status)) Signal(SIGKILL);
  }
  if (std::getenv("KEEP_LOGS") == nullptr) {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
}

bool FakeDaemon::AwaitExit(io::ExitStatus& status) {
  pollfd ready{process_.pidfd.get(), POLLIN, 0};
  if (::poll(&ready, 1, 20000) != 1) return false;
  const auto reaped = io::Reap(process_.pidfd.get());
  exited_ = true;
  if (reaped) status = *reaped;
  return reaped.has_value();
}

std::unique_ptr<FakeProcess> FakeDaemon::Connect() {
  auto socket = io::PacketSocket::Connect(folder_ + "/node.sock");
  REQUIRE(socket.ok());
  return std::make_unique<FakeProcess>(std::move(*socket));
}

std::unique_ptr<FakeProcess> FakeDaemon::Driver(std::vector<std::string> environment) {
  auto driver = Connect();
  driver->Send(HelloOfDriver(environment));
  REQUIRE(driver->Await(proto::DaemonMessage::kWelcome));
  return driver;
}

proto::ClientMessage HelloOfDriver(const std::vector<std::string>& environment) {
  proto::ClientMessage message;
  auto* hello = message.mutable_hello();
  *hello->mutable_versions() = OwnClientVersions();
  hello->set_role(proto::DRIVER);
  hello->set_pid(::getpid());
  hello->mutable_program()->set_executable(OwnProgram());
  hello->mutable_program()->set_working_folder("/tmp");
  std::string key = "fake";
  for (const auto& variable : environment) {
    hello->mutable_program()->add_environment(variable);
    key += " " + variable;
  }
  hello->mutable_program()->set_key(key);
  return message;
}

proto::ClientMessage LeaseRequestOf(uint64_t id, double cpus) {
  proto::ClientMessage message;
  message.mutable_lease_request()->set_request_id(id);
  *message.mutable_lease_request()->mutable_scheduling_class()->mutable_resources() =
      scheduling::ToWire(Cpus(cpus));
  return message;
}

bool RunAsDaemon(int argc, char** argv, int& exit_code) {
  if (argc < 7 || std::string(argv[1]) != "--daemon") return false;
  NodeOptions options;
  options.head = *io::ParseAddress(argv[2]);
  options.credentials.token = kToken;
  options.session_folder = argv[3];
  options.resources = Cpus(std::atof(argv[4]));
  options.host_name = argv[5];
  options.head_lost_after = std::chrono::milliseconds(std::atoi(argv[6]));
  options.store_bytes = 64 << 20;
  options.on_ready = [](const NodeReady& ready) {
    if (::write(3, &ready.node.value, sizeof ready.node.value) != sizeof ready.node.value)
      std::abort();
    ::close(3);
  };
  exit_code = RunNodeDaemon(options);
  return true;
}

}  // namespace rayx::node::testing
