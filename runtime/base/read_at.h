// runtime/base/read_at.h
//
// Bytes of a file, wherever its descriptor stands.
// Owner:    no state.      Threads: any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace rayx::base {

// Up to `bytes` from `offset`; fewer where the file ends or cannot be read.
std::string ReadAt(int fd, uint64_t offset, size_t bytes);

}  // namespace rayx::base
