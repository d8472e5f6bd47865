// tests/unit/head/core_fixture.h
//
// A head of cores alone: time is a number, every request is delivered twice and answered the same
// way, invariants are checked after every step.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "head/core/head_core.h"
#include "rayx/detail/error_record.h"

namespace rayx::head {

using std::chrono::milliseconds;
using std::chrono::seconds;

inline proto::Resources Cpus(double amount) {
  proto::Resources resources;
  auto* cpu = resources.add_amounts();
  cpu->set_name("CPU");
  cpu->set_units(static_cast<int64_t>(amount * 10000));
  return resources;
}

class Cluster {
 public:
  explicit Cluster(HeadCoreOptions options = {}) : core(std::move(options)) {}

  uint32_t AddNode(double cpus = 2) {
    proto::RegisterNodeRequest request;
    request.set_registration("start-" + std::to_string(++starts_));
    request.set_host_name("vm" + std::to_string(starts_));
    request.set_address("10.0.0." + std::to_string(starts_) + ":1000");
    request.set_data_port(1001);
    *request.mutable_total() = Cpus(cpus);
    const auto first = core.OnRegisterNode(request, now, effects);
    const auto again = core.OnRegisterNode(request, now, effects);
    CHECK(first.node() == again.node());
    Done();
    return first.node();
  }

  proto::HeartbeatReply Heartbeat(uint32_t node, double cpus = 2) {
    proto::HeartbeatRequest request;
    request.set_node(node);
    *request.mutable_available() = Cpus(cpus);
    core.OnHeartbeat(request, now, effects);
    const auto reply = core.OnHeartbeat(request, now, effects);
    Done();
    return reply;
  }

  uint32_t AddJob(uint32_t node, const std::string& name_space = "") {
    proto::RegisterJobRequest request;
    request.set_registration("driver-" + std::to_string(++starts_));
    request.set_driver(Process(node, 100 + starts_));
    request.set_job_namespace(name_space);
    const auto first = core.OnRegisterJob(request, 1000, effects);
    const auto again = core.OnRegisterJob(request, 2000, effects);
    CHECK(first.SerializeAsString() == again.SerializeAsString());
    Done();
    return first.job();
  }

  void FinishJob(uint32_t job) {
    proto::FinishJobRequest request;
    request.set_job(job);
    core.OnFinishJob(request, now, 3000, effects);
    core.OnFinishJob(request, now, 4000, effects);
    Done();
  }

  // The answer of a call that is answered at once.
  proto::HeadResponse Call(proto::HeadRequest request, uint32_t job) {
    const auto response = CallLater(std::move(request), job);
    REQUIRE(response.has_value());
    return *response;
  }

  // Twice, as two messages. Nothing: it waits; its number is then last_waiting().
  std::optional<proto::HeadResponse> CallLater(proto::HeadRequest request, uint32_t job) {
    request.set_request_id(++requests_);
    request.set_process(Process(1, 7));
    request.set_job(job);
    core.OnCall(request, ++reply_to_, now, effects);
    const auto first = TakeReply(reply_to_);
    last_waiting_ = reply_to_;
    Done();
    core.OnCall(request, ++reply_to_, now, effects);
    const auto again = TakeReply(reply_to_);
    CHECK(first.has_value() == again.has_value());
    if (first.has_value() && again.has_value()) {
      CHECK(first->SerializeAsString() == again->SerializeAsString());
    }
    Done();
    return first;
  }
  ReplyTo last_waiting() const { return last_waiting_; }

  std::optional<proto::HeadResponse> TakeReply(ReplyTo to) {
    Collect();
    for (size_t i = 0; i < replies_.size(); ++i) {
      if (replies_[i].to != to) continue;
      auto response = replies_[i].response;
      replies_.erase(replies_.begin() + static_cast<std::ptrdiff_t>(i));
      return response;
    }
    return std::nullopt;
  }

  // In steps, as the head ticks.
  void Pass(model::Duration duration) {
    const model::TimePoint end = now + duration;
    while (now < end) {
      now = std::min<model::TimePoint>(end, now + milliseconds(100));
      Tick();
    }
  }
  // Nothing of the head runs meanwhile.
  void Pause(model::Duration duration) {
    now += duration;
    Tick();
  }
  void Tick() {
    core.OnTick(now, 5000, effects);
    Done();
  }

  static uint64_t Process(uint32_t node, uint32_t number) {
    return model::ProcessId::Make(model::NodeNumber{node}, number).value;
  }

  // After each step.
  void Done() {
    Collect();
    core.CheckInvariants();
  }
  void Collect() {
    for (auto& start : effects.starts) starts.push_back(start);
    for (auto& stop : effects.stops) stops.push_back(stop);
    for (auto& job : effects.ended_jobs) ended_jobs.push_back(job);
    for (auto& node : effects.dead_nodes) dead_nodes.push_back(node.value);
    for (auto& reply : effects.replies) replies_.push_back(reply);
    effects.Clear();
  }

  model::TimePoint now{seconds(100)};
  HeadEffects effects;
  HeadCore core;
  std::vector<StartActor> starts;
  std::vector<StopActor> stops;
  std::vector<uint32_t> ended_jobs;
  std::vector<uint32_t> dead_nodes;

 private:
  uint32_t starts_ = 0;
  uint64_t requests_ = 0;
  ReplyTo reply_to_ = 0;
  ReplyTo last_waiting_ = 0;
  std::vector<CallReply> replies_;
};

inline bool IsError(const proto::ErrorInfo& error, ErrorCode code) {
  return error.code() == static_cast<int32_t>(code);
}

}  // namespace rayx::head
