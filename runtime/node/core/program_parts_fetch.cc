// Which nodes ProgramPartsCore asks for a part, and what is said when none has it.
#include <algorithm>
#include <utility>

#include "base/mark.h"
#include "node/core/program_parts_core.h"

namespace rayx::node {

using model::NodeNumber;

namespace {

constexpr size_t kTriesSaid = 3;  // in an error

}  // namespace

void ProgramPartsCore::StartFetches(Programs::iterator program, PartsEffects& effects) {
  for (const proto::Part& part : program->second.wire.parts()) {
    const std::string& sha256 = part.sha256();
    if (program->second.fetched.count(sha256) == 0 || stored_.count(sha256) != 0 ||
        IsUnderWay(sha256)) {
      continue;
    }
    Transfer transfer{sha256, part.name(), part.bytes(), {}, {}};
    if (Ask(transfer, effects)) continue;
    FailFetch(program, transfer, effects);
    return CancelUnwanted(effects);
  }
  if (IsAllStored(program->second)) Finish(program->first, program->second, effects);
}

std::vector<NodeNumber> ProgramPartsCore::DriversNodes(const std::string& sha256) const {
  std::vector<NodeNumber> nodes;
  for (const auto& [key, program] : programs_) {
    if (program.phase != Phase::kFetching || program.fetched.count(sha256) == 0) continue;
    for (const auto& [job, node] : program.users) {
      if (std::find(nodes.begin(), nodes.end(), node) == nodes.end()) nodes.push_back(node);
    }
  }
  return nodes;
}

bool ProgramPartsCore::IsGone(NodeNumber node) const {
  return node != options_.self && !alive_.empty() && alive_.count(node) == 0;
}

bool ProgramPartsCore::Ask(Transfer transfer, PartsEffects& effects) {
  std::vector<NodeNumber> nodes = DriversNodes(transfer.sha256);
  for (const NodeNumber node : alive_) {
    if (node != options_.self) nodes.push_back(node);
  }
  const auto next = std::find_if(nodes.begin(), nodes.end(), [&](NodeNumber node) {
    return !IsGone(node) && std::none_of(transfer.tries.begin(), transfer.tries.end(),
                                         [&](const Try& each) { return each.node == node; });
  });
  if (next == nodes.end()) return false;
  if (!transfer.tries.empty()) RAYX_MARK("a part is asked for elsewhere");
  transfer.node = *next;
  const uint64_t id = next_transfer_++;
  effects.fetches.push_back({id, transfer.sha256, transfer.bytes, transfer.node});
  transfers_.emplace(id, std::move(transfer));
  return true;
}

void ProgramPartsCore::OnFetched(uint64_t id, ErrorCode code, const std::string& why,
                                 PartsEffects& effects) {
  auto it = transfers_.find(id);
  if (it == transfers_.end()) return;  // cancelled; the shell has thrown its bytes away
  Transfer transfer = std::move(it->second);
  transfers_.erase(it);
  const bool is_here = code == ErrorCode::kNone;
  if (is_here) {
    stored_[transfer.sha256] = {transfer.bytes, ++uses_};
  } else {
    transfer.tries.push_back({transfer.node, code, why});
    const bool is_own_fault = code == ErrorCode::kOutOfDisk;
    if (!is_own_fault && Ask(transfer, effects)) return;
  }
  for (auto program = programs_.begin(); program != programs_.end();) {
    const auto at = program++;
    const bool waits =
        at->second.phase == Phase::kFetching && at->second.fetched.count(transfer.sha256) != 0;
    if (!waits) continue;
    if (!is_here) {
      FailFetch(at, transfer, effects);
    } else if (IsAllStored(at->second)) {
      Finish(at->first, at->second, effects);
    }
  }
  CancelUnwanted(effects);
  Evict(effects);
}

// A node that could not be reached may have it all the same: that is not said to be for good.
void ProgramPartsCore::FailFetch(Programs::iterator program, const Transfer& transfer,
                                 PartsEffects& effects) {
  ErrorCode code = ErrorCode::kMissingLibrary;
  for (const ErrorCode worse :
       {ErrorCode::kLibraryMismatch, ErrorCode::kNodeDied, ErrorCode::kOutOfDisk}) {
    const bool came = std::any_of(transfer.tries.begin(), transfer.tries.end(),
                                  [&](const Try& each) { return each.code == worse; });
    if (came) code = worse;
  }
  Fail(program, code, WhyNotFetched(program->second, transfer), effects);
}

std::string ProgramPartsCore::WhyNotFetched(const Program& program,
                                            const Transfer& transfer) const {
  std::string text = "VM " + options_.host_name + " lacks " + transfer.name + " of " +
                     program.wire.executable() + " and could not get it";
  const NodeNumber source = program.users.begin()->second;
  const bool was_asked = std::any_of(transfer.tries.begin(), transfer.tries.end(),
                                     [&](const Try& each) { return each.node == source; });
  if (!was_asked) {
    text += ": node " + ToString(source) + ", where its driver ran, is gone";
    if (transfer.tries.empty()) text += ", and there is no other node";
  }
  size_t said = 0;
  for (const Try& each : transfer.tries) {
    if (++said > kTriesSaid) break;
    text += said == 1 && was_asked ? " from node " : "; nor from node ";
    text += ToString(each.node);
    text += each.node == source ? ", where its driver runs: " : ": ";
    text += each.why;
  }
  if (transfer.tries.size() > kTriesSaid) {
    text += "; nor from " + std::to_string(transfer.tries.size() - kTriesSaid) + " other nodes";
  }
  return text;
}

}  // namespace rayx::node
