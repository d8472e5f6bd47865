// runtime/torch/gloo_group.h
//
// A c10d process group over Gloo, apart from how its ranks find each other.
//
// Purpose:  the only place that includes Gloo's headers.
// Owner:    the caller; destroying the last reference closes the connections, upon which a
//           collective that runs in another rank fails at once.
// Threads:  one at a time.
// Errors:   LibraryMismatch when the LibTorch in the process is not the release of the headers.
#pragma once

#include <c10/util/intrusive_ptr.h>

#include <chrono>
#include <exception>
#include <string>

namespace c10d {
class ProcessGroup;
class Store;
}  // namespace c10d

namespace rayx::torch {

struct GlooOptions {
  int rank = 0;
  int size = 1;
  std::string address = "127.0.0.1";         // of this rank, as its peers reach it
  std::chrono::milliseconds timeout{30000};  // of connecting, and of each collective
};

// Connects all ranks to each other. Throws what c10d and Gloo throw (IsGroupFailure).
c10::intrusive_ptr<c10d::ProcessGroup> ConnectGloo(const c10::intrusive_ptr<c10d::Store>& store,
                                                   const GlooOptions& options);

// Whether an exception says that a peer is gone or late, rather than that an argument was wrong.
bool IsGroupFailure(const std::exception& error);
// The sentence of a group failure, without source locations, stack traces and advice.
std::string GroupFailureText(const std::exception& error);

}  // namespace rayx::torch
