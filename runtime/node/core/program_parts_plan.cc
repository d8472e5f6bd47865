// How ProgramPartsCore judges a program by what lies on this VM, and where its files are then.
#include <algorithm>
#include <map>
#include <set>
#include <string_view>

#include "node/core/program_parts_core.h"

namespace rayx::node {

using Found = PartLook::Found;

namespace {

bool IsHex(std::string_view text, size_t least, size_t most) {
  return text.size() >= least && text.size() <= most &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string FolderOf(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

std::string MiB(uint64_t bytes) {
  return std::to_string((bytes + (1 << 20) - 1) >> 20) + " MiB";
}

base::Status CheckName(const proto::Part& part) {
  const std::string& path = part.path();
  const std::string& name = part.name();
  if (path.empty() || path[0] != '/' || path.back() == '/' ||
      path.size() > ProgramPartsCore::kTextBytesMax || path.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError("a part of a program has no absolute path");
  }
  if (name.empty() || name == "." || name == ".." ||
      name.size() > ProgramPartsCore::kNameBytesMax || name.find('/') != std::string::npos ||
      name.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError("a part of a program has no name that a file can have");
  }
  return absl::OkStatus();
}

// The entries of a search path: "a:b".
std::vector<std::string_view> Entries(std::string_view path) {
  std::vector<std::string_view> entries;
  while (!path.empty()) {
    const size_t end = std::min(path.find(':'), path.size());
    if (end > 0) entries.push_back(path.substr(0, end));
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return entries;
}

void AppendPath(std::string& path, const std::string& folder) {
  if (!path.empty()) path += ':';
  path += folder;
}

}  // namespace

base::Status ProgramPartsCore::CheckProgram(const proto::Program& program) {
  if (program.parts_size() > kPartsMax) {
    return absl::InvalidArgumentError("a program of too many parts");
  }
  for (const proto::Part& part : program.parts()) RAYX_RETURN_IF_ERROR(CheckName(part));
  if (!IsHex(program.key(), 64, 64)) return absl::InvalidArgumentError("a program without a key");
  if (program.parts_size() == 0 || program.parts(0).path() != program.executable() ||
      program.source_node() == 0) {
    return absl::InvalidArgumentError("a program without its executable");
  }
  std::set<std::string_view> names;
  for (int i = 0; i < program.parts_size(); ++i) {
    const proto::Part& part = program.parts(i);
    const bool hashed = IsHex(part.sha256(), 64, 64);
    const bool matched =
        part.sha256().empty() && !Travels(part, IsExecutable(i)) && IsHex(part.build_id(), 2, 128);
    if (!hashed && !matched) {
      return absl::InvalidArgumentError("a part of a program has no hash");
    }
    if (part.rpath().size() > kTextBytesMax) {
      return absl::InvalidArgumentError("a part of a program has too long an RPATH");
    }
    if (!IsExecutable(i) && !names.insert(part.name()).second) {
      return absl::InvalidArgumentError("a program has two parts of one name");
    }
  }
  return absl::OkStatus();
}

bool ProgramPartsCore::Travels(const proto::Part& part, bool is_executable) {
  if (is_executable) return true;
  const std::string_view name = part.name();
  for (const std::string_view torch : {"libtorch", "libc10"}) {
    if (name.substr(0, torch.size()) == torch) return false;
  }
  return part.bytes() <= kLibraryBytesMax;
}

bool ProgramPartsCore::IsMoved(const Program& program, int part) const {
  return program.looks[static_cast<size_t>(part)].found != Found::kSame;
}

std::string ProgramPartsCore::TargetOf(const Program& program, int part) const {
  if (!IsMoved(program, part)) return program.looks[static_cast<size_t>(part)].path;
  return options_.folder + "/" + program.wire.parts(part).sha256();
}

// A library that cannot be fetched and is not here.
std::string ProgramPartsCore::WhyNotHere(const Program& program, int i, ErrorCode& code) const {
  const proto::Part& part = program.wire.parts(i);
  const PartLook& look = program.looks[static_cast<size_t>(i)];
  const std::string why_not = part.bytes() > kLibraryBytesMax
                                  ? "libraries of more than " + MiB(kLibraryBytesMax)
                                  : "the libraries of LibTorch";
  if (look.found == Found::kOther) {
    code = ErrorCode::kLibraryMismatch;
    return "VM " + options_.host_name + " has another build of " + part.name() +
           " than the driver, at " + look.path + "; " + why_not +
           " are not shipped: install the same build on every VM";
  }
  code = ErrorCode::kMissingLibrary;
  return "VM " + options_.host_name + " lacks " + part.name() + "; " + why_not +
         " are not shipped: install it there at " + part.path() +
         ", or where the LD_LIBRARY_PATH of `rayx start` finds it";
}

// The RPATH of a part that stays where it lies, or an absolute one, is searched before
// LD_LIBRARY_PATH: it could find this VM's build of a library that is shipped.
bool ProgramPartsCore::LoadsForeign(const Program& program, int i) const {
  const bool stays =
      !IsMoved(program, i) && (IsExecutable(i) || !Travels(program.wire.parts(i), IsExecutable(i)));
  for (const std::string_view entry : Entries(program.wire.parts(i).rpath())) {
    const bool beside = entry.starts_with("$ORIGIN") || entry.starts_with("${ORIGIN}");
    if (!beside || stays) return true;
  }
  return false;
}

bool ProgramPartsCore::FindFault(const Program& program, ErrorCode& code,
                                 std::string& message) const {
  uint64_t bytes = 0;
  int replaced = -1;  // a library of which another build lies at its path
  for (int i = 0; i < program.wire.parts_size(); ++i) {
    if (!IsMoved(program, i)) continue;
    const proto::Part& part = program.wire.parts(i);
    if (!Travels(part, IsExecutable(i))) {
      message = WhyNotHere(program, i, code);
      return true;
    }
    const bool is_other = program.looks[static_cast<size_t>(i)].found == Found::kOther;
    if (!IsExecutable(i) && is_other) replaced = i;
    bytes += std::min(part.bytes(), kFetchedBytesMax + 1);
  }
  if (bytes > kFetchedBytesMax) {
    code = ErrorCode::kMissingLibrary;
    message = "VM " + options_.host_name + " lacks files of " + program.wire.executable() +
              " of together more than the " + MiB(kFetchedBytesMax) +
              " that are shipped: install them there at the same paths";
    return true;
  }
  for (int i = 0; replaced >= 0 && i < program.wire.parts_size(); ++i) {
    if (!LoadsForeign(program, i)) continue;
    code = ErrorCode::kLibraryMismatch;
    message = "VM " + options_.host_name + " has another build of " +
              program.wire.parts(replaced).name() + " than the driver, at " +
              program.looks[static_cast<size_t>(replaced)].path + ", where the RPATH of " +
              program.wire.parts(i).path() +
              " may find it: link that with RUNPATH (-Wl,--enable-new-dtags), or remove it there";
    return true;
  }
  return false;
}

// Libraries are found by links in one folder. Those that do not travel stay where they are, because
// what they load in their turn may lie beside them.
RunPlan ProgramPartsCore::PlanOf(const Program& program) const {
  RunPlan plan;
  plan.executable = TargetOf(program, 0);
  std::map<std::string, std::string> places;  // of the parts that are not at their paths
  std::set<std::string> folders;
  if (!program.fetched.empty())
    plan.library_path = options_.folder + "/program-" + program.wire.key();
  for (int i = 1; i < program.wire.parts_size(); ++i) {
    const proto::Part& part = program.wire.parts(i);
    const PartLook& look = program.looks[static_cast<size_t>(i)];
    const std::string target = TargetOf(program, i);
    if (target != part.path()) places[part.path()] = target;
    const bool stays = !Travels(part, IsExecutable(i)) && !look.by_default;
    const bool is_searched = !program.fetched.empty() || target != part.path();
    if (stays && is_searched && folders.insert(FolderOf(target)).second) {
      AppendPath(plan.library_path, FolderOf(target));
    }
  }
  for (const std::string& library : program.wire.preload_libraries()) {
    const auto place = places.find(library);
    plan.preload_libraries.push_back(place == places.end() ? library : place->second);
  }
  return plan;
}

}  // namespace rayx::node
