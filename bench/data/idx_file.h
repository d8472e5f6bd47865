// bench/data/idx_file.h
//
// Reads IDX files (the format of MNIST and Fashion-MNIST): magic 00 00 TYPE RANK, RANK big-endian
// 32-bit sizes, then the elements. Only unsigned bytes (TYPE 08) of rank 1 to 3.
// Owner:    the caller.                         Threads: any, functions without state.
// Inputs:   bytes from outside: every size is checked before it is used, in 64 bits.
// Promises: an image file parses only if it is complete to the byte; the error names the file.
// Limits:   kIdxBytesMax a file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace rayx::bench {

inline constexpr uint64_t kIdxBytesMax = uint64_t{1} << 31;

struct IdxHeader {
  std::vector<uint32_t> sizes;
  uint64_t data_offset = 0;  // bytes before the first element
  uint64_t elements = 0;
};

// `name` appears in errors. `total_bytes` is the size of the whole file, of which `bytes` is at
// least the header.
absl::StatusOr<IdxHeader> ParseIdxHeader(std::string_view bytes, uint64_t total_bytes,
                                         const std::string& name);

// As above, and the sizes must be `expected`.
absl::StatusOr<IdxHeader> ExpectIdx(std::string_view bytes, uint64_t total_bytes,
                                    const std::vector<uint32_t>& expected, const std::string& name);

// The decompressed contents of a gzip file, at most `bytes_max`; truncated or damaged input is an
// error, as is what follows the end of the stream.
absl::StatusOr<std::string> ReadGzip(const std::string& path, uint64_t bytes_max);

}  // namespace rayx::bench
