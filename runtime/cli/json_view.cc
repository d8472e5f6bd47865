#include "cli/json_view.h"

#include "model/ids.h"
#include "model/resources.h"
#include "scheduling/wire.h"

namespace rayx::cli {
namespace {

std::string Process(uint64_t process) {
  return process == 0 ? "" : ToString(model::ProcessId{process});
}

}  // namespace

const char* StateName(proto::ActorState state) {
  switch (state) {
    case proto::ACTOR_PENDING:
      return "pending";
    case proto::ACTOR_ALIVE:
      return "alive";
    case proto::ACTOR_RESTARTING:
      return "restarting";
    case proto::ACTOR_DEAD:
      return "dead";
    default:
      return "unknown";
  }
}

Json ToJson(const proto::Resources& resources) {
  Json json = Json::object();
  for (const auto& amount : resources.amounts()) {
    json[amount.name()] = static_cast<double>(amount.units()) / model::kResourceUnit;
  }
  return json;
}

Json ToJson(const proto::NodeInfo& node) {
  Json labels = Json::object();
  for (const auto& label : node.labels()) labels[label.key()] = label.value();
  return {{"node", ToString(model::NodeNumber{node.number()})},
          {"host", node.host_name()},
          {"address", node.address()},
          {"alive", node.alive()},
          {"death_reason", node.death_reason()},
          {"head", node.is_head()},
          {"pid", node.pid()},
          {"total", ToJson(node.total())},
          {"available", ToJson(node.available())},
          {"labels", labels},
          {"store_bytes", node.store_bytes()},
          {"store_used_bytes", node.store_used_bytes()},
          {"workers", node.workers()},
          {"queued_leases", node.queued_leases()}};
}

Json ToJson(const proto::JobInfo& job) {
  return {{"job", ToString(model::JobId{job.id()})},
          {"program", job.program()},
          {"driver", Process(job.driver())},
          {"running", job.running()},
          {"started_unix_ms", job.started_unix_ms()},
          {"ended_unix_ms", job.ended_unix_ms()},
          {"host", job.host()},
          {"pid", job.pid()},
          {"namespace", job.job_namespace()},
          {"detached_from",
           job.detached_from() == 0 ? "" : ToString(model::JobId{job.detached_from()})}};
}

Json ToJson(const proto::ActorView& actor) {
  return {{"actor", ToString(scheduling::FromWire(actor.id()))},
          {"name", actor.name()},
          {"namespace", actor.name_space()},
          {"detached", actor.detached()},
          {"class", actor.class_name()},
          {"state", StateName(actor.state())},
          {"node", actor.node() == 0 ? "" : ToString(model::NodeNumber{actor.node()})},
          {"process", Process(actor.process())},
          {"pid", actor.pid()},
          {"incarnation", actor.incarnation()},
          {"job", ToString(model::JobId{actor.job()})},
          {"cause", actor.cause().message()}};
}

Json ToJson(const proto::WorkerInfo& worker) {
  return {{"process", Process(worker.process())},
          {"pid", worker.pid()},
          {"state", worker.state()},
          {"job", ToString(model::JobId{worker.job()})},
          {"actor", worker.actor()},
          {"title", worker.title()},
          {"lease", worker.lease()}};
}

Json ToJson(const proto::ObjectInfo& object) {
  return {{"object", ToString(scheduling::FromWire(object.id()))},
          {"bytes", object.bytes()},
          {"state", object.state()},
          {"job", ToString(model::JobId{object.job()})},
          {"pins", object.pins()},
          {"primary", object.primary()}};
}

Json ToJson(const proto::LeaseInfo& lease) {
  return {{"lease", lease.lease()},
          {"owner", Process(lease.owner())},
          {"worker", Process(lease.worker())},
          {"state", lease.state()},
          {"resources", ToJson(lease.resources())}};
}

Json ToJson(const proto::StatusReply& status) {
  Json json = {
      {"cluster", status.cluster()},     {"address", status.address()},
      {"release", status.release()},     {"head_pid", status.pid()},
      {"uptime_ms", status.uptime_ms()}, {"membership_version", status.membership_version()},
      {"nodes", Json::array()},          {"jobs", Json::array()},
      {"actors", Json::array()}};
  for (const auto& node : status.nodes()) json["nodes"].push_back(ToJson(node));
  for (const auto& job : status.jobs()) json["jobs"].push_back(ToJson(job));
  for (const auto& actor : status.actors()) json["actors"].push_back(ToJson(actor));
  return json;
}

std::string Dump(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace rayx::cli
