// bench/data/generate/part_writer.h
//
// Writes batches of rows into one file: CSV and Parquet by Arrow, LIBSVM by hand.
//
// CSV:     a header; an empty cell is nothing between two commas.
// Parquet: one row group a batch, ZSTD.
// LIBSVM:  "label 1:value 2:value ...", a line a row, every value in the fewest digits that give
//          the same double. For kinds with a label; an absent index means 0 in this format, so
//          empty cells are refused.
//
// Owner:    whoever writes the file.               Threads: one at a time.
// Promises: the bytes depend on the batches alone; an error names the file and the cause (a full
//           disk among them). Only after Close() is the file whole.
#pragma once

#include <arrow/record_batch.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace rayx::bench {

enum class PartFormat { kCsv, kParquet, kLibsvm };

const char* FormatName(PartFormat format);  // csv, parquet, libsvm: also the files' ending
absl::StatusOr<PartFormat> ParseFormat(const std::string& name);

class PartWriter {
 public:
  virtual ~PartWriter() = default;
  virtual absl::Status Write(const arrow::RecordBatch& batch) = 0;
  virtual absl::Status Close() = 0;  // once, after the last Write
};

absl::StatusOr<std::unique_ptr<PartWriter>> OpenPart(PartFormat format, const std::string& path,
                                                     const std::shared_ptr<arrow::Schema>& schema);

// A file of one batch.
absl::Status WritePart(PartFormat format, const std::string& path, const arrow::RecordBatch& batch);

}  // namespace rayx::bench
