// tests/unit/node/fake_worker.h
//
// A program of the fake cluster: its zygote and its workers, written against the wire contracts
// alone.
#pragma once

namespace rayx::node::testing {

// What a fake task does; FunctionId.value of its frame. Every one but kDie and kExit replies.
enum FakeFunction : unsigned long {
  kEcho = 1,         // the body comes back
  kDie = 2,          // a line on stderr, then SIGKILL
  kExit = 3,         // exit code 7
  kPrint = 4,        // a line on stdout
  kPid = 5,          // the worker's pid
  kHang = 6,         // says so and takes nothing from its rings any more
  kThrow = 7,        // a failed reply
  kDieLoudly = 9,    // as kDie, after lines of 200 KiB in all
  kLeaveChild = 10,  // a child in a session of its own stays behind; the reply is its pid
  kAllocate = 8,     // asks its daemon for an object's extent and replies with the daemon's answer
};

// True (and it never returns) when this process was started as a zygote or worker.
bool IsFakeWorker();
[[noreturn]] void RunFakeWorker();

}  // namespace rayx::node::testing
