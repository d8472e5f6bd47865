// bench/data/fetch/package_download.h
//
// Brings a package's file from the registry that this machine is set up for.
//
// Debian: `apt-get download`.
// npm:    `npm pack`, which follows npm's own settings. Without npm: curl, from the registry named
//         in NPM_CONFIG_REGISTRY or by `registry=` in NPM_CONFIG_USERCONFIG or ~/.npmrc, else
//         /etc/npmrc.
// No registry's address is written here.
//
// Threads:  one.
// Promises: an error says what was tried, and what to do where there is no network. What is brought
//           is trusted no more than a stranger's file: the caller compares its hash.
#pragma once

#include <filesystem>
#include <string>

#include "absl/status/statusor.h"
#include "bench/data/fetch/data_sets.h"

namespace rayx::bench {

// The package's file, somewhere in the empty folder `work`.
absl::StatusOr<std::filesystem::path> DownloadPackage(const DataSet& set,
                                                      const std::filesystem::path& work);

// The value of the last line `registry = URL` in an .npmrc, without quotes and trailing slashes;
// empty: there is none, or it is no http(s) address.
std::string RegistryOfNpmrc(const std::string& text);

}  // namespace rayx::bench
