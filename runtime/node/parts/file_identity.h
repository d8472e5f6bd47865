// runtime/node/parts/file_identity.h
//
// Which file a file is: its size, its hash, its build id.
// Owner:    ProgramParts.
// Threads:  one at a time.
// Promises: a file is hashed once as long as its device, inode, size and time of change stay. What
//           is no regular file, or cannot be read, is NotFound with the reason.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <string>
#include <tuple>

#include "base/fd.h"
#include "base/status.h"
#include "node/parts/elf_file.h"

namespace rayx::node {

struct FileFacts {
  uint64_t bytes = 0;
  ElfFacts elf;
  std::string sha256;  // "" unless it was asked for
};

// Device, inode, size, time of change.
using FileState = std::tuple<uint64_t, uint64_t, int64_t, int64_t, int64_t>;
FileState StateOf(const struct stat& info);

class FileIdentities {
 public:
  static base::StatusOr<base::UniqueFd> Open(const std::string& path);
  // `path` is for the error.
  base::StatusOr<FileFacts> Of(int fd, const std::string& path);
  base::StatusOr<std::string> HashOf(int fd, const std::string& path);

 private:
  std::map<FileState, std::string> hashes_;
};

}  // namespace rayx::node
