#include "bench/workloads/table/parquet_table.h"

#include <parquet/arrow/reader.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>

#include <algorithm>

namespace rayx::bench {
namespace {

[[noreturn]] void Fail(const std::string& path, const std::string& what) {
  throw std::runtime_error(path + ": " + what);
}

// Parquet throws exceptions of its own, Arrow returns statuses: both become one that names a file.
template <typename Work>
auto OnFile(const std::string& path, const Work& work) {
  try {
    return work();
  } catch (const parquet::ParquetException& error) {
    Fail(path, error.what());
  }
}

template <typename T>
T Check(const std::string& path, arrow::Result<T> result) {
  if (!result.ok()) Fail(path, result.status().message());
  return *std::move(result);
}

void Check(const std::string& path, const arrow::Status& status) {
  if (!status.ok()) Fail(path, status.message());
}

struct OpenFile {
  std::unique_ptr<parquet::arrow::FileReader> reader;
  std::vector<int> columns;  // their numbers in the file
};

OpenFile Open(const std::string& path, const std::vector<std::string>& columns) {
  parquet::arrow::FileReaderBuilder builder;
  Check(path, builder.OpenFile(path, /*memory_map=*/true));
  const parquet::SchemaDescriptor& schema = *builder.raw_reader()->metadata()->schema();
  parquet::ArrowReaderProperties properties(/*use_threads=*/false);
  OpenFile file;
  for (const std::string& column : columns) {
    const int index = schema.ColumnIndex(column);
    if (index < 0) Fail(path, "there is no column " + column);
    file.columns.push_back(index);
    if (schema.Column(index)->physical_type() == parquet::Type::BYTE_ARRAY) {
      properties.set_read_dictionary(index, true);
    }
  }
  Check(path, builder.properties(properties)->Build(&file.reader));
  return file;
}

template <typename Array>
std::vector<std::string> TextsOf(const arrow::Array& dictionary) {
  const auto& array = static_cast<const Array&>(dictionary);
  std::vector<std::string> texts;
  for (int64_t i = 0; i < array.length(); ++i) texts.push_back(array.GetString(i));
  return texts;
}

}  // namespace

TableBatch::Texts TableBatch::TextColumn(int index, const std::string& name) const {
  const auto array = Column<arrow::DictionaryArray>(index, name);
  Texts result;
  const arrow::Array& dictionary = *array->dictionary();
  if (dictionary.type_id() == arrow::Type::STRING) {
    result.texts = TextsOf<arrow::StringArray>(dictionary);
  } else if (dictionary.type_id() == arrow::Type::LARGE_STRING) {
    result.texts = TextsOf<arrow::LargeStringArray>(dictionary);
  } else {
    Fail(name + " is of type " + dictionary.type()->ToString());
  }
  const auto* numbers = dynamic_cast<const arrow::Int32Array*>(array->indices().get());
  if (numbers == nullptr) Fail(name + " is of type " + array->type()->ToString());
  result.numbers.assign(numbers->raw_values(), numbers->raw_values() + numbers->length());
  const auto count = static_cast<int32_t>(result.texts.size());
  for (const int32_t number : result.numbers) {
    if (number < 0 || number >= count) Fail(name + " has a dictionary without some of its texts");
  }
  return result;
}

ParquetTable::ParquetTable(std::vector<std::string> paths) {
  for (std::string& path : paths) {
    Part part;
    OnFile(path, [&] {
      const auto metadata = parquet::ParquetFileReader::OpenFile(path)->metadata();
      for (int group = 0; group < metadata->num_row_groups(); ++group) {
        part.group_begins.push_back(rows_);
        rows_ += metadata->RowGroup(group)->num_rows();
      }
      part.group_begins.push_back(rows_);
    });
    part.path = std::move(path);
    parts_.push_back(std::move(part));
  }
}

int64_t ParquetTable::ReadPart(const Part& part, const std::vector<std::string>& columns,
                               int64_t begin, int64_t end,
                               const std::function<void(const TableBatch&)>& take) const {
  std::vector<int> groups;
  for (size_t g = 0; g + 1 < part.group_begins.size(); ++g) {
    if (part.group_begins[g] < end && part.group_begins[g + 1] > begin) {
      groups.push_back(static_cast<int>(g));
    }
  }
  if (groups.empty()) return 0;
  return OnFile(part.path, [&] {
    const OpenFile file = Open(part.path, columns);
    // Arrow gives the columns in the order of the file.
    const auto table = Check(part.path, file.reader->ReadRowGroups(groups, file.columns));
    const auto wanted = Check(part.path, table->SelectColumns([&] {
      std::vector<int> places;
      for (const std::string& column : columns) {
        places.push_back(table->schema()->GetFieldIndex(column));
      }
      return places;
    }()));
    const int64_t first = part.group_begins[static_cast<size_t>(groups.front())];
    const int64_t offset = std::max(begin - first, int64_t{0});
    const auto rows = wanted->Slice(offset, end - first - offset);
    arrow::TableBatchReader reader(*rows);
    for (std::shared_ptr<arrow::RecordBatch> batch;;) {
      Check(part.path, reader.ReadNext(&batch));
      if (!batch) break;
      take({part.path, std::move(batch)});
    }
    return rows->num_rows();
  });
}

void ParquetTable::Read(const std::vector<std::string>& columns, int64_t begin, int64_t end,
                        const std::function<void(const TableBatch&)>& take) const {
  if (begin < 0 || begin > end || end > rows_) {
    throw std::out_of_range("rows " + std::to_string(begin) + " to " + std::to_string(end) +
                            " of a table of " + std::to_string(rows_));
  }
  int64_t count = 0;
  for (const Part& part : parts_) count += ReadPart(part, columns, begin, end, take);
  if (count != end - begin) Fail(parts_.front().path, "has fewer rows than it says");
}

}  // namespace rayx::bench
