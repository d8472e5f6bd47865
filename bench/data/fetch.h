// bench/data/fetch.h
//
// Brings real data sets from the package registry, pinned by SHA-256.
// Owner:    rayx-data's main.                   Threads: one.
// Inputs:   apt-get (configured by the system) and dpkg-deb; the package by name, never an address.
// Promises: nothing is put under `folder` unless every check passed; a data set that is already
//           there and whole is left alone; errors say what is missing and what to do.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace rayx::bench {

// Fashion-MNIST: the four raw IDX files in <folder>/fashion-mnist. `deb`: a package file already
// at hand, else it is downloaded. Returns the folder of the files.
absl::StatusOr<std::string> FetchFashionMnist(const std::string& folder, const std::string& deb);

// OK when the four files are there, complete and of the right shape.
absl::Status CheckFashionMnist(const std::string& folder);

// Lower-case hex SHA-256 of a file.
absl::StatusOr<std::string> FileSha256(const std::string& path);

}  // namespace rayx::bench
