// runtime/client/local/local_call.h
//
// One call in local mode: its arguments, its results, and running it.
//
// Purpose:  what tasks and actor calls share: encode the arguments, wait for those that are
//           references, run, resolve the results.
// Owner:    the caller's stack for a task, the actor's queue for a call.
// Threads:  one at a time.
// Promises: holds its arguments' references and its results until it ends; Run and Fail never
//           throw.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "client/local/local_objects.h"
#include "rayx/detail/runtime_interface.h"

namespace rayx::client {

// Arguments that wait to be used, once or (an actor that restarts) several times.
class LocalArguments {
 public:
  LocalArguments(LocalObjects& objects, detail::ArgumentList arguments);
  ~LocalArguments();
  LocalArguments(const LocalArguments&) = delete;
  LocalArguments& operator=(const LocalArguments&) = delete;

  // Waits for those that are references. Throws the error of one that failed.
  detail::Arguments Fetch(std::uint64_t blocked_actor) const;

 private:
  struct Item {
    detail::RawRef reference;  // owner 0: a value
    detail::Fetched value;
  };
  LocalObjects& objects_;
  std::vector<Item> items_;
  std::vector<detail::RawRef> held_;
};

class LocalCall {
 public:
  // Makes the results, each with one hold for the caller.
  LocalCall(LocalObjects& objects, std::uint64_t function, const detail::CallOptions& options,
            detail::ArgumentList arguments, std::string label, std::uint64_t actor,
            detail::RawRef* results, std::size_t result_count);
  ~LocalCall();
  LocalCall(const LocalCall&) = delete;
  LocalCall& operator=(const LocalCall&) = delete;

  // `self`: the actor's instance, null for a task.
  void Run(void* self, std::uint64_t blocked_actor);
  // Resolves what is unresolved.
  void Fail(const detail::ErrorRecord& error);

  const detail::CallOptions& options() const { return options_; }
  const std::string& label() const { return label_; }
  detail::RawRef first_result() const { return results_.empty() ? detail::RawRef() : results_[0]; }

 private:
  void Invoke(void* self, const detail::Arguments& arguments);

  LocalObjects& objects_;
  const std::uint64_t function_;
  const detail::CallOptions options_;
  const std::string label_;
  const LocalArguments arguments_;
  std::vector<detail::RawRef> results_;
};

// The record of the exception in flight, with this process as its place and `label` in its message.
detail::ErrorRecord CaptureLocal(const std::string& label);
// "task square", "call int Counter::Add(int)"; the id in hexadecimal when it is unknown here.
std::string DescribeCall(const char* kind, std::uint64_t function,
                         const detail::CallOptions& options);
const std::string& LocalHostName();

}  // namespace rayx::client
