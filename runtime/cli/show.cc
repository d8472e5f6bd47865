#include "cli/show.h"

#include <algorithm>
#include <iostream>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/cluster.h"
#include "cli/json_view.h"
#include "cli/table.h"
#include "model/ids.h"

namespace rayx::cli {
namespace {

constexpr int kPendingLinesMax = 10;

int Fail(const char* command, const base::Status& status, bool json) {
  if (json) std::cout << Dump({{"error", std::string(base::Message(status))}});
  std::cerr << "rayx " << command << ": " << base::Message(status) << "\n";
  return 1;
}

std::string OfAlive(const proto::NodeInfo& node, const std::string& number) {
  return node.alive() ? number : "-";
}

// "1/2": what is in use of what there is.
std::string Used(const proto::NodeInfo& node, const std::string& name) {
  int64_t total = 0;
  int64_t available = 0;
  for (const auto& amount : node.total().amounts()) {
    if (amount.name() == name) total = amount.units();
  }
  for (const auto& amount : node.available().amounts()) {
    if (amount.name() == name) available = amount.units();
  }
  return OfAlive(node, FormatUnits(total - available) + "/" + FormatUnits(total));
}

std::string CustomResources(const proto::NodeInfo& node) {
  std::vector<std::string> parts;
  for (const auto& amount : node.total().amounts()) {
    if (amount.name() == "CPU" || amount.name() == "GPU" || amount.name() == "memory") continue;
    parts.push_back(absl::StrCat(amount.name(), " ", Used(node, amount.name())));
  }
  for (const auto& label : node.labels()) {
    parts.push_back(absl::StrCat(label.key(), "=", label.value()));
  }
  return absl::StrJoin(parts, ", ");
}

Table NodesTable(const google::protobuf::RepeatedPtrField<proto::NodeInfo>& nodes) {
  Table table({"NODE", "HOST", "ADDRESS", "STATE", "CPU", "GPU", "STORE", "WORKERS", "QUEUED",
               "OTHER RESOURCES, LABELS"});
  for (const auto& node : nodes) {
    table.Add({ToString(model::NodeNumber{node.number()}), node.host_name(), node.address(),
               node.alive() ? (node.is_head() ? "alive (head)" : "alive")
                            : absl::StrCat("dead: ", node.death_reason()),
               Used(node, "CPU"), Used(node, "GPU"),
               OfAlive(node, absl::StrCat(FormatBytes(node.store_used_bytes()), "/",
                                          FormatBytes(node.store_bytes()))),
               OfAlive(node, absl::StrCat(node.workers())),
               OfAlive(node, absl::StrCat(node.queued_leases())), CustomResources(node)});
  }
  return table;
}

std::string StateOf(const proto::JobInfo& job) {
  const std::string state = job.running() ? "running" : "ended";
  if (job.detached_from() == 0) return state;
  return absl::StrCat(state, " (detached actors of ", ToString(model::JobId{job.detached_from()}),
                      ")");
}

Table JobsTable(const google::protobuf::RepeatedPtrField<proto::JobInfo>& jobs) {
  Table table({"JOB", "STATE", "NAMESPACE", "DRIVER", "HOST", "PID", "PROGRAM"});
  for (const auto& job : jobs) {
    table.Add({ToString(model::JobId{job.id()}), StateOf(job), job.job_namespace(),
               ToString(model::ProcessId{job.driver()}), job.host(), absl::StrCat(job.pid()),
               job.program()});
  }
  return table;
}

Table ActorsTable(const google::protobuf::RepeatedPtrField<proto::ActorView>& actors) {
  Table table({"ACTOR", "NAME", "NAMESPACE", "CLASS", "STATE", "NODE", "PID", "INCARNATION", "JOB",
               "CAUSE"});
  for (const auto& actor : actors) {
    const Json json = ToJson(actor);
    table.Add({json["actor"], actor.name(), actor.name().empty() ? "" : actor.name_space(),
               actor.class_name(), StateName(actor.state()), json["node"],
               actor.pid() == 0 ? "" : absl::StrCat(actor.pid()), absl::StrCat(actor.incarnation()),
               json["job"], actor.cause().message()});
  }
  return table;
}

template <typename Items>
Json Array(const Items& items) {
  Json json = Json::array();
  for (const auto& item : items) json.push_back(ToJson(item));
  return json;
}

// Rows of all nodes as one JSON array, each with its node.
template <typename ItemsOf>
Json ArrayOfNodes(const std::vector<proto::NodeState>& states, ItemsOf items_of) {
  Json json = Json::array();
  for (const auto& state : states) {
    for (const auto& item : items_of(state)) {
      Json row = {{"node", ToString(model::NodeNumber{state.node().number()})}};
      row.update(ToJson(item));
      json.push_back(std::move(row));
    }
  }
  return json;
}

std::string Cell(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_object()) {
    std::vector<std::string> parts;
    for (const auto& [name, amount] : value.items()) {
      parts.push_back(absl::StrCat(name, ": ", amount.dump()));
    }
    return absl::StrJoin(parts, ", ");
  }
  return value.dump();
}

// The keys are the columns.
Table TableOf(const Json& rows, const std::vector<std::string>& columns) {
  Table table(columns);
  for (const Json& row : rows) {
    std::vector<std::string> cells;
    for (std::string column : columns) {
      std::transform(column.begin(), column.end(), column.begin(),
                     [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      cells.push_back(Cell(row.at(column)));
    }
    table.Add(std::move(cells));
  }
  return table;
}

int PrintRows(const Json& rows, const Table& table, bool json) {
  if (json) {
    std::cout << Dump(rows);
  } else {
    table.Print(std::cout);
  }
  return 0;
}

int ListOfNodes(Cluster& cluster, const std::string& what, bool json) {
  std::vector<std::string> problems;
  const auto states = cluster.NodeStates(problems);
  if (!states.ok()) return Fail("list", states.status(), json);
  Json rows;
  std::vector<std::string> columns;
  if (what == "workers") {
    rows = ArrayOfNodes(*states, [](const auto& state) { return state.workers(); });
    columns = {"NODE", "PROCESS", "PID", "STATE", "JOB", "ACTOR", "TITLE"};
  } else if (what == "objects") {
    rows = ArrayOfNodes(*states, [](const auto& state) { return state.objects(); });
    columns = {"NODE", "OBJECT", "BYTES", "STATE", "JOB", "PINS", "PRIMARY"};
  } else {
    rows = ArrayOfNodes(*states, [](const auto& state) { return state.leases(); });
    columns = {"NODE", "LEASE", "OWNER", "WORKER", "STATE", "RESOURCES"};
  }
  PrintRows(rows, TableOf(rows, columns), json);
  for (const std::string& problem : problems) std::cerr << "rayx list: " << problem << "\n";
  return problems.empty() ? 0 : 1;
}

bool IsPending(const proto::ActorView& actor) {
  return actor.state() == proto::ACTOR_PENDING || actor.state() == proto::ACTOR_RESTARTING;
}

// One line for all actors of a class that wait for the same.
void PrintPending(const proto::StatusReply& status) {
  std::map<std::string, int> pending;
  for (const auto& actor : status.actors()) {
    if (!IsPending(actor)) continue;
    const std::string placed = "its worker starts or its constructor runs";
    const std::string no_cause = actor.node() != 0 ? placed : "waits for its placement";
    const std::string cause = actor.cause().message();
    ++pending[absl::StrCat(actor.class_name(), ", ", StateName(actor.state()), ": ",
                           cause.empty() ? no_cause : cause)];
  }
  int lines = 0;
  for (const auto& [text, count] : pending) {
    if (lines++ == kPendingLinesMax) {
      std::cout << "... `rayx list actors` shows all\n";
      return;
    }
    std::cout << count << (count == 1 ? " actor " : " actors ") << Printable(text) << "\n";
  }
}

void PrintStatus(const proto::StatusReply& status) {
  const auto alive = std::count_if(status.nodes().begin(), status.nodes().end(),
                                   [](const auto& node) { return node.alive(); });
  const auto running = std::count_if(status.jobs().begin(), status.jobs().end(),
                                     [](const auto& job) { return job.running(); });
  const auto actors = std::count_if(status.actors().begin(), status.actors().end(),
                                    [](const auto& a) { return a.state() == proto::ACTOR_ALIVE; });
  std::cout << "Cluster " << status.cluster() << " at " << status.address() << ", release "
            << status.release() << ", up " << status.uptime_ms() / 1000 << " s: " << alive << " of "
            << status.nodes_size() << " nodes alive, " << running << " jobs running, " << actors
            << " actors alive, "
            << std::count_if(status.actors().begin(), status.actors().end(), IsPending)
            << " pending\n";
  NodesTable(status.nodes()).Print(std::cout);
  PrintPending(status);
}

int ListActors(const proto::StatusReply& status, bool all, bool json) {
  google::protobuf::RepeatedPtrField<proto::ActorView> shown;
  for (const auto& actor : status.actors()) {
    if (all || json || actor.state() != proto::ACTOR_DEAD) *shown.Add() = actor;
  }
  PrintRows(Array(shown), ActorsTable(shown), json);
  const int dead = status.actors_size() - shown.size();
  if (dead > 0) std::cout << dead << " dead not shown; --all shows them\n";
  return 0;
}

}  // namespace

int RunStatus(bool json) {
  const auto cluster = Cluster::Connect();
  if (!cluster.ok()) return Fail("status", cluster.status(), json);
  const auto status = (*cluster)->Status();
  if (!status.ok()) return Fail("status", status.status(), json);
  if (json) {
    std::cout << Dump(ToJson(*status));
  } else {
    PrintStatus(*status);
  }
  return 0;
}

int RunList(const ListOptions& options) {
  const std::string& what = options.what;
  const bool json = options.json;
  const auto cluster = Cluster::Connect();
  if (!cluster.ok()) return Fail("list", cluster.status(), json);
  if (what == "workers" || what == "objects" || what == "leases") {
    return ListOfNodes(**cluster, what, json);
  }
  const auto status = (*cluster)->Status();
  if (!status.ok()) return Fail("list", status.status(), json);
  if (what == "nodes") return PrintRows(Array(status->nodes()), NodesTable(status->nodes()), json);
  if (what == "jobs") return PrintRows(Array(status->jobs()), JobsTable(status->jobs()), json);
  return ListActors(*status, options.all, json);
}

}  // namespace rayx::cli
