// bench/runner/event_pipe.h
//
// The two FIFOs between the runner and rank 0 of an arm: commands one way, events the other.
// Owner:    ArmSession.                         Threads: one.
// Promises: never blocks on a missing peer; a line longer than kEventBytesMax is an error. The
//           FIFOs are removed at destruction.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace rayx::bench {

inline constexpr size_t kEventBytesMax = 1 << 20;

class EventPipe {
 public:
  // Makes <folder>/<label>.control and <folder>/<label>.events.
  static absl::StatusOr<std::unique_ptr<EventPipe>> Create(const std::string& folder,
                                                           const std::string& label);
  ~EventPipe();

  const std::string& control_path() const { return control_path_; }
  const std::string& events_path() const { return events_path_; }

  absl::Status Send(const std::string& line);
  // The next line, or nullopt when there is none within `timeout`.
  absl::StatusOr<std::optional<std::string>> Receive(std::chrono::milliseconds timeout);

 private:
  EventPipe() = default;
  std::string control_path_, events_path_, buffer_;
  int control_ = -1, events_ = -1;
};

}  // namespace rayx::bench
