// bench/data/generate/generate_rows.h
//
// Any rows of a made-up data set as Arrow columns, for files and for programs that want the data
// without files.
//
// Columns: classification: label int32, f0.. double.   blobs: f0.. double, label int32.
//          table: see table_rows.h.                    graph: source int32, target int32.
//
// Threads:  any; a RowSource is constant after construction.
// Promises: row r is the same in whatever range it is asked for, on every machine.
// Limits:   kValuesMaxOfBatch values in one call.
#pragma once

#include <arrow/record_batch.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bench/data/generate/feature_rows.h"
#include "bench/data/generate/generate_spec.h"
#include "bench/data/generate/graph_rows.h"
#include "bench/data/generate/table_rows.h"

namespace rayx::bench {

inline constexpr std::int64_t kValuesMaxOfBatch = std::int64_t{1} << 27;

// What was in the rows made so far.
struct RowCounts {
  std::int64_t empty_cells = 0;
  std::map<std::int32_t, std::int64_t> labels;  // rows of each label
  TableCounts table;

  void Add(const RowCounts& other);
};

class RowSource {
 public:
  static absl::StatusOr<RowSource> Make(const GenerateSpec& spec);  // the error of CheckSpec

  // Rows begin..begin+count-1; adds to `counts` unless it is null. kInvalidArgument when there are
  // no such rows or too many at once.
  absl::StatusOr<std::shared_ptr<arrow::RecordBatch>> Generate(std::int64_t begin,
                                                               std::int64_t count,
                                                               RowCounts* counts = nullptr) const;

  const std::shared_ptr<arrow::Schema>& schema() const { return schema_; }
  const GenerateSpec& spec() const { return spec_; }
  // classification and blobs, else null.
  const FeatureRows* features() const { return features_ ? &*features_ : nullptr; }

 private:
  explicit RowSource(const GenerateSpec& spec);

  GenerateSpec spec_;
  std::shared_ptr<arrow::Schema> schema_;
  std::optional<FeatureRows> features_;
  std::optional<GraphRows> graph_;
};

// For a few rows: a RowSource that is used once.
absl::StatusOr<std::shared_ptr<arrow::RecordBatch>> GenerateRows(const GenerateSpec& spec,
                                                                 std::int64_t begin,
                                                                 std::int64_t count);

// The stores that a `table` is joined with.
absl::StatusOr<std::shared_ptr<arrow::RecordBatch>> GenerateStores(const GenerateSpec& spec);

}  // namespace rayx::bench
