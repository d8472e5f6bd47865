// bench/data/file_hash.h
//
// SHA-256 of files.
// Threads:  any, functions without state.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace rayx::bench {

// Lower-case hex SHA-256 of a file.
absl::StatusOr<std::string> FileSha256(const std::string& path);

}  // namespace rayx::bench
