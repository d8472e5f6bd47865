// bench/data/arrow_status.h
//
// Arrow's statuses as Abseil's, with what they are about.
// Threads:  any, functions without state.
#pragma once

#include <arrow/status.h>

#include <string>

#include "absl/status/status.h"

namespace rayx::bench {

inline absl::Status FromArrow(const arrow::Status& status, const std::string& about) {
  if (status.ok()) return absl::OkStatus();
  std::string words = about + ": " + status.message();
  if (status.detail() != nullptr) words += ": " + status.detail()->ToString();  // errno, in words
  if (status.IsOutOfMemory()) return absl::ResourceExhaustedError(words);
  return status.IsIOError() ? absl::UnavailableError(words) : absl::DataLossError(words);
}

}  // namespace rayx::bench
