#include "node/program_identity.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "base/fd.h"
#include "rayx/errors.h"

namespace rayx::node {
namespace {

constexpr size_t kReadBytes = 1 << 20;
constexpr size_t kHashesMax = 256;

using Digest = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

Digest NewDigest() {
  Digest digest(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  EVP_DigestInit_ex(digest.get(), EVP_sha256(), nullptr);
  return digest;
}

std::string Finish(EVP_MD_CTX* digest) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes;
  unsigned int size = 0;
  EVP_DigestFinal_ex(digest, bytes.data(), &size);
  std::string hex;
  for (unsigned int i = 0; i < size; ++i) {
    constexpr char kDigits[] = "0123456789abcdef";
    hex += kDigits[bytes[i] >> 4];
    hex += kDigits[bytes[i] & 15];
  }
  return hex;
}

base::Status CannotRead(const std::string& path) {
  return base::MakeStatus(absl::StatusCode::kNotFound, path + ": " + std::strerror(errno));
}

}  // namespace

base::StatusOr<std::string> ProgramIdentity::FileHash(const std::string& path) {
  base::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info {};
  if (!file || ::fstat(file.get(), &info) != 0) return CannotRead(path);
  if (!S_ISREG(info.st_mode)) {
    return base::MakeStatus(absl::StatusCode::kNotFound, path + ": not a file");
  }
  const FileState state{info.st_dev, info.st_ino, info.st_size, info.st_mtim.tv_sec,
                        info.st_mtim.tv_nsec};
  if (auto it = hashes_.find(state); it != hashes_.end()) return it->second;
  Digest digest = NewDigest();
  std::vector<char> buffer(kReadBytes);
  ssize_t bytes;
  while ((bytes = ::read(file.get(), buffer.data(), buffer.size())) > 0) {
    EVP_DigestUpdate(digest.get(), buffer.data(), static_cast<size_t>(bytes));
  }
  if (bytes < 0) return CannotRead(path);
  if (hashes_.size() >= kHashesMax) hashes_.clear();
  return hashes_[state] = Finish(digest.get());
}

base::Status ProgramIdentity::Complete(proto::Program& program) {
  RAYX_ASSIGN_OR_RETURN(const std::string hash, FileHash(program.executable()));
  program.set_executable_sha256(hash);
  program.clear_key();
  const std::string bytes = program.SerializeAsString();
  Digest digest = NewDigest();
  EVP_DigestUpdate(digest.get(), bytes.data(), bytes.size());
  program.set_key(Finish(digest.get()));
  return base::OkStatus();
}

proto::ErrorInfo ProgramIdentity::Check(const proto::Program& program,
                                        const std::string& host_name) {
  proto::ErrorInfo error;
  const auto hash = FileHash(program.executable());
  if (!hash.ok()) {
    error.set_code(static_cast<int>(ErrorCode::kMissingLibrary));
    error.set_message("the program is missing on VM " + host_name + ": " +
                      std::string(base::Message(hash.status())));
  } else if (*hash != program.executable_sha256()) {
    error.set_code(static_cast<int>(ErrorCode::kLibraryMismatch));
    error.set_message("VM " + host_name + " has another build of " + program.executable() +
                      " than the driver (SHA-256 " + hash->substr(0, 12) + " here, " +
                      program.executable_sha256().substr(0, 12) + " there)");
  }
  return error;
}

}  // namespace rayx::node
