// tests/unit/node/fake_cluster.h
//
// A head in the test's process and node daemons in processes of their own (the test's program
// again).
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "fake_process.h"
#include "io/processes.h"
#include "rpc/channel.h"
#include "rpc/server.h"

namespace rayx::node::testing {

// The least head that daemons can live with; what they tell it can be waited for.
class FakeHead {
 public:
  FakeHead();
  ~FakeHead() { Stop(); }

  void Stop();
  const io::Address& address() const { return server_->address(); }
  const rpc::ClusterCredentials& credentials() const { return credentials_; }
  io::Address NodeAddress(uint32_t node);
  io::Address DataAddress(uint32_t node);
  void MarkDead(uint32_t node);  // heartbeats of the others tell it

  void HoldPolls(bool hold);  // answers to WatchActor; those held are given when it ends

  // Waits at most 10 s.
  bool AwaitFinished(uint32_t job);
  bool AwaitLeft(uint32_t node);
  bool AwaitReport(proto::ActorState state, proto::ActorReport& report);
  size_t reports();  // different ones: a repeated order to start may repeat a report

 private:
  template <typename Predicate>
  bool Await(Predicate done) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), done);
  }

  rpc::ClusterCredentials credentials_;
  std::unique_ptr<rpc::RpcServer> server_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<uint32_t, proto::NodeInfo> nodes_;
  std::map<std::string, uint32_t> registrations_;
  uint32_t jobs_ = 0;
  std::map<uint32_t, uint64_t> drivers_;
  std::vector<uint32_t> finished_;
  std::vector<uint32_t> left_;
  std::vector<proto::ActorReport> reports_;
  bool hold_polls_ = false;
  std::vector<std::pair<proto::HeadResponse, rpc::Responder<proto::HeadResponse>>> held_polls_;
};

struct DaemonSpec {
  double cpus = 1;
  std::string host = "vm";
  int head_lost_after_ms = 8000;
};

class FakeDaemon {
 public:
  FakeDaemon(FakeHead& head, const DaemonSpec& spec = {});
  ~FakeDaemon();

  // A driver of this node that has been welcomed. `environment` is its program's.
  std::unique_ptr<FakeProcess> Driver(std::vector<std::string> environment = {});
  std::unique_ptr<FakeProcess> Connect();
  void Signal(int signal) { io::Signal(process_.pidfd.get(), signal); }
  // Waits at most 20 s.
  bool AwaitExit(io::ExitStatus& status);
  const std::string& folder() const { return folder_; }
  uint32_t node() const { return node_; }

 private:
  std::string folder_;
  io::Process process_;
  uint32_t node_ = 0;
  bool exited_ = false;
};

// The role of this program as a daemon: true when it was that, with its exit code.
bool RunAsDaemon(int argc, char** argv, int& exit_code);

proto::ClientMessage HelloOfDriver(const std::vector<std::string>& environment);
proto::ClientMessage LeaseRequestOf(uint64_t id, double cpus);

}  // namespace rayx::node::testing
