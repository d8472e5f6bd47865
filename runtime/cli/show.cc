#include "cli/show.h"

#include <algorithm>
#include <filesystem>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/cluster.h"
#include "cli/files.h"
#include "cli/json_view.h"
#include "cli/session.h"
#include "cli/table.h"
#include "model/ids.h"

namespace rayx::cli {
namespace {

int Fail(const char* command, const base::Status& status, bool json) {
  if (json) std::cout << Dump({{"error", std::string(base::Message(status))}});
  std::cerr << "rayx " << command << ": " << base::Message(status) << "\n";
  return 1;
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
  if (!node.alive()) return "-";
  return FormatUnits(total - available) + "/" + FormatUnits(total);
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
    table.Add(
        {ToString(model::NodeNumber{node.number()}), node.host_name(), node.address(),
         node.alive() ? (node.is_head() ? "alive (head)" : "alive")
                      : absl::StrCat("dead: ", node.death_reason()),
         Used(node, "CPU"), Used(node, "GPU"),
         absl::StrCat(FormatBytes(node.store_used_bytes()), "/", FormatBytes(node.store_bytes())),
         absl::StrCat(node.workers()), absl::StrCat(node.queued_leases()), CustomResources(node)});
  }
  return table;
}

Table JobsTable(const google::protobuf::RepeatedPtrField<proto::JobInfo>& jobs) {
  Table table({"JOB", "STATE", "DRIVER", "HOST", "PID", "PROGRAM"});
  for (const auto& job : jobs) {
    table.Add({ToString(model::JobId{job.id()}), job.running() ? "running" : "ended",
               ToString(model::ProcessId{job.driver()}), job.host(), absl::StrCat(job.pid()),
               job.program()});
  }
  return table;
}

Table ActorsTable(const google::protobuf::RepeatedPtrField<proto::ActorView>& actors) {
  Table table({"ACTOR", "NAME", "CLASS", "STATE", "NODE", "PID", "INCARNATION", "JOB", "CAUSE"});
  for (const auto& actor : actors) {
    const Json json = ToJson(actor);
    table.Add({json["actor"], actor.name(), actor.class_name(), StateName(actor.state()),
               json["node"], absl::StrCat(actor.pid()), absl::StrCat(actor.incarnation()),
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
            << " actors alive\n";
  NodesTable(status.nodes()).Print(std::cout);
}

// The folder whose logs are meant: of the session that runs, else of the newest one.
base::StatusOr<std::string> LogsFolder() {
  const std::string base = io::SessionBase();
  for (const io::SessionInfo& session : io::ListSessions(base)) {
    if (!session.embedded) return session.logs_folder();
  }
  std::string newest;
  std::filesystem::file_time_type newest_time;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(base, error)) {
    const auto logs = entry.path() / "logs";
    const auto time = std::filesystem::last_write_time(logs, error);
    if (error || (!newest.empty() && time < newest_time)) continue;
    newest = logs;
    newest_time = time;
  }
  if (newest.empty()) return absl::NotFoundError(absl::StrCat("no logs in ", base));
  return newest;
}

int ListLogs(const std::string& folder) {
  Table table({"FILE", "BYTES"});
  std::vector<std::filesystem::directory_entry> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.is_regular_file(error)) files.push_back(entry);
  }
  std::sort(files.begin(), files.end());
  for (const auto& file : files) {
    table.Add({file.path().filename(), absl::StrCat(file.file_size(error))});
  }
  std::cout << folder << "\n";
  table.Print(std::cout);
  return 0;
}

int RemoteLogs(const LogOptions& options) {
  const auto cluster = Cluster::Connect();
  if (!cluster.ok()) return Fail("logs", cluster.status(), false);
  const auto reply = (*cluster)->Logs(options.node, options.file, options.tail);
  if (!reply.ok()) return Fail("logs", reply.status(), false);
  if (reply->error().code() != 0) {
    std::cerr << "rayx logs: " << reply->error().message() << "\n";
    return 1;
  }
  for (const auto& line : options.file.empty() ? reply->files() : reply->lines()) {
    std::cout << Printable(line) << "\n";
  }
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

int RunList(const std::string& what, bool json) {
  const auto cluster = Cluster::Connect();
  if (!cluster.ok()) return Fail("list", cluster.status(), json);
  if (what == "workers" || what == "objects" || what == "leases") {
    return ListOfNodes(**cluster, what, json);
  }
  const auto status = (*cluster)->Status();
  if (!status.ok()) return Fail("list", status.status(), json);
  if (what == "nodes") return PrintRows(Array(status->nodes()), NodesTable(status->nodes()), json);
  if (what == "jobs") return PrintRows(Array(status->jobs()), JobsTable(status->jobs()), json);
  return PrintRows(Array(status->actors()), ActorsTable(status->actors()), json);
}

int RunLogs(const LogOptions& options) {
  if (options.node != 0) return RemoteLogs(options);
  const auto folder = LogsFolder();
  if (!folder.ok()) return Fail("logs", folder.status(), false);
  if (options.file.empty()) return ListLogs(*folder);
  const std::string path = *folder + "/" + options.file;
  std::error_code error;
  if (options.file.find('/') != std::string::npos ||
      !std::filesystem::is_regular_file(path, error)) {
    return Fail("logs",
                absl::NotFoundError(absl::StrCat("no log file \"", options.file, "\" in ", *folder,
                                                 "; `rayx logs` lists them")),
                false);
  }
  for (const std::string& line : TailOf(path, options.tail)) std::cout << line << "\n";
  return 0;
}

}  // namespace rayx::cli
