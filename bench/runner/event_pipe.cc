#include "bench/runner/event_pipe.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace rayx::bench {
namespace {

// Opened for both directions, so that neither end waits for the other to open its side and a peer
// that ends does not end the stream.
absl::StatusOr<int> OpenFifo(const std::string& path) {
  unlink(path.c_str());
  if (mkfifo(path.c_str(), 0600) != 0) {
    return absl::UnavailableError("cannot make " + path + ": " + strerror(errno));
  }
  const int fd = open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return absl::UnavailableError("cannot open " + path + ": " + strerror(errno));
  return fd;
}

}  // namespace

absl::StatusOr<std::unique_ptr<EventPipe>> EventPipe::Create(const std::string& folder,
                                                             const std::string& label) {
  std::unique_ptr<EventPipe> pipe(new EventPipe);
  pipe->control_path_ = folder + "/" + label + ".control";
  pipe->events_path_ = folder + "/" + label + ".events";
  auto control = OpenFifo(pipe->control_path_);
  if (!control.ok()) return control.status();
  pipe->control_ = *control;
  auto events = OpenFifo(pipe->events_path_);
  if (!events.ok()) return events.status();
  pipe->events_ = *events;
  return pipe;
}

EventPipe::~EventPipe() {
  for (int fd : {control_, events_}) {
    if (fd >= 0) close(fd);
  }
  unlink(control_path_.c_str());
  unlink(events_path_.c_str());
}

absl::Status EventPipe::Send(const std::string& line) {
  const std::string bytes = line + "\n";
  // Commands are short and read at once: a full FIFO means that the arm no longer listens.
  if (write(control_, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size())) {
    return absl::OkStatus();
  }
  return absl::UnavailableError("the arm takes no commands");
}

absl::StatusOr<std::optional<std::string>> EventPipe::Receive(std::chrono::milliseconds timeout) {
  for (;;) {
    if (const size_t end = buffer_.find('\n'); end != std::string::npos) {
      std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      return line;
    }
    if (buffer_.size() > kEventBytesMax) return absl::DataLossError("an event of endless length");
    pollfd event = {events_, POLLIN, 0};
    if (poll(&event, 1, static_cast<int>(timeout.count())) <= 0) return std::nullopt;
    char chunk[16384];
    const ssize_t n = read(events_, chunk, sizeof chunk);
    if (n <= 0) return std::nullopt;
    buffer_.append(chunk, static_cast<size_t>(n));
  }
}

}  // namespace rayx::bench
