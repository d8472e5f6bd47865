// bench/data/meta_file.h
//
// meta.json: what a data set's folder holds and where it comes from. Written last; a folder without
// it is no data set.
//
//   {"schema": 1, "source": {...}, "files": [{"name", "rows", "bytes", "sha256"}...],
//    "facts": {...}}
// `source` decides every byte of the files (a package and its hash, or a generator's words); two
// folders of one source hold the same data. `facts` are what is known about the data.
//
// Threads:  any, functions without state.
// Inputs:   the file is as untrusted as any: every member is checked.
// Limits:   kMetaBytesMax.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace rayx::bench {

inline constexpr std::uint64_t kMetaBytesMax = 64 << 20;

struct DataFile {
  std::string name;       // in the data set's folder
  std::int64_t rows = 0;  // 0: not a table
  std::uint64_t bytes = 0;
  std::string sha256;

  bool operator==(const DataFile&) const = default;
};

struct DataMeta {
  nlohmann::json source;
  std::vector<DataFile> files;
  nlohmann::json facts = nlohmann::json::object();
};

absl::StatusOr<DataFile> DescribeFile(const std::string& folder, const std::string& name,
                                      std::int64_t rows);

absl::Status WriteMeta(const std::string& folder, const DataMeta& meta);

// kNotFound: there is none; kDataLoss: it is damaged.
absl::StatusOr<DataMeta> ReadMeta(const std::string& folder);

// Every file is there with its size, and with its hash if `with_hashes`.
absl::Status CheckFiles(const std::string& folder, const DataMeta& meta, bool with_hashes);

}  // namespace rayx::bench
