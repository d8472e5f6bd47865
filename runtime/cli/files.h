// runtime/cli/files.h
//
// Small files of the session folder.
// Owner:    no state.      Threads: any.
// Promises: errors name the path; writing is atomic, mode 0600; reading is bounded.
// Limits:   ReadFile 1 MiB; TailOf reads at most kTailBytesMax from the end.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/status.h"

namespace rayx::cli {

constexpr size_t kTailBytesMax = size_t{64} << 20;

base::StatusOr<std::string> ReadFile(const std::string& path);
base::Status WriteFile(const std::string& path, const std::string& contents);
// The last lines of a text file, without what is not printable; empty when it cannot be read.
// `is_cut`: there are fewer than wanted because no more is read.
std::vector<std::string> TailOf(const std::string& path, size_t lines, bool* is_cut = nullptr);
// Removes a folder with all in it; false when something stays.
bool RemoveTree(const std::string& path);

}  // namespace rayx::cli
