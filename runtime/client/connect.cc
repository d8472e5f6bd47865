#include "client/connect.h"

#include <unistd.h>

#include <cstdlib>
#include <string>

#include "client/cluster_client.h"
#include "client/embedded_cluster.h"
#include "client/error_bridge.h"
#include "client/own_program.h"
#include "io/session_folder.h"
#include "model/versions.h"
#include "rayx/errors.h"
#include "shm/memory_file.h"

namespace rayx::client {
namespace {

// In the form "ip:port" that sessions are found by; "auto" as it is.
struct Place {
  std::string socket_path;
  std::string head_address;
  std::shared_ptr<void> keep;
};

ErrorCode CodeOf(const base::Status& status) {
  return absl::IsInvalidArgument(status) ? ErrorCode::kInvalidOption : ErrorCode::kHeadUnavailable;
}

Place FindCluster(const Options& options) {
  if (options.address.empty()) {
    auto embedded = EmbeddedCluster::Start(options);
    if (!embedded.ok()) Throw(CodeOf(embedded.status()), "Init", embedded.status());
    return {(*embedded)->session_folder() + "/node.sock", (*embedded)->head_address(), *embedded};
  }
  auto session = io::FindSession(options.address);
  if (!session.ok()) {
    // What is wrong with an address begins with it.
    const std::string text(base::Message(session.status()));
    const bool is_named = text.starts_with("address ");
    Throw(CodeOf(session.status()),
          "Init" + (is_named ? "" : ", address '" + options.address + "'") + ": " + text +
              (is_named ? "; or auto, for the cluster that runs here" : ""));
  }
  return {session->socket_path(), session->head_address, nullptr};
}

WorkerOutput WantedOutput(const Options& options) {
  if (!options.print_worker_output) return WorkerOutput::kHidden;
  const char* variable = std::getenv("RAYX_DEDUPLICATE_OUTPUT");
  const std::string value = variable == nullptr ? "" : variable;
  if (value.empty() || value == "1" || value == "true") return WorkerOutput::kRepeatsCounted;
  if (value == "0" || value == "false") return WorkerOutput::kEveryLine;
  throw InvalidOption("RAYX_DEDUPLICATE_OUTPUT: '" + value +
                      "' is wrong; expected 0, 1, true or false.");
}

}  // namespace

std::unique_ptr<detail::RuntimeInterface> ConnectCluster(const Options& options) {
  const WorkerOutput output = WantedOutput(options);
  const Place place = FindCluster(options);
  auto socket = io::PacketSocket::Connect(place.socket_path);
  if (!socket.ok())
    Throw(ErrorCode::kHeadUnavailable, "Init: the node daemon of this VM", socket.status());
  DaemonLink link(*std::move(socket));
  proto::Hello hello;
  model::VersionsToWire(model::OwnVersions(shm::kLayoutVersion), *hello.mutable_versions());
  hello.set_role(proto::DRIVER);
  hello.set_pid(::getpid());
  *hello.mutable_program() = OwnProgram(options);
  hello.set_job_namespace(options.job_namespace);
  hello.set_head_address(place.head_address);
  proto::ErrorInfo refused;
  auto welcome = link.Handshake(hello, refused);
  if (refused.code() != 0) detail::ThrowError(ToRecord(refused));
  if (!welcome.ok())
    Throw(ErrorCode::kHeadUnavailable, "Init: the node daemon of this VM", welcome.status());
  auto client = ClusterClient::Create(std::move(link), *std::move(welcome), /*is_worker=*/false,
                                      output, place.keep);
  if (!client.ok()) Throw(ErrorCode::kHeadUnavailable, "Init", client.status());
  return *std::move(client);
}

}  // namespace rayx::client
