// runtime/node/parts/program_manifest.h
//
// What a program is made of, on its driver's VM, and whether a part lies on another one.
// Owner:    ProgramParts.
// Threads:  one at a time.
// Inputs:   the words of a driver, or of another daemon; files of this VM.
// Promises: hashes are of what the descriptors in `files` hold, whatever happens to the paths
//           later; equal programs have one key on every VM. A library that has gone, or is no
//           regular file, is left out: workers of this VM could not load it either.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/status.h"
#include "model/ids.h"
#include "node/core/parts_effects.h"
#include "node/parts/file_identity.h"
#include "proto/types.pb.h"

namespace rayx::node {

// A part that other nodes may have.
struct PartFile {
  base::UniqueFd fd;
  uint64_t bytes = 0;
  FileState state{};
};
using PartFiles = std::map<std::string, std::shared_ptr<const PartFile>>;  // by SHA-256

struct Manifest {
  proto::Program program;
  PartFiles files;
  std::vector<FileState> states;  // of what lay at the paths of its parts
};

// NotFound: the executable cannot be read. InvalidArgument: no driver says such things.
base::StatusOr<Manifest> MakeManifest(proto::Program program, model::NodeNumber source,
                                      FileIdentities& identities);

// One descriptor a file, however many drivers were started from it: takes those of `older`.
void ShareFiles(const Manifest& older, Manifest& manifest);

// What is to be started as this program on its driver's VM: "" is the file at its path; else a path
// to the build that the driver runs, where another has taken its place. LibraryMismatch, with a
// sentence: a library has been replaced, so that a worker would run another build of it.
base::StatusOr<std::string> ImageOf(const Manifest& manifest);

// `search_path`: folders "a:b" where a library that does not travel may lie instead.
PartLook LookFor(const proto::Part& part, bool is_executable, const std::string& search_path,
                 FileIdentities& identities);

}  // namespace rayx::node
