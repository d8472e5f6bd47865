#include "bench/data/staging_folder.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>

namespace rayx::bench {
namespace {

namespace fs = std::filesystem;

constexpr char kPrefix[] = ".rayx-data-";

// The lock is on the folder itself, so that it exists as long as the folder does. -1: another
// process holds it, or there is no such folder.
int TryLock(const fs::path& folder) {
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
  if (fd >= 0) close(fd);
  return -1;
}

void RemoveDead(const fs::path& parent) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(parent, error)) {
    if (entry.path().filename().string().rfind(kPrefix, 0) != 0) continue;
    const int lock = TryLock(entry.path());
    if (lock < 0) continue;
    std::error_code ignored;  // it is not ours to complain about
    fs::remove_all(entry.path(), ignored);
    close(lock);
  }
}

}  // namespace

absl::StatusOr<StagingFolder> StagingFolder::Make(const fs::path& parent) {
  std::error_code error;
  fs::create_directories(parent, error);
  if (error) {
    return absl::UnavailableError("cannot make " + parent.string() + ": " + error.message());
  }
  RemoveDead(parent);
  // A newcomer's sweep may take the folder between its making and its locking: then another one.
  for (int attempt = 0; attempt < 10; ++attempt) {
    std::string name = (parent / (std::string(kPrefix) + "XXXXXX")).string();
    if (mkdtemp(name.data()) == nullptr) break;
    const int lock = TryLock(name);
    if (lock < 0) continue;
    StagingFolder made(name, lock);
    if (fs::create_directory(made.work(), error) && fs::create_directory(made.done(), error)) {
      return made;
    }
  }
  return absl::UnavailableError("cannot make a folder in " + parent.string() + ": " +
                                strerror(errno));
}

StagingFolder::StagingFolder(StagingFolder&& other) noexcept
    : root_(std::exchange(other.root_, {})), lock_(std::exchange(other.lock_, -1)) {}

StagingFolder::~StagingFolder() {
  std::error_code ignored;
  if (!root_.empty()) fs::remove_all(root_, ignored);
  if (lock_ >= 0) close(lock_);
}

absl::Status StagingFolder::Publish(const fs::path& target, bool replace) {
  if (renameat2(AT_FDCWD, done().c_str(), AT_FDCWD, target.c_str(), RENAME_NOREPLACE) == 0) {
    return absl::OkStatus();
  }
  if (errno == EEXIST && !replace) {
    return absl::AlreadyExistsError(target.string() + " is there already");
  }
  // done() gets what was there, and goes with the rest.
  if (errno == EEXIST &&
      renameat2(AT_FDCWD, done().c_str(), AT_FDCWD, target.c_str(), RENAME_EXCHANGE) == 0) {
    return absl::OkStatus();
  }
  std::error_code error;
  if (errno == EINVAL) {  // a file system without these two
    if (replace && fs::exists(target, error)) fs::rename(target, work() / "old", error);
    if (!error) fs::rename(done(), target, error);
    if (!error) return absl::OkStatus();
  } else {
    error.assign(errno, std::generic_category());
  }
  return absl::UnavailableError("cannot put " + target.string() + " in place: " + error.message());
}

}  // namespace rayx::bench
