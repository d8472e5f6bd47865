#include "rayx/torch/checkpoint.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <system_error>

#include "rayx/errors.h"

namespace rayx::torch {
namespace {

[[noreturn]] void ThrowForFile(const char* action, const std::string& path, int error) {
  const std::string message = std::string("checkpoint file ") + path + ": cannot " + action + ": " +
                              std::generic_category().message(error);
  if (error == ENOSPC || error == EDQUOT) throw OutOfDisk(message);
  throw InvalidOption(message);
}

// A file that is removed unless Commit() gave it its name.
class NewFile {
 public:
  explicit NewFile(const std::string& path)
      : path_(path), draft_(path + ".draft." + std::to_string(::getpid())) {
    fd_ = ::open(draft_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd_ < 0) ThrowForFile("create it", path_, errno);
  }
  ~NewFile() {
    if (fd_ >= 0) ::close(fd_);
    if (!committed_) ::unlink(draft_.c_str());
  }
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  void Write(const std::string& bytes) {
    std::size_t written = 0;
    while (written < bytes.size()) {
      const ssize_t n = ::write(fd_, bytes.data() + written, bytes.size() - written);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) ThrowForFile("write it", path_, errno);
      written += static_cast<std::size_t>(n);
    }
  }

  // On disk before it has its name, so that the name never leads to half a file.
  void Commit() {
    if (::fsync(fd_) != 0) ThrowForFile("write it", path_, errno);
    if (::rename(draft_.c_str(), path_.c_str()) != 0) ThrowForFile("replace it", path_, errno);
    committed_ = true;
    const std::size_t slash = path_.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : path_.substr(0, slash + 1);
    const int folder_fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder_fd >= 0) {
      ::fsync(folder_fd);
      ::close(folder_fd);
    }
  }

 private:
  const std::string path_;
  const std::string draft_;
  int fd_ = -1;
  bool committed_ = false;
};

}  // namespace

std::string SaveCheckpoint(const Model& model, const ::torch::optim::Optimizer& optimizer,
                           std::int64_t step) {
  ::torch::serialize::OutputArchive model_archive;
  model.module().save(model_archive);
  ::torch::serialize::OutputArchive optimizer_archive;
  optimizer.save(optimizer_archive);
  ::torch::serialize::OutputArchive archive;
  archive.write("model", model_archive);
  archive.write("optimizer", optimizer_archive);
  archive.write("step", c10::IValue(step));
  std::ostringstream out;
  archive.save_to(out);
  return std::move(out).str();
}

std::int64_t LoadCheckpoint(const std::string& bytes, const Model& model,
                            ::torch::optim::Optimizer* optimizer) {
  try {
    ::torch::serialize::InputArchive archive;
    archive.load_from(bytes.data(), bytes.size());
    ::torch::serialize::InputArchive model_archive;
    archive.read("model", model_archive);
    model.module().load(model_archive);
    if (optimizer != nullptr) {
      ::torch::serialize::InputArchive optimizer_archive;
      archive.read("optimizer", optimizer_archive);
      optimizer->load(optimizer_archive);
    }
    c10::IValue step;
    archive.read("step", step);
    return step.toInt();
  } catch (const c10::Error& error) {
    throw SerializationError(std::string("not a checkpoint of this model: ") +
                             error.what_without_backtrace());
  }
}

void WriteCheckpointFile(const std::string& path, const std::string& bytes) {
  NewFile file(path);
  file.Write(bytes);
  file.Commit();
}

std::string ReadCheckpointFile(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::ostringstream bytes;
  if (!file || !(bytes << file.rdbuf())) ThrowForFile("read it", path, errno ? errno : EIO);
  return std::move(bytes).str();
}

}  // namespace rayx::torch
