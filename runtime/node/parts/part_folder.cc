#include "node/parts/part_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace rayx::node {
namespace {

constexpr mode_t kOwnFolder = 0700;
constexpr mode_t kRunnable = 0500;

base::Status Error(const std::string& path) {
  const bool is_full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
  const std::string why = path + ": " + std::strerror(errno);
  if (!is_full) return base::MakeStatus(absl::StatusCode::kInternal, why);
  return base::MakeStatus(absl::StatusCode::kResourceExhausted,
                          why + "; RAYX_SESSION_DIR names a folder with more room");
}

}  // namespace

base::StatusOr<PartWriter> PartWriter::Begin(const std::string& folder, const std::string& sha256,
                                             uint64_t bytes) {
  PartWriter writer;
  writer.temporary_ = folder + "/." + sha256;
  writer.final_ = folder + "/" + sha256;
  writer.sha256_ = sha256;
  writer.left_ = bytes;
  ::unlink(writer.temporary_.c_str());  // of a writer that was cut short
  writer.file_.Reset(::open(writer.temporary_.c_str(),
                            O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!writer.file_) return Error(writer.temporary_);
  return writer;
}

PartWriter::PartWriter(PartWriter&& other) noexcept
    : temporary_(std::exchange(other.temporary_, {})),
      final_(std::move(other.final_)),
      sha256_(std::move(other.sha256_)),
      file_(std::move(other.file_)),
      hash_(std::move(other.hash_)),
      left_(other.left_) {}

PartWriter::~PartWriter() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

base::Status PartWriter::Write(std::string_view data) {
  if (data.size() > left_) return absl::DataLossError("more bytes came than it has");
  hash_.Add(data);
  left_ -= data.size();
  while (!data.empty()) {
    const ssize_t written = ::write(file_.get(), data.data(), data.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return Error(temporary_);
    data.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

base::Status PartWriter::Finish() {
  if (left_ != 0) return absl::DataLossError("fewer bytes came than it has");
  if (hash_.Finish() != sha256_) return absl::DataLossError("other bytes came than it has");
  if (::fchmod(file_.get(), kRunnable) != 0) return Error(temporary_);
  file_.Reset();  // a file that is open for writing cannot be run
  if (::rename(temporary_.c_str(), final_.c_str()) != 0) return Error(final_);
  temporary_.clear();
  return absl::OkStatus();
}

base::Status PartFolder::Prepare() const {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
  if (::mkdir(path_.c_str(), kOwnFolder) != 0 && errno != EEXIST) return Error(path_);
  struct stat info {};
  if (::lstat(path_.c_str(), &info) != 0) return Error(path_);
  if (!S_ISDIR(info.st_mode) || info.st_uid != ::geteuid() || (info.st_mode & 077) != 0) {
    return base::MakeStatus(absl::StatusCode::kFailedPrecondition,
                            path_ + " is not a folder that is this user's alone");
  }
  struct statvfs system {};
  if (::statvfs(path_.c_str(), &system) == 0 && (system.f_flag & ST_NOEXEC) != 0) {
    return base::MakeStatus(absl::StatusCode::kFailedPrecondition,
                            path_ +
                                " lies on a file system that is mounted noexec: set "
                                "RAYX_SESSION_DIR to a folder that programs can run from");
  }
  return absl::OkStatus();
}

base::Status PartFolder::Link(const std::string& key,
                              const std::vector<std::pair<std::string, std::string>>& links) const {
  Unlink(key);
  const std::string folder = ProgramFolder(key);
  if (::mkdir(folder.c_str(), kOwnFolder) != 0) return Error(folder);
  for (const auto& [name, target] : links) {
    const std::string link = folder + "/" + name;
    if (::symlink(target.c_str(), link.c_str()) != 0) return Error(link);
  }
  return absl::OkStatus();
}

void PartFolder::Unlink(const std::string& key) const {
  std::error_code ignored;
  std::filesystem::remove_all(ProgramFolder(key), ignored);
}

void PartFolder::Remove(const std::string& sha256) const {
  ::unlink((path_ + "/" + sha256).c_str());
}

}  // namespace rayx::node
