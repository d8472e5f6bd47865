// runtime/client/connect.h
//
// How a driver comes to its cluster.
//
// Purpose:  Options to a connected client: an embedded cluster of its own, this user's session
//           ("auto"), or the cluster whose head is at an address.
// Owner:    Init().
// Threads:  one at a time.
// Promises: throws a type of errors.h that says what was tried and what to do.
#pragma once

#include <memory>

#include "rayx/detail/runtime_interface.h"
#include "rayx/options.h"

namespace rayx::client {

// `options` are resolved (flags and environment are in them).
std::unique_ptr<detail::RuntimeInterface> ConnectCluster(const Options& options);

}  // namespace rayx::client
