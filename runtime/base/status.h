// runtime/base/status.h
//
// How functions inside RayX report failure: absl::Status and absl::StatusOr, named here once, and
// the two macros that pass a failure up. A Status describes the world (a peer, a file, a user's
// argument); our own mistakes are RAYX_CHECKs.
// Threads: any; a Status is a value.
// Limits:  Debian's Abseil is built for C++14, where absl::string_view is not std::string_view:
//          Message() returns the standard one.
#pragma once

#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace rayx::base {

using absl::OkStatus;
using absl::Status;
using absl::StatusCode;
template <typename T>
using StatusOr = absl::StatusOr<T>;

inline std::string_view Message(const Status& status) {
  return {status.message().data(), status.message().size()};
}

// Text from the standard library for Abseil's constructors.
inline absl::string_view ToAbsl(std::string_view text) {
  return {text.data(), text.size()};
}

inline Status MakeStatus(StatusCode code, std::string_view message) {
  return Status(code, ToAbsl(message));
}

}  // namespace rayx::base

#define RAYX_CONCAT_INNER(a, b) a##b
#define RAYX_CONCAT(a, b) RAYX_CONCAT_INNER(a, b)

// RAYX_RETURN_IF_ERROR(expression of type Status)
#define RAYX_RETURN_IF_ERROR(expression)                                                     \
  do {                                                                                       \
    if (::absl::Status rayx_status_ = (expression); !rayx_status_.ok()) return rayx_status_; \
  } while (false)

// RAYX_ASSIGN_OR_RETURN(declaration or lvalue, expression of type StatusOr). Not a single
#define RAYX_ASSIGN_OR_RETURN(target, expression) \
  RAYX_ASSIGN_OR_RETURN_INNER(RAYX_CONCAT(rayx_status_or_, __LINE__), target, expression)
#define RAYX_ASSIGN_OR_RETURN_INNER(temporary, target, expression) \
  auto temporary = (expression);                                   \
  if (!temporary.ok()) return std::move(temporary).status();       \
  target = *std::move(temporary)
