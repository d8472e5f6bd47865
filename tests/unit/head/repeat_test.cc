// Goal: no order of requests, repeats, deaths and times breaks an invariant, and everything that
// waits is answered in the end. Method: random walks over all inputs of the head's core, seeds
// fixed; invariants after each step.
#include "tests/unit/head/core_fixture.h"

#include <map>
#include <set>

#include "base/prng.h"

namespace rayx::head {
namespace {

class Walk {
 public:
  explicit Walk(uint64_t seed) : random_(seed, 0, 0) {}

  void Run(int steps) {
    nodes_.push_back(cluster_.AddNode());
    jobs_.push_back(cluster_.AddJob(nodes_[0]));
    for (int i = 0; i < steps; ++i) {
      Step();
      Feed();
    }
    // Time passes: every wait has ended.
    for (int i = 0; i < 30; ++i) cluster_.Pass(seconds(1));
    for (const ReplyTo to : waiting_) {
      INFO("call " << to);
      CHECK(cluster_.TakeReply(to).has_value());
    }
  }

 private:
  uint64_t Below(uint64_t bound) { return random_.NextBelow(bound); }
  uint32_t Job() { return jobs_[Below(jobs_.size())]; }
  proto::ActorId Id() {
    proto::ActorId id;
    id.set_creator(Cluster::Process(1, 7));
    id.set_sequence(1 + Below(12));
    return id;
  }

  void Call(const proto::HeadRequest& request) {
    if (!cluster_.CallLater(request, Job()).has_value()) waiting_.insert(cluster_.last_waiting());
  }

  void Step() {
    proto::HeadRequest request;
    switch (Below(14)) {
      case 0:
        if (nodes_.size() < 20) nodes_.push_back(cluster_.AddNode(1 + double(Below(3))));
        return;
      case 1:
        return cluster_.Pass(milliseconds(Below(4000)));
      case 2:
      case 3:
        cluster_.Heartbeat(nodes_[Below(nodes_.size())], double(Below(3)));
        return;
      case 4: {
        proto::RegisterJobRequest job;
        job.set_registration("walk-" + std::to_string(++registrations_));
        job.set_driver(Cluster::Process(nodes_[Below(nodes_.size())], 9));
        job.set_job_namespace(Below(2) == 0 ? "space" : "");
        const auto reply = cluster_.core.OnRegisterJob(job, 0, cluster_.effects);
        cluster_.Done();
        if (reply.job() != 0) jobs_.push_back(reply.job());
        return;
      }
      case 5:
        if (Below(4) == 0) cluster_.FinishJob(Job());
        return;
      case 6:
      case 7: {
        auto& spec = *request.mutable_create_actor()->mutable_spec();
        *spec.mutable_id() = Id();
        spec.set_name(Below(2) == 0 ? "name" + std::to_string(Below(3)) : "");
        spec.set_max_restarts(static_cast<int32_t>(Below(4)) - 1);
        spec.set_detached(Below(3) == 0);
        *spec.mutable_placement()->mutable_resources() = Cpus(double(Below(5)));
        *spec.mutable_lifetime_resources() = Cpus(double(Below(2)));
        return Call(request);
      }
      case 8: {
        *request.mutable_watch_actor()->mutable_id() = Id();
        request.mutable_watch_actor()->set_known_version(Below(6));
        request.mutable_watch_actor()->set_timeout_ms(static_cast<uint32_t>(Below(20000)));
        return Call(request);
      }
      case 9:
        *request.mutable_kill_actor()->mutable_id() = Id();
        request.mutable_kill_actor()->set_no_restart(Below(2) == 0);
        return Call(request);
      case 10:
        request.mutable_kv_put()->set_key("k" + std::to_string(Below(4)));
        request.mutable_kv_put()->set_value(std::string(Below(100), 'v'));
        return Call(request);
      case 11:
        request.mutable_kv_delete()->set_key("k" + std::to_string(Below(4)));
        return Call(request);
      case 12:
        for (uint64_t i = Below(4); i > 0; --i) {
          request.mutable_kv_wait()->add_keys("k" + std::to_string(Below(4)));
        }
        request.mutable_kv_wait()->set_timeout_ms(static_cast<uint32_t>(Below(20000)));
        return Call(request);
      default: {
        proto::ActorReport report;
        *report.mutable_id() = Id();
        report.set_incarnation(1 + static_cast<uint32_t>(Below(3)));
        report.set_state(Below(2) == 0 ? proto::ACTOR_ALIVE : proto::ACTOR_DEAD);
        report.set_process(Cluster::Process(nodes_[Below(nodes_.size())], 50));
        cluster_.core.OnReportActor(report, cluster_.now, cluster_.effects);
        return cluster_.Done();
      }
    }
  }

  // Nodes answer some starts: well, badly or never; and never two incarnations of an actor at once.
  void Feed() {
    while (!cluster_.starts.empty()) {
      const StartActor start = cluster_.starts.back();
      cluster_.starts.pop_back();
      const std::pair key(start.spec.id().creator(), start.spec.id().sequence());
      uint32_t& newest = incarnations_[key];
      CHECK(start.incarnation > newest);
      newest = start.incarnation;
      proto::ErrorInfo error;
      switch (Below(4)) {
        case 0:
          error.set_code(static_cast<int32_t>(ErrorCode::kHeadUnavailable));
          break;
        case 1: {
          proto::ActorReport report;
          *report.mutable_id() = start.spec.id();
          report.set_incarnation(start.incarnation);
          report.set_state(proto::ACTOR_ALIVE);
          report.set_process(Cluster::Process(start.node.value, 60));
          cluster_.core.OnReportActor(report, cluster_.now, cluster_.effects);
          cluster_.Done();
          break;
        }
        default:
          break;
      }
      cluster_.core.OnStartAnswered(model::ActorId{model::ProcessId{key.first}, key.second},
                                    start.incarnation, error, Below(2) == 0, cluster_.now,
                                    cluster_.effects);
      cluster_.Done();
    }
  }

  Cluster cluster_;
  base::RandomStream random_;
  std::vector<uint32_t> nodes_;
  std::vector<uint32_t> jobs_;
  std::set<ReplyTo> waiting_;
  std::map<std::pair<uint64_t, uint64_t>, uint32_t> incarnations_;
  int registrations_ = 0;
};

}  // namespace

TEST_CASE("HeadCore: random requests, repeats and deaths keep every invariant") {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    INFO("seed " << seed);
    Walk(seed).Run(300);
  }
}

}  // namespace rayx::head
