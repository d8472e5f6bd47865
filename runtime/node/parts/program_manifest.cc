#include "node/parts/program_manifest.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/log.h"
#include "node/core/program_parts_core.h"
#include "node/parts/sha256.h"
#include "rpc/errors.h"

namespace rayx::node {
namespace {

// Where the dynamic loader looks by itself, on Debian and elsewhere.
constexpr const char* kDefaultFolders[] = {"/usr/local/lib/x86_64-linux-gnu",
                                           "/lib/x86_64-linux-gnu",
                                           "/usr/lib/x86_64-linux-gnu",
                                           "/usr/local/lib/aarch64-linux-gnu",
                                           "/lib/aarch64-linux-gnu",
                                           "/usr/lib/aarch64-linux-gnu",
                                           "/usr/local/lib",
                                           "/lib64",
                                           "/usr/lib64",
                                           "/lib",
                                           "/usr/lib"};

proto::Part PartAt(const std::string& path) {
  proto::Part part;
  part.set_path(path);
  part.set_name(path.substr(path.rfind('/') + 1));
  return part;
}

// Reads one part, keeping it open where others may ask for it.
base::Status Read(proto::Part& part, bool is_executable, Manifest& manifest,
                  FileIdentities& identities) {
  RAYX_ASSIGN_OR_RETURN(base::UniqueFd fd, FileIdentities::Open(part.path()));
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return absl::NotFoundError("fstat");
  RAYX_ASSIGN_OR_RETURN(const FileFacts facts, identities.Of(fd.get(), part.path()));
  part.set_bytes(facts.bytes);
  part.set_build_id(facts.elf.build_id);
  part.set_rpath(facts.elf.rpath);
  const bool travels = ProgramPartsCore::Travels(part, is_executable);
  part.clear_sha256();
  if (travels || facts.elf.build_id.empty()) {
    RAYX_ASSIGN_OR_RETURN(const std::string hash, identities.HashOf(fd.get(), part.path()));
    part.set_sha256(hash);
    if (travels) {
      manifest.files[hash] =
          std::make_shared<const PartFile>(PartFile{std::move(fd), facts.bytes, StateOf(info)});
    }
  }
  manifest.states.push_back(StateOf(info));
  return absl::OkStatus();
}

std::string KeyOf(proto::Program program) {
  program.clear_key();
  program.clear_source_node();
  Sha256 hash;
  hash.Add(program.SerializeAsString());
  return hash.Finish();
}

bool IsSame(const proto::Part& part, int fd, const std::string& path, FileIdentities& identities) {
  const auto facts = identities.Of(fd, path);
  if (!facts.ok() || facts->bytes != part.bytes()) return false;
  if (part.sha256().empty()) return facts->elf.build_id == part.build_id();
  const auto hash = identities.HashOf(fd, path);
  return hash.ok() && *hash == part.sha256();
}

PartLook LookAt(const proto::Part& part, const std::string& path, FileIdentities& identities) {
  PartLook look;
  const auto fd = FileIdentities::Open(path);
  if (!fd.ok()) return look;
  look.path = path;
  look.found =
      IsSame(part, fd->get(), path, identities) ? PartLook::Found::kSame : PartLook::Found::kOther;
  return look;
}

}  // namespace

base::StatusOr<Manifest> MakeManifest(proto::Program program, model::NodeNumber source,
                                      FileIdentities& identities) {
  if (program.parts_size() >= ProgramPartsCore::kPartsMax) {
    return absl::InvalidArgumentError("a program of too many libraries");
  }
  const auto libraries = std::exchange(*program.mutable_parts(), {});
  Manifest manifest;
  proto::Part executable = PartAt(program.executable());
  RAYX_RETURN_IF_ERROR(Read(executable, true, manifest, identities));
  *program.add_parts() = std::move(executable);
  std::set<std::string> names;
  for (const proto::Part& named : libraries) {
    proto::Part library = PartAt(named.path());
    if (!names.insert(library.name()).second) continue;  // the loader took the first one
    if (const auto status = Read(library, false, manifest, identities); !status.ok()) {
      RAYX_LOG(kWarning) << "a library of " << program.executable()
                         << " cannot be read: " << base::Message(status);
      continue;
    }
    *program.add_parts() = std::move(library);
  }
  program.set_key(KeyOf(program));
  program.set_source_node(source.value);
  RAYX_RETURN_IF_ERROR(ProgramPartsCore::CheckProgram(program));
  manifest.program = std::move(program);
  return manifest;
}

void ShareFiles(const Manifest& older, Manifest& manifest) {
  for (auto& [hash, file] : manifest.files) {
    const auto same = older.files.find(hash);
    if (same != older.files.end() && same->second->state == file->state) file = same->second;
  }
}

base::StatusOr<std::string> ImageOf(const Manifest& manifest) {
  std::string image;
  for (int i = 0; i < manifest.program.parts_size(); ++i) {
    const proto::Part& part = manifest.program.parts(i);
    struct stat info {};
    const bool is_there = ::stat(part.path().c_str(), &info) == 0;
    if (is_there && StateOf(info) == manifest.states[static_cast<size_t>(i)]) continue;
    if (ProgramPartsCore::IsExecutable(i)) {
      image = "/proc/" + std::to_string(::getpid()) + "/fd/" +
              std::to_string(manifest.files.at(part.sha256())->fd.get());
      continue;
    }
    FileIdentities anew;
    if (LookAt(part, part.path(), anew).found == PartLook::Found::kSame) continue;
    return rpc::MakeError(ErrorCode::kLibraryMismatch,
                          part.path() + " of " + manifest.program.executable() +
                              (is_there ? " has been replaced" : " has gone") +
                              " since the driver was started: start the driver again");
  }
  return image;
}

PartLook LookFor(const proto::Part& part, bool is_executable, const std::string& search_path,
                 FileIdentities& identities) {
  PartLook first = LookAt(part, part.path(), identities);
  if (first.found == PartLook::Found::kSame || ProgramPartsCore::Travels(part, is_executable)) {
    return first;
  }
  const auto try_folder = [&](const std::string& folder, bool by_default) {
    PartLook look = LookAt(part, folder + "/" + part.name(), identities);
    look.by_default = by_default;
    const bool is_same = look.found == PartLook::Found::kSame;
    if (is_same || first.found == PartLook::Found::kNothing) first = look;
    return is_same;
  };
  for (size_t at = 0; at < search_path.size();) {
    const size_t end = std::min(search_path.find(':', at), search_path.size());
    const std::string folder = search_path.substr(at, end - at);
    if (folder.starts_with('/') && try_folder(folder, false)) return first;
    at = end + 1;
  }
  for (const char* folder : kDefaultFolders) {
    if (try_folder(folder, true)) return first;
  }
  return first;
}

}  // namespace rayx::node
