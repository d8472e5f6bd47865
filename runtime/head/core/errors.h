// runtime/head/core/errors.h
//
// Errors as the head's cores answer them.
// Owner:    no state.    Threads: any.
#pragma once

#include <string>

#include "proto/types.pb.h"
#include "rayx/detail/error_record.h"

namespace rayx::head {

inline proto::ErrorInfo MakeError(ErrorCode code, const std::string& message) {
  proto::ErrorInfo error;
  error.set_code(static_cast<int32_t>(code));
  error.set_message(message);
  return error;
}

}  // namespace rayx::head
