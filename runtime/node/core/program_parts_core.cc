#include "node/core/program_parts_core.h"

#include <algorithm>

#include "base/check.h"

namespace rayx::node {

using model::JobId;
using model::NodeNumber;

void ProgramPartsCore::OnWant(const proto::Program& wire, JobId job, PartsEffects& effects) {
  auto [it, added] = programs_.try_emplace(wire.key());
  Program& program = it->second;
  program.users[job] = NodeNumber{wire.source_node()};
  if (added) {
    program.wire = wire;
    effects.looks.push_back({wire.key(), wire});
  } else if (program.phase == Phase::kReady) {
    effects.ready.push_back({wire.key(), PlanOf(program)});
  }
}

void ProgramPartsCore::OnLooked(const std::string& key, const std::vector<PartLook>& looks,
                                PartsEffects& effects) {
  auto it = programs_.find(key);
  if (it == programs_.end() || it->second.phase != Phase::kLooking) return;
  Program& program = it->second;
  RAYX_CHECK(looks.size() == static_cast<size_t>(program.wire.parts_size()), "a look is missing");
  program.looks = looks;
  ErrorCode code = ErrorCode::kNone;
  std::string message;
  if (FindFault(program, code, message)) return Fail(it, code, message, effects);
  for (int i = 0; i < program.wire.parts_size(); ++i) {
    if (IsMoved(program, i)) program.fetched.insert(program.wire.parts(i).sha256());
  }
  program.phase = Phase::kFetching;
  StartFetches(it, effects);
}

bool ProgramPartsCore::IsUnderWay(const std::string& sha256) const {
  return std::any_of(transfers_.begin(), transfers_.end(),
                     [&](const auto& transfer) { return transfer.second.sha256 == sha256; });
}

bool ProgramPartsCore::IsAllStored(const Program& program) const {
  return std::all_of(program.fetched.begin(), program.fetched.end(),
                     [&](const std::string& sha256) { return stored_.count(sha256) != 0; });
}

void ProgramPartsCore::Finish(const std::string& key, Program& program, PartsEffects& effects) {
  for (const std::string& sha256 : program.fetched) stored_.at(sha256).last_used = ++uses_;
  if (program.fetched.empty()) {
    program.phase = Phase::kReady;
    effects.ready.push_back({key, PlanOf(program)});
    return;
  }
  program.phase = Phase::kLinking;
  PartsEffects::Link link{key, {}};
  for (int i = 1; i < program.wire.parts_size(); ++i) {
    const proto::Part& part = program.wire.parts(i);
    if (Travels(part, IsExecutable(i))) link.links.emplace_back(part.name(), TargetOf(program, i));
  }
  effects.links.push_back(std::move(link));
}

void ProgramPartsCore::OnLinked(const std::string& key, ErrorCode code, const std::string& why,
                                PartsEffects& effects) {
  auto it = programs_.find(key);
  if (it == programs_.end() || it->second.phase != Phase::kLinking) return;
  if (code != ErrorCode::kNone) {
    return Fail(it, code, "VM " + options_.host_name + ": " + why, effects);
  }
  it->second.phase = Phase::kReady;
  effects.ready.push_back({key, PlanOf(it->second)});
}

void ProgramPartsCore::Fail(Programs::iterator program, ErrorCode code, const std::string& message,
                            PartsEffects& effects) {
  effects.failures.push_back({program->first, code, message});
  programs_.erase(program);
}

void ProgramPartsCore::CancelUnwanted(PartsEffects& effects) {
  for (auto it = transfers_.begin(); it != transfers_.end();) {
    const std::string& sha256 = it->second.sha256;
    const bool wanted = std::any_of(programs_.begin(), programs_.end(), [&](const auto& program) {
      return program.second.phase == Phase::kFetching && program.second.fetched.count(sha256);
    });
    if (wanted) {
      ++it;
      continue;
    }
    effects.cancels.push_back({it->first});
    it = transfers_.erase(it);
  }
}

void ProgramPartsCore::OnJobEnded(JobId job, PartsEffects& effects) {
  for (auto it = programs_.begin(); it != programs_.end();) {
    const auto at = it++;
    if (at->second.users.erase(job) == 0 || !at->second.users.empty()) continue;
    const Phase phase = at->second.phase;
    if (phase == Phase::kLinking || (phase == Phase::kReady && !at->second.fetched.empty())) {
      effects.unlinks.push_back(at->first);
    }
    if (phase == Phase::kReady) {
      programs_.erase(at);
    } else {
      Fail(at, ErrorCode::kCancelled, "the job has ended", effects);
    }
  }
  CancelUnwanted(effects);
  Evict(effects);
}

void ProgramPartsCore::OnNodes(const std::vector<NodeNumber>& alive) {
  alive_ = {alive.begin(), alive.end()};
}

void ProgramPartsCore::OnNodeDead(NodeNumber node, const std::string& reason,
                                  PartsEffects& effects) {
  alive_.erase(node);
  std::vector<uint64_t> lost;
  for (const auto& [id, transfer] : transfers_) {
    if (transfer.node == node) lost.push_back(id);
  }
  for (uint64_t id : lost) {
    effects.cancels.push_back({id});
    OnFetched(id, ErrorCode::kNodeDied, "the node is dead: " + reason, effects);
  }
}

void ProgramPartsCore::Evict(PartsEffects& effects) {
  std::set<std::string> used;
  for (const auto& [key, program] : programs_) {
    used.insert(program.fetched.begin(), program.fetched.end());
  }
  std::map<uint64_t, std::string> unused;  // the oldest first
  uint64_t bytes = 0;
  for (const auto& [sha256, part] : stored_) {
    if (used.count(sha256) != 0) continue;
    unused.emplace(part.last_used, sha256);
    bytes += part.bytes;
  }
  for (const auto& [last_used, sha256] : unused) {
    if (bytes <= options_.kept_bytes_max) return;
    bytes -= stored_.at(sha256).bytes;
    stored_.erase(sha256);
    effects.removes.push_back(sha256);
  }
}

std::string ProgramPartsCore::PathOf(const std::string& sha256) const {
  if (stored_.count(sha256) != 0) return options_.folder + "/" + sha256;
  for (const auto& [key, program] : programs_) {
    for (size_t i = 0; i < program.looks.size(); ++i) {
      const bool is_it = program.wire.parts(static_cast<int>(i)).sha256() == sha256;
      if (is_it && program.looks[i].found == PartLook::Found::kSame) return program.looks[i].path;
    }
  }
  return "";
}

uint64_t ProgramPartsCore::stored_bytes() const {
  uint64_t bytes = 0;
  for (const auto& [sha256, part] : stored_) bytes += part.bytes;
  return bytes;
}

void ProgramPartsCore::CheckInvariants() const {
  std::set<std::string> under_way;
  for (const auto& [id, transfer] : transfers_) {
    RAYX_CHECK(under_way.insert(transfer.sha256).second, "a part is fetched twice at once");
    RAYX_CHECK(stored_.count(transfer.sha256) == 0, "a part that is here is fetched");
  }
  for (const auto& [key, program] : programs_) {
    RAYX_CHECK(!program.users.empty(), "a program that no job uses");
    const bool done = program.phase == Phase::kLinking || program.phase == Phase::kReady;
    for (const std::string& sha256 : program.fetched) {
      const bool is_here = stored_.count(sha256) != 0;
      RAYX_CHECK(is_here || !done, "a program is ready without a part");
      RAYX_CHECK(is_here || under_way.count(sha256) == 1, "a program waits for nothing");
    }
  }
}

}  // namespace rayx::node
