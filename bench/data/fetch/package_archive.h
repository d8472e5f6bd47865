// bench/data/fetch/package_archive.h
//
// Takes named files out of a package: a Debian package (.deb: an ar archive with data.tar.* in it)
// or a compressed tar (npm's .tgz). By libarchive, in memory: no name from an archive ever becomes
// a path of this machine.
// Threads:  any, functions without state.
// Inputs:   a package is hostile until its hash was checked, and is treated so here in any case.
// Promises: refused with an error that names the package: names that are absolute or climb (`..`)
//           anywhere in it, wanted files that are missing, there twice, no regular files or larger
//           than allowed, damage and truncation up to the last member.
// Limits:   kMembersMax members, kUnpackedBytesMax bytes in all.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/statusor.h"

namespace rayx::bench {

inline constexpr std::int64_t kMembersMax = 100'000;
inline constexpr std::uint64_t kUnpackedBytesMax = std::uint64_t{1} << 32;

// Path in the package (without a leading "./") -> the most bytes it may have.
using WantedMembers = std::map<std::string, std::uint64_t>;

// Path -> contents, for every wanted one.
absl::StatusOr<std::map<std::string, std::string>> ReadPackage(const std::string& package,
                                                               const WantedMembers& wanted);

}  // namespace rayx::bench
