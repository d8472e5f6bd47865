// bench/data/fetch/convert.h
//
// Makes a data set's files out of a package's.
//
//   cities   cities.parquet: lat double, lng double, in the package's order
//   wordnet  edges.parquet: source int32, target int32; nodes.parquet: name string, by node
//            (what counts as an edge: wordnet_file.h)
//
// Threads:  any, functions without state.
// Promises: as many rows as the table of data sets says, or an error.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/data/fetch/data_sets.h"
#include "bench/data/meta_file.h"

namespace rayx::bench {

// Raised when the same package is converted into other files.
inline constexpr int kConversionVersion = 1;

// `members`: by path in the package; all of the set's files. Writes into `done`, may use `work`.
absl::StatusOr<std::vector<DataFile>> Convert(const DataSet& set,
                                              const std::map<std::string, std::string>& members,
                                              const std::filesystem::path& work,
                                              const std::filesystem::path& done);

}  // namespace rayx::bench
