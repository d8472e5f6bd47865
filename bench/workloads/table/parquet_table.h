// bench/workloads/table/parquet_table.h
//
// Rows of a table that lies in one or several Parquet files, as Arrow's record batches. For columns
// of numbers alone, parquet_rows.h is simpler.
// Owner:    an arm's rank or worker.            Threads: one; computes on one thread.
// Inputs:   files from outside the process: a missing column, another type, an empty cell or a
//           damaged file is a std::runtime_error that names the file.
// Promises: reads only the row groups in which the wanted rows lie. Columns of strings come as
//           dictionaries.
#pragma once

#include <arrow/api.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace rayx::bench {

// A batch and the file from which it comes, for errors.
struct TableBatch {
  std::string path;
  std::shared_ptr<arrow::RecordBatch> rows;

  [[noreturn]] void Fail(const std::string& what) const {
    throw std::runtime_error(path + ": " + what);
  }
  // Column `index` as an array of `Array`; `name` is its name. No empty cells, or `may_be_empty`.
  template <typename Array>
  std::shared_ptr<Array> Column(int index, const std::string& name,
                                bool may_be_empty = false) const {
    auto array = std::dynamic_pointer_cast<Array>(rows->column(index));
    if (!array) Fail(name + " is of type " + rows->column(index)->type()->ToString());
    if (!may_be_empty && array->null_count() != 0) Fail(name + " has empty cells");
    return array;
  }
  // The texts of a column of strings, and of each row the number of its text (no empty cells).
  struct Texts {
    std::vector<std::string> texts;
    std::vector<int32_t> numbers;
  };
  Texts TextColumn(int index, const std::string& name) const;
};

class ParquetTable {
 public:
  // `paths`: the parts of the table, in order. Looks at their row groups.
  explicit ParquetTable(std::vector<std::string> paths);

  int64_t rows() const { return rows_; }
  // Gives rows [begin, end), in order, with the columns in the order of their names here.
  void Read(const std::vector<std::string>& columns, int64_t begin, int64_t end,
            const std::function<void(const TableBatch&)>& take) const;

 private:
  struct Part {
    std::string path;
    std::vector<int64_t> group_begins;  // of each row group, in the table; then the end
  };
  int64_t ReadPart(const Part& part, const std::vector<std::string>& columns, int64_t begin,
                   int64_t end, const std::function<void(const TableBatch&)>& take) const;

  std::vector<Part> parts_;
  int64_t rows_ = 0;
};

}  // namespace rayx::bench
