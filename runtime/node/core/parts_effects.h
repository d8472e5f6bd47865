// runtime/node/core/parts_effects.h
//
// The words between ProgramPartsCore and its shell.
// Owner:    values.           Threads: any.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "model/ids.h"
#include "proto/types.pb.h"
#include "rayx/detail/error_record.h"

namespace rayx::node {

// How a program is started on this VM.
struct RunPlan {
  std::string executable;
  std::string library_path;  // leads LD_LIBRARY_PATH; "": nothing does
  std::vector<std::string> preload_libraries;
  friend bool operator==(const RunPlan&, const RunPlan&) = default;
};

// What lies on this VM for a part.
struct PartLook {
  enum class Found : uint8_t { kNothing, kOther, kSame };
  Found found = Found::kNothing;
  std::string path;         // of kSame and kOther
  bool by_default = false;  // the dynamic loader finds it there by itself
};

struct PartsEffects {
  // Look for its parts; answer OnLooked.
  struct Look {
    std::string key;
    proto::Program program;
  };
  // Bring a part from a node; answer OnFetched, also after a Cancel.
  struct Fetch {
    uint64_t id = 0;
    std::string sha256;
    uint64_t bytes = 0;
    model::NodeNumber node;
  };
  struct Cancel {
    uint64_t id = 0;
  };
  // Make the folder of a program: links by these names to these files; answer OnLinked.
  struct Link {
    std::string key;
    std::vector<std::pair<std::string, std::string>> links;
  };
  struct Ready {
    std::string key;
    RunPlan plan;
  };
  struct Failed {
    std::string key;
    ErrorCode code = ErrorCode::kNone;
    std::string message;
  };
  std::vector<Cancel> cancels;
  std::vector<std::string> unlinks;  // keys: remove the program's folder
  std::vector<std::string> removes;  // hashes: remove the part
  std::vector<Look> looks;
  std::vector<Fetch> fetches;
  std::vector<Link> links;
  std::vector<Ready> ready;
  std::vector<Failed> failures;
  bool empty() const {
    return cancels.empty() && unlinks.empty() && removes.empty() && looks.empty() &&
           fetches.empty() && links.empty() && ready.empty() && failures.empty();
  }
};

}  // namespace rayx::node
