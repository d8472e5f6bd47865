// tests/unit/store/child_process.h
//
// A process of a test's own that uses the store as a client does, on command, and may be killed.
#pragma once

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <map>

#include "store_fixture.h"

namespace rayx::store {

enum class Op : uint32_t {
  kWrite,      // map, fill with the pattern of the object's sequence, seal
  kWriteHalf,  // map, fill the first half, and stay so
  kPin,        // pin, check the pattern
  kUnpin,      // check the pattern once more, unpin
  kScribble,   // write to a pinned object: dies
};

struct Command {
  Op op;
  model::StoredLocation location;
};

class ChildProcess {
 public:
  // Attached to the job's memory as its daemon would have told it.
  ChildProcess(model::ProcessId process, model::JobId job, const NodeStore::Attachment& memory,
               std::function<void()> at_start = {})
      : process_(process) {
    int sockets[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) == 0);
    pid_ = ::fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::close(sockets[0]);
      if (at_start) at_start();
      Serve(sockets[1], process, job, memory);
      ::_exit(0);
    }
    ::close(sockets[1]);
    socket_.Reset(sockets[0]);
  }
  ~ChildProcess() {
    if (pid_ > 0) Kill();
  }
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  model::ProcessId process() const { return process_; }

  // The child's answer; kInternal when it died instead.
  base::StatusCode Do(Op op, const model::StoredLocation& location) {
    const Command command{op, location};
    if (::send(socket_.get(), &command, sizeof(command), MSG_NOSIGNAL) != sizeof(command)) {
      return base::StatusCode::kInternal;
    }
    int32_t code = 0;
    const auto received = ::recv(socket_.get(), &code, sizeof(code), 0);
    return received == sizeof(code) ? static_cast<base::StatusCode>(code)
                                    : base::StatusCode::kInternal;
  }
  // kill -9, and all its threads are gone. Returns what waitpid says.
  int Kill() {
    ::kill(pid_, SIGKILL);
    return Wait();
  }
  int Wait() {
    int status = 0;
    REQUIRE(::waitpid(pid_, &status, 0) == pid_);
    pid_ = -1;
    return status;
  }

 private:
  [[noreturn]] static void Fail() { ::_exit(99); }

  static void Serve(int socket, model::ProcessId process, model::JobId job,
                    const NodeStore::Attachment& memory) {
    shm::ClientSegments segments(process);
    const auto added = segments.AddSegment(
        job, base::UniqueFd(::dup(memory.segment)), base::UniqueFd(::dup(memory.control)),
        memory.segment_bytes, memory.control_bytes, memory.ledger);
    if (!added.ok()) Fail();
    std::map<model::ObjectId, shm::PinnedObject> pins;
    std::vector<shm::WritableObject> halves;
    Command command;
    while (::recv(socket, &command, sizeof(command), 0) == sizeof(command)) {
      const auto code = static_cast<int32_t>(Run(command, segments, pins, halves).code());
      if (::send(socket, &code, sizeof(code), MSG_NOSIGNAL) != sizeof(code)) return;
    }
  }

  static base::Status Run(const Command& command, shm::ClientSegments& segments,
                          std::map<model::ObjectId, shm::PinnedObject>& pins,
                          std::vector<shm::WritableObject>& halves) {
    const model::StoredLocation& at = command.location;
    switch (command.op) {
      case Op::kWrite:
      case Op::kWriteHalf: {
        RAYX_ASSIGN_OR_RETURN(auto object, segments.MapWritable(at));
        const bool is_half = command.op == Op::kWriteHalf;
        const auto bytes = object.bytes();
        FillPattern(is_half ? bytes.first(bytes.size() / 2) : bytes, at.object.sequence);
        if (!is_half) return object.Seal();
        halves.push_back(std::move(object));
        return base::OkStatus();
      }
      case Op::kPin: {
        RAYX_ASSIGN_OR_RETURN(auto pin, segments.Pin(at));
        if (!HasPattern(pin.bytes(), at.object.sequence)) return absl::DataLossError("torn");
        pins[at.object] = std::move(pin);
        return base::OkStatus();
      }
      case Op::kUnpin: {
        const bool is_whole = HasPattern(pins.at(at.object).bytes(), at.object.sequence);
        pins.erase(at.object);
        return is_whole ? base::OkStatus() : absl::DataLossError("changed under a pin");
      }
      case Op::kScribble:
        const_cast<std::byte&>(pins.at(at.object).bytes()[100]) = std::byte{1};
        return base::OkStatus();
    }
    return absl::InvalidArgumentError("no such command");
  }

  const model::ProcessId process_;
  pid_t pid_ = -1;
  base::UniqueFd socket_;
};

}  // namespace rayx::store
