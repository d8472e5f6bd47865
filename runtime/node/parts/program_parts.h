// runtime/node/parts/program_parts.h
//
// The files of programs: what this VM's drivers run is listed and served to other nodes; what
// drivers of other VMs run is looked for here and fetched from there, and served on.
// Owner:    NodeShell.
// Threads:  the node loop only. Files are hashed and transfers run on two threads of its own.
// Inputs:   programs out of messages; files of this VM; ProgramPartsCore decides.
// Outputs:  answers, called on the loop; on_plan before the answer that a program can be started.
// Promises: each Want and MakeManifest is answered once, unless Stop comes first; a transfer that
//           stands still for kStall is given up.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "io/loop.h"
#include "node/core/program_parts_core.h"
#include "node/parts/part_folder.h"
#include "node/parts/part_stream.h"
#include "node/parts/program_manifest.h"
#include "node/parts/work_thread.h"

namespace rayx::node {

struct ProgramPartsOptions {
  std::string session_folder;
  std::string host_name;
  std::string search_path;  // "a:b", where libraries that do not travel may lie
  model::NodeNumber self;
  // The channel to a node's daemon, null when it is not known or dead.
  std::function<std::shared_ptr<grpc::Channel>(model::NodeNumber)> find_channel;
  std::function<void(const std::string& key, const RunPlan&)> on_plan;
};

class ProgramParts {
 public:
  static constexpr std::chrono::seconds kStall{3};
  static constexpr size_t kEndedKept = 64;
  using Answer = std::function<void(const proto::ErrorInfo&)>;  // code 0: it can be started

  ProgramParts(io::Loop& loop, ProgramPartsOptions options);
  ~ProgramParts();  // Stop

  // Of a driver of this node.
  void MakeManifest(proto::Program program, std::function<void(base::StatusOr<Manifest>)> done);
  // Other nodes may have these files until the job ends, and kEndedKept more have ended: detached
  // actors of it may be started anew.
  void Serve(model::JobId job, Manifest manifest);
  // What a program of a driver of this node is started from; "" also for any other. See ImageOf of
  // node/parts/program_manifest.h.
  base::StatusOr<std::string> ImageOf(const std::string& key) const;
  // Null: it is not here.
  std::shared_ptr<const PartFile> Find(const std::string& sha256) const;

  // A worker of this job is to run the program, which may be of any node.
  void Want(const proto::Program& program, model::JobId job, Answer answer);
  void OnJobEnded(model::JobId job);
  void OnNodes(const std::vector<model::NodeNumber>& alive) { core_.OnNodes(alive); }
  void OnNodeDead(model::NodeNumber node, const std::string& reason);
  void Tick();  // several times a second
  // A whole tree, which may take long.
  void RemoveFolder(const std::string& path);
  void Stop();

 private:
  struct Transfer {
    std::shared_ptr<PartStream> stream;
    uint64_t progress = 0;
    model::TimePoint since{};
  };
  struct Outcome {
    ErrorCode code = ErrorCode::kNone;
    std::string why;
  };

  void RunEffects();
  void Look(const PartsEffects::Look& look);
  void Fetch(const PartsEffects::Fetch& fetch);
  void Link(const PartsEffects::Link& link);
  proto::ErrorInfo ErrorOf(ErrorCode code, const std::string& message) const;
  void AnswerAll(const std::string& key, const proto::ErrorInfo& error);
  void FetchedLater(uint64_t id, Outcome outcome);
  // On the thread of transfers.
  static Outcome Bring(PartStream& stream, std::shared_ptr<grpc::Channel> channel,
                       const std::shared_ptr<const PartFile>& own, const PartsEffects::Fetch& fetch,
                       const std::string& folder);
  // From any thread, to the loop.
  void Post(std::function<void()> call);

  io::Loop& loop_;
  const ProgramPartsOptions options_;
  const PartFolder folder_;
  base::Status folder_status_;
  ProgramPartsCore core_;
  PartsEffects effects_;
  bool running_effects_ = false;
  std::map<std::string, std::vector<Answer>> waiting_;
  std::map<model::JobId, Manifest> served_;
  std::deque<model::JobId> ended_;  // of served_: the oldest first
  std::map<uint64_t, Transfer> transfers_;
  FileIdentities identities_;  // on the thread of files
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  WorkThread files_{"rayx-files"};
  WorkThread transport_{"rayx-parts"};
};

}  // namespace rayx::node
