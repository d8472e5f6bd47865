#include "cli/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "base/fd.h"

namespace rayx::cli {
namespace {

constexpr size_t kFileBytesMax = 1024 * 1024;

base::Status Failed(const std::string& path, const char* what) {
  const std::string text = absl::StrCat(path, ": ", what, ": ", std::strerror(errno));
  return errno == ENOENT ? absl::NotFoundError(text) : absl::UnavailableError(text);
}

std::string ReadUpTo(int fd, size_t limit) {
  std::string text(limit, '\0');
  size_t size = 0;
  while (size < limit) {
    const ssize_t n = ::read(fd, text.data() + size, limit - size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    size += static_cast<size_t>(n);
  }
  text.resize(size);
  return text;
}

}  // namespace

base::StatusOr<std::string> ReadFile(const std::string& path) {
  const base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return Failed(path, "cannot be opened");
  std::string text = ReadUpTo(fd.get(), kFileBytesMax + 1);
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

std::vector<std::string> TailOf(const std::string& path, size_t lines) {
  const base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info = {};
  if (!fd || ::fstat(fd.get(), &info) != 0) return {};
  const off_t begin = std::max<off_t>(0, info.st_size - kTailBytesMax);
  ::lseek(fd.get(), begin, SEEK_SET);
  std::string text = ReadUpTo(fd.get(), kTailBytesMax);
  std::deque<std::string> last;
  size_t position = 0;
  while (position < text.size()) {
    const size_t end = std::min(text.find('\n', position), text.size());
    std::string line = text.substr(position, end - position);
    std::replace_if(
        line.begin(), line.end(),
        [](unsigned char c) { return (c < 0x20 && c != '\t') || c == 0x7f; }, '?');
    last.push_back(std::move(line));
    if (last.size() > lines) last.pop_front();
    position = end + 1;
  }
  return {last.begin(), last.end()};
}

bool RemoveTree(const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  return !error;
}

}  // namespace rayx::cli
