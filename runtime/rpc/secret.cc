#include "rpc/secret.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/fd.h"

namespace rayx::rpc {
namespace {

constexpr size_t kSecretFileBytesMax = 64 * 1024;

base::Status Failed(const std::string& path, const char* what) {
  const int error = errno;
  const std::string text = absl::StrCat(path, ": ", what, ": ", std::strerror(error));
  if (error == ENOENT) return absl::NotFoundError(text);
  if (error == EACCES || error == EPERM) return absl::PermissionDeniedError(text);
  return absl::UnavailableError(text);
}

}  // namespace

std::string RandomHex(size_t bytes) {
  std::string raw(bytes, '\0');
  size_t filled = 0;
  while (filled < bytes) {
    const ssize_t n = ::getrandom(raw.data() + filled, bytes - filled, 0);
    RAYX_CHECK(n > 0 || errno == EINTR, "getrandom failed");
    if (n > 0) filled += static_cast<size_t>(n);
  }
  return absl::BytesToHexString(raw);
}

bool IsToken(std::string_view text) {
  if (text.size() != 2 * kTokenBytes) return false;
  for (const char c : text) {
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
  }
  return true;
}

bool EqualInConstantTime(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  volatile unsigned char difference = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference = static_cast<unsigned char>(difference | (a[i] ^ b[i]));
  }
  return difference == 0;
}

base::Status WriteSecretFile(const std::string& path, std::string_view contents) {
  const std::string temporary = absl::StrCat(path, ".", RandomHex(4));
  base::UniqueFd fd(
      ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return Failed(path, "cannot be made");
  size_t done = 0;
  while (done < contents.size()) {
    const ssize_t n = ::write(fd.get(), contents.data() + done, contents.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    done += static_cast<size_t>(n);
  }
  if (done == contents.size() && ::rename(temporary.c_str(), path.c_str()) == 0) {
    return base::OkStatus();
  }
  const base::Status failed = Failed(path, "cannot be written");
  ::unlink(temporary.c_str());
  return failed;
}

base::StatusOr<std::string> ReadSecretFile(const std::string& path) {
  const base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return Failed(path, "cannot be opened");
  struct stat info = {};
  if (::fstat(fd.get(), &info) != 0) return Failed(path, "cannot be examined");
  if (!S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": is not a regular file"));
  }
  if (info.st_uid != ::getuid() && ::getuid() != 0) {
    return absl::PermissionDeniedError(absl::StrCat(path, ": belongs to another user"));
  }
  if ((info.st_mode & 0077) != 0) {
    return absl::PermissionDeniedError(
        absl::StrCat(path, ": holds a secret that other users can read; run chmod 600 on it"));
  }
  std::string contents(kSecretFileBytesMax + 1, '\0');
  size_t size = 0;
  while (size < contents.size()) {
    const ssize_t n = ::read(fd.get(), contents.data() + size, contents.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Failed(path, "cannot be read");
    if (n == 0) break;
    size += static_cast<size_t>(n);
  }
  if (size > kSecretFileBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": larger than ", kSecretFileBytesMax, " bytes"));
  }
  contents.resize(size);
  return contents;
}

}  // namespace rayx::rpc
