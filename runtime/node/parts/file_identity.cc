#include "node/parts/file_identity.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "node/parts/sha256.h"

namespace rayx::node {
namespace {

constexpr size_t kReadBytes = 1 << 20;
constexpr size_t kHashesMax = 1024;

base::Status CannotRead(const std::string& path) {
  return base::MakeStatus(absl::StatusCode::kNotFound, path + ": " + std::strerror(errno));
}

}  // namespace

FileState StateOf(const struct stat& info) {
  return {info.st_dev, info.st_ino, info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec};
}

base::StatusOr<base::UniqueFd> FileIdentities::Open(const std::string& path) {
  // Not blocking: the path may name a pipe.
  base::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat info {};
  if (!file || ::fstat(file.get(), &info) != 0) return CannotRead(path);
  if (!S_ISREG(info.st_mode)) {
    return base::MakeStatus(absl::StatusCode::kNotFound, path + ": not a file");
  }
  return file;
}

base::StatusOr<FileFacts> FileIdentities::Of(int fd, const std::string& path) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return CannotRead(path);
  FileFacts facts;
  facts.bytes = static_cast<uint64_t>(info.st_size);
  facts.elf = ReadElf(fd);
  return facts;
}

base::StatusOr<std::string> FileIdentities::HashOf(int fd, const std::string& path) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return CannotRead(path);
  const FileState state = StateOf(info);
  if (auto it = hashes_.find(state); it != hashes_.end()) return it->second;
  Sha256 hash;
  std::vector<char> buffer(kReadBytes);
  off_t at = 0;
  ssize_t bytes;
  while ((bytes = ::pread(fd, buffer.data(), buffer.size(), at)) > 0) {
    hash.Add({buffer.data(), static_cast<size_t>(bytes)});
    at += bytes;
  }
  if (bytes < 0) return CannotRead(path);
  if (hashes_.size() >= kHashesMax) hashes_.clear();
  return hashes_[state] = hash.Finish();
}

}  // namespace rayx::node
