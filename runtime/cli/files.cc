#include "cli/files.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "base/fd.h"
#include "base/file_tail.h"
#include "base/read_at.h"
#include "cli/table.h"

namespace rayx::cli {
namespace {

constexpr size_t kFileBytesMax = 1024 * 1024;

base::Status Failed(const std::string& path, const char* what) {
  const std::string text = absl::StrCat(path, ": ", what, ": ", std::strerror(errno));
  return errno == ENOENT ? absl::NotFoundError(text) : absl::UnavailableError(text);
}

}  // namespace

base::StatusOr<std::string> ReadFile(const std::string& path) {
  const base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return Failed(path, "cannot be opened");
  std::string text = base::ReadAt(fd.get(), 0, kFileBytesMax + 1);
  if (text.size() > kFileBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": larger than 1 MiB"));
  }
  return text;
}

base::Status WriteFile(const std::string& path, const std::string& contents) {
  const std::string temporary = path + ".new";
  const base::UniqueFd fd(
      ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd) return Failed(temporary, "cannot be made");
  const ssize_t written = ::write(fd.get(), contents.data(), contents.size());
  if (written != static_cast<ssize_t>(contents.size())) {
    if (written >= 0) errno = ENOSPC;  // a part alone
    const base::Status status = Failed(path, "cannot be written");
    ::unlink(temporary.c_str());
    return status;
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) return Failed(path, "cannot be replaced");
  return base::OkStatus();
}

std::vector<std::string> TailOf(const std::string& path, size_t lines, bool* is_cut) {
  const base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const base::FileTail tail = base::ReadTail(fd.get(), lines, kTailBytesMax);
  if (is_cut != nullptr) *is_cut = tail.is_cut;
  std::vector<std::string> last = base::LinesOf(tail.text);
  for (std::string& line : last) line = PrintableLine(line);
  return last;
}

bool RemoveTree(const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  return !error;
}

}  // namespace rayx::cli
