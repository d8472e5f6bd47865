// bench/data/generate/generate_data_set.h
//
// Writes a made-up data set: <out>/<kind>-<rows>x<features>-s<seed>/part-00000.<format>..., for a
// table stores.<format> too, and meta.json.
// Owner:    the caller.                         Threads: starts `threads`, joins them.
// Promises: the files depend on spec, format and chunk_rows alone, their rows on the spec alone.
//           The folder appears whole or not at all. What is there already is never touched without
//           `force`: the same data is reported as such, anything else is kAlreadyExists.
// Limits:   kPartsMax files; in memory a thread has one batch of at most kBatchRowsMax rows and
//           kBatchValuesMax values.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "bench/data/generate/generate_spec.h"
#include "bench/data/generate/part_writer.h"
#include "bench/data/meta_file.h"

namespace rayx::bench {

inline constexpr std::int64_t kPartsMax = 99'999;
inline constexpr std::int64_t kBatchRowsMax = 65'536;
inline constexpr std::int64_t kBatchValuesMax = 1 << 22;
inline constexpr std::int64_t kChunkRowsDefault = 262'144;

struct GenerateOptions {
  PartFormat format = PartFormat::kCsv;
  std::int64_t chunk_rows = kChunkRowsDefault;  // rows a file
  int threads = 1;
  bool force = false;  // replace what is there
};

struct GenerateResult {
  std::string folder;
  bool was_there = false;  // the same data, and nothing was done
  DataMeta meta;
};

absl::StatusOr<GenerateResult> GenerateDataSet(const GenerateSpec& spec,
                                               const GenerateOptions& options,
                                               const std::string& out);

// What meta.json says about a spec: `source`, and what is known about the data.
nlohmann::json SourceOf(const GenerateSpec& spec, const GenerateOptions& options);
absl::StatusOr<GenerateSpec> SpecOf(const nlohmann::json& source);

}  // namespace rayx::bench
