#include "bench/data/fetch.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <vector>

#include "bench/data/idx_file.h"

namespace rayx::bench {
namespace {

namespace fs = std::filesystem;

constexpr char kPackage[] = "dataset-fashion-mnist";
constexpr char kDebSha256[] = "39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0";

struct RawFile {
  const char* name;
  std::vector<uint32_t> sizes;
};

const std::array<RawFile, 4>& RawFiles() {
  static const std::array<RawFile, 4> files = {{{"train-images-idx3-ubyte", {60000, 28, 28}},
                                                {"train-labels-idx1-ubyte", {60000}},
                                                {"t10k-images-idx3-ubyte", {10000, 28, 28}},
                                                {"t10k-labels-idx1-ubyte", {10000}}}};
  return files;
}

// Runs a program in `folder`; its output goes to `log`. Returns false when it fails.
bool Run(const std::vector<std::string>& argv, const fs::path& folder, const fs::path& log) {
  std::vector<char*> arguments;
  for (const std::string& word : argv) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const pid_t pid = fork();
  if (pid == 0) {
    const int fd = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0 || chdir(folder.c_str()) != 0) _exit(126);
    execvp(arguments[0], arguments.data());
    _exit(127);
  }
  int status = 0;
  while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::string LastLines(const fs::path& log) {
  std::ifstream file(log);
  std::string text((std::istreambuf_iterator<char>(file)), {});
  if (text.size() > 600) text = "..." + text.substr(text.size() - 600);
  return text;
}

absl::StatusOr<fs::path> Download(const fs::path& work) {
  printf("downloading %s (31 MB)\n", kPackage);
  fflush(stdout);
  const fs::path log = work / "log";
  if (!Run({"apt-get", "-q", "download", kPackage}, work, log)) {
    // A machine that has never updated its package lists knows no package.
    Run({"apt-get", "-q", "update"}, work, log);
    if (!Run({"apt-get", "-q", "download", kPackage}, work, log)) {
      return absl::UnavailableError(
          std::string("cannot download the Debian package ") + kPackage +
          " with apt-get: is this machine offline, or not Debian? Its file can also be named with "
          "--deb. apt-get says:\n" +
          LastLines(log));
    }
  }
  for (const auto& entry : fs::directory_iterator(work)) {
    if (entry.path().extension() == ".deb") return entry.path();
  }
  return absl::UnavailableError(std::string("apt-get downloaded no file for ") + kPackage);
}

absl::Status WriteWhole(const fs::path& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size())).flush();
  if (file) return absl::OkStatus();
  return absl::UnavailableError("cannot write " + path.string() + ": " + strerror(errno));
}

absl::Status Unpack(const fs::path& deb, const fs::path& work, const fs::path& out) {
  auto hash = FileSha256(deb.string());
  if (!hash.ok()) return hash.status();
  if (*hash != kDebSha256) {
    return absl::DataLossError(deb.string() + " is not the expected package: SHA-256 " + *hash +
                               " instead of " + kDebSha256);
  }
  if (!Run({"dpkg-deb", "-x", deb.string(), (work / "x").string()}, work, work / "log")) {
    return absl::UnavailableError("dpkg-deb cannot unpack " + deb.string() + ":\n" +
                                  LastLines(work / "log"));
  }
  for (const RawFile& raw : RawFiles()) {
    const fs::path packed =
        work / "x/usr/share/datasets/fashion-mnist" / (std::string(raw.name) + ".gz");
    auto bytes = ReadGzip(packed.string(), kIdxBytesMax);
    if (!bytes.ok()) return bytes.status();
    if (auto header = ExpectIdx(*bytes, bytes->size(), raw.sizes, packed.string()); !header.ok()) {
      return header.status();
    }
    if (auto written = WriteWhole(out / raw.name, *bytes); !written.ok()) return written;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> FileSha256(const std::string& path) {
  std::unique_ptr<FILE, int (*)(FILE*)> file(fopen(path.c_str(), "rbe"), fclose);
  if (!file) return absl::NotFoundError(path + ": " + strerror(errno));
  std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr);
  std::vector<unsigned char> buffer(1 << 18);
  while (size_t n = fread(buffer.data(), 1, buffer.size(), file.get())) {
    EVP_DigestUpdate(context.get(), buffer.data(), n);
  }
  if (ferror(file.get())) return absl::DataLossError("cannot read " + path);
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_DigestFinal_ex(context.get(), digest, &size);
  std::string hex;
  for (unsigned int i = 0; i < size; ++i) {
    constexpr char kDigits[] = "0123456789abcdef";
    hex += kDigits[digest[i] >> 4];
    hex += kDigits[digest[i] & 15];
  }
  return hex;
}

absl::Status CheckFashionMnist(const std::string& folder) {
  for (const RawFile& raw : RawFiles()) {
    const fs::path path = fs::path(folder) / raw.name;
    std::ifstream file(path, std::ios::binary);
    if (!file) return absl::NotFoundError(path.string() + " is missing");
    std::string head(16, '\0');
    file.read(head.data(), 16);
    head.resize(static_cast<size_t>(file.gcount()));
    std::error_code error;
    const uint64_t size = fs::file_size(path, error);
    if (error) return absl::NotFoundError(path.string() + ": " + error.message());
    if (auto header = ExpectIdx(head, size, raw.sizes, path.string()); !header.ok()) {
      return header.status();
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> FetchFashionMnist(const std::string& folder, const std::string& deb) {
  const fs::path final_folder = fs::absolute(folder) / "fashion-mnist";
  if (CheckFashionMnist(final_folder.string()).ok()) return final_folder.string();
  std::error_code error;
  const fs::path work = fs::absolute(folder) / (".fetch-" + std::to_string(getpid()));
  fs::create_directories(work / "done", error);
  if (error) return absl::UnavailableError("cannot make " + work.string() + ": " + error.message());
  absl::Status status;
  fs::path package = deb.empty() ? fs::path() : fs::absolute(deb);
  if (package.empty()) {
    auto downloaded = Download(work);
    status = downloaded.status();
    if (downloaded.ok()) package = *downloaded;
  }
  if (status.ok()) status = Unpack(package, work, work / "done");
  if (status.ok()) {
    fs::remove_all(final_folder, error);
    fs::rename(work / "done", final_folder, error);
    if (error) status = absl::UnavailableError("cannot put the files in place: " + error.message());
  }
  fs::remove_all(work, error);
  if (!status.ok()) return status;
  return final_folder.string();
}

}  // namespace rayx::bench
