// runtime/client/error_bridge.h
//
// Between errors as they travel (proto ErrorInfo) and as the public API throws them (ErrorRecord).
//
// Purpose:  the one place that knows both forms.
// Owner:    no state.     Threads: any.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "base/status.h"
#include "proto/types.pb.h"
#include "rayx/errors.h"

namespace rayx::client {

// Of an UnknownFunction, which comes with the function's id: with its name, if this program has it.
detail::ErrorRecord ToRecord(const proto::ErrorInfo& info);
proto::ErrorInfo ToInfo(const detail::ErrorRecord& record);
// Of bytes that may be malformed: then a SerializationError that says so.
detail::ErrorRecord DecodeError(std::span<const std::byte> bytes);
[[noreturn]] void Throw(ErrorCode code, const std::string& message);
// What a failed system call or a refused descriptor becomes at the API.
[[noreturn]] void Throw(ErrorCode code, const std::string& what, const base::Status& status);

}  // namespace rayx::client
