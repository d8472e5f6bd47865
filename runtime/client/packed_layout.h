// runtime/client/packed_layout.h
//
// The measures of the encoded form of a value, which rayx/detail/packed.h describes: packed.cc
// writes it, unpacker.cc reads it.
#pragma once

#include <cstddef>

namespace rayx::detail {

inline constexpr std::size_t kEncodedHeaderBytes = 16;  // before the entries
inline constexpr std::size_t kEncodedEntryBytes = 16;   // of a buffer

}  // namespace rayx::detail
