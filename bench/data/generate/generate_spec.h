// bench/data/generate/generate_spec.h
//
// What a made-up data set is: the words that decide every byte of it.
// Threads:  any, values and functions without state.
// Promises: two equal specs are the same data set. CheckSpec refuses everything that the generator
//           could not make; the others below rely on it.
// Limits:   kRowsMax, kFeaturesMax, kCentreValuesMax (what is kept in memory for the truth).
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace rayx::bench {

enum class DataKind {
  kClassification,  // Gaussian classes with the best accuracy known; features of many scales
  kBlobs,           // Gaussian clusters for k-means, with the true centre as label
  kTable,           // sales with mixed types, holes and dirt, and a table of stores to join
  kGraph,           // directed edges, degrees by a power law
};

inline constexpr std::int64_t kRowsMax = std::int64_t{1} << 40;
inline constexpr std::int64_t kFeaturesMax = 100'000;
inline constexpr std::int64_t kCentreValuesMax = 1 << 20;

struct GenerateSpec {
  DataKind kind = DataKind::kClassification;
  std::int64_t rows = 0;
  std::int64_t features = 0;  // columns of numbers; of a graph: nodes
  std::uint64_t seed = 1;
  std::int64_t classes = 0;  // classes or clusters; 0 for table and graph
  // classification: the distance between any two class centres. blobs: the standard deviation of
  // the centres' coordinates. Both in standard deviations of a class.
  double separation = 0;
  // classification: share of rows that carry another class's label. blobs: share of rows that lie
  // anywhere (label -1). table: share of prices and categories that are dirty.
  double noise = 0;
  double missing = 0;  // share of cells that are empty

  bool operator==(const GenerateSpec&) const = default;
};

// The spec of a kind with the defaults that --help names; rows stay 0.
GenerateSpec DefaultSpec(DataKind kind);

// OK, or kInvalidArgument in the words of the command line's options.
absl::Status CheckSpec(const GenerateSpec& spec);

const char* KindName(DataKind kind);
absl::StatusOr<DataKind> ParseKind(const std::string& name);

// <kind>-<rows>x<features>-s<seed>: the data set's folder.
std::string FolderName(const GenerateSpec& spec);

}  // namespace rayx::bench
