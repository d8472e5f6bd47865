// runtime/node/core/program_parts_core.h
//
// Decides which files of a program that runs on another VM are used where they lie, which are
// fetched from there, and which must be here already. Pure.
// Owner:    ProgramParts, one a node.
// Threads:  the node loop only.
// Inputs:   On*() calls. A program has passed CheckProgram.
// Outputs:  appended to PartsEffects.
// Promises: each OnWant is followed by one Ready or Failed of its key, which answers all wants of
//           it so far; a part is fetched once however many programs want it, from the nodes of
//           their drivers or, when those cannot give it, from each other node in turn; what was
//           found wrong is looked at anew by the next want; of each part the build of the driver is
//           run, or none. What no running job uses goes, the oldest first, beyond `kept_bytes_max`.
// Limits:   kFetchedBytesMax a program. Not fetched: LibTorch, and libraries above
//           kLibraryBytesMax. They are matched by build id where they have one.
//
// A program is looking -> fetching -> linking -> ready, or failed, which forgets it.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/status.h"
#include "node/core/parts_effects.h"

namespace rayx::node {

struct PartsOptions {
  std::string host_name;
  std::string folder;  // where fetched parts lie, by their hash
  uint64_t kept_bytes_max = uint64_t{1} << 30;
  model::NodeNumber self;
};

class ProgramPartsCore {
 public:
  static constexpr uint64_t kLibraryBytesMax = uint64_t{64} << 20;
  static constexpr uint64_t kFetchedBytesMax = uint64_t{512} << 20;
  static constexpr int kPartsMax = 1024;
  static constexpr int kNameBytesMax = 255;
  static constexpr int kTextBytesMax = 4096;  // paths and rpaths

  explicit ProgramPartsCore(PartsOptions options) : options_(std::move(options)) {}

  // InvalidArgument: a peer sent what no daemon fills in. Hashes, keys and names that pass may be
  // used as the names of files.
  static base::Status CheckProgram(const proto::Program& program);
  static bool IsExecutable(int part) { return part == 0; }
  static bool Travels(const proto::Part& part, bool is_executable);

  void OnWant(const proto::Program& program, model::JobId job, PartsEffects& effects);
  // One look a part, in their order.
  void OnLooked(const std::string& key, const std::vector<PartLook>& looks, PartsEffects& effects);
  // kNone: it lies in the folder, and its hash is right.
  void OnFetched(uint64_t id, ErrorCode code, const std::string& why, PartsEffects& effects);
  void OnLinked(const std::string& key, ErrorCode code, const std::string& why,
                PartsEffects& effects);
  void OnJobEnded(model::JobId job, PartsEffects& effects);
  // All that live, this one among them.
  void OnNodes(const std::vector<model::NodeNumber>& alive);
  void OnNodeDead(model::NodeNumber node, const std::string& reason, PartsEffects& effects);

  // Where the part lies on this VM, as far as is known; "": nowhere. The file may have changed.
  std::string PathOf(const std::string& sha256) const;
  uint64_t stored_bytes() const;
  void CheckInvariants() const;

 private:
  enum class Phase : uint8_t { kLooking, kFetching, kLinking, kReady };
  struct Program {
    Phase phase = Phase::kLooking;
    proto::Program wire;
    std::map<model::JobId, model::NodeNumber> users;  // and their drivers' nodes
    std::vector<PartLook> looks;
    std::set<std::string> fetched;  // hashes of the parts that come out of the folder
  };
  struct Try {
    model::NodeNumber node;
    ErrorCode code = ErrorCode::kNone;
    std::string why;
  };
  struct Transfer {
    std::string sha256;
    std::string name;  // for people
    uint64_t bytes = 0;
    model::NodeNumber node;
    std::vector<Try> tries;  // that failed before
  };
  struct Stored {
    uint64_t bytes = 0;
    uint64_t last_used = 0;
  };
  using Programs = std::map<std::string, Program>;

  std::string WhyNotHere(const Program& program, int part, ErrorCode& code) const;
  bool FindFault(const Program& program, ErrorCode& code, std::string& message) const;
  bool LoadsForeign(const Program& program, int part) const;
  bool IsMoved(const Program& program, int part) const;
  std::string TargetOf(const Program& program, int part) const;
  RunPlan PlanOf(const Program& program) const;
  bool IsUnderWay(const std::string& sha256) const;
  bool IsAllStored(const Program& program) const;
  void StartFetches(Programs::iterator program, PartsEffects& effects);
  // False: there is nobody left to ask.
  bool Ask(Transfer transfer, PartsEffects& effects);
  std::vector<model::NodeNumber> DriversNodes(const std::string& sha256) const;
  bool IsGone(model::NodeNumber node) const;
  void FailFetch(Programs::iterator program, const Transfer& transfer, PartsEffects& effects);
  std::string WhyNotFetched(const Program& program, const Transfer& transfer) const;
  void Finish(const std::string& key, Program& program, PartsEffects& effects);
  void Fail(Programs::iterator program, ErrorCode code, const std::string& message,
            PartsEffects& effects);
  void CancelUnwanted(PartsEffects& effects);
  void Evict(PartsEffects& effects);

  const PartsOptions options_;
  Programs programs_;
  std::map<uint64_t, Transfer> transfers_;
  std::map<std::string, Stored> stored_;
  std::set<model::NodeNumber> alive_;  // empty: nobody has said yet
  uint64_t next_transfer_ = 1;
  uint64_t uses_ = 0;
};

}  // namespace rayx::node
