#include "bench/data/generate/part_writer.h"

#include <arrow/array.h>
#include <arrow/csv/writer.h>
#include <arrow/io/file.h>
#include <arrow/ipc/writer.h>
#include <arrow/table.h>
#include <parquet/arrow/writer.h>

#include <array>
#include <charconv>
#include <vector>

#include "bench/data/arrow_status.h"

namespace rayx::bench {
namespace {

constexpr std::array<const char*, 3> kFormatNames = {"csv", "parquet", "libsvm"};

using Stream = std::shared_ptr<arrow::io::FileOutputStream>;

// The writer's last words, and the file.
template <class Writer>
absl::Status CloseBoth(Writer& writer, arrow::io::FileOutputStream& stream,
                       const std::string& path) {
  if (auto closed = writer.Close(); !closed.ok()) return FromArrow(closed, path);
  return FromArrow(stream.Close(), path);
}

class CsvWriter : public PartWriter {
 public:
  CsvWriter(std::string path, Stream stream, std::shared_ptr<arrow::ipc::RecordBatchWriter> writer)
      : path_(std::move(path)), stream_(std::move(stream)), writer_(std::move(writer)) {}
  absl::Status Write(const arrow::RecordBatch& batch) override {
    return FromArrow(writer_->WriteRecordBatch(batch), path_);
  }
  absl::Status Close() override { return CloseBoth(*writer_, *stream_, path_); }

 private:
  const std::string path_;
  const Stream stream_;
  const std::shared_ptr<arrow::ipc::RecordBatchWriter> writer_;
};

class ParquetWriter : public PartWriter {
 public:
  ParquetWriter(std::string path, Stream stream, std::unique_ptr<parquet::arrow::FileWriter> writer)
      : path_(std::move(path)), stream_(std::move(stream)), writer_(std::move(writer)) {}
  absl::Status Write(const arrow::RecordBatch& batch) override {
    auto table = arrow::Table::Make(batch.schema(), batch.columns(), batch.num_rows());
    return FromArrow(writer_->WriteTable(*table, batch.num_rows()), path_);
  }
  absl::Status Close() override { return CloseBoth(*writer_, *stream_, path_); }

 private:
  const std::string path_;
  const Stream stream_;
  const std::unique_ptr<parquet::arrow::FileWriter> writer_;
};

class LibsvmWriter : public PartWriter {
 public:
  LibsvmWriter(std::string path, Stream stream)
      : path_(std::move(path)), stream_(std::move(stream)) {}
  absl::Status Write(const arrow::RecordBatch& batch) override {
    std::vector<const double*> columns;
    const std::int32_t* labels = nullptr;
    for (const auto& column : batch.columns()) {
      if (column->null_count() > 0) {
        return absl::InvalidArgumentError(path_ + ": LIBSVM has no empty cells");
      }
      if (column->type_id() == arrow::Type::DOUBLE) {
        columns.push_back(static_cast<const arrow::DoubleArray&>(*column).raw_values());
      } else {  // OpenPart has seen that it is the label
        labels = static_cast<const arrow::Int32Array&>(*column).raw_values();
      }
    }
    std::string text;
    for (std::int64_t row = 0; row < batch.num_rows(); ++row) {
      text += std::to_string(labels[row]);
      for (size_t j = 0; j < columns.size(); ++j) AppendCell(text, j + 1, columns[j][row]);
      text += '\n';
      if (text.size() < kFlushBytes && row + 1 < batch.num_rows()) continue;
      if (auto written = stream_->Write(text); !written.ok()) return FromArrow(written, path_);
      text.clear();
    }
    return absl::OkStatus();
  }
  absl::Status Close() override { return FromArrow(stream_->Close(), path_); }

 private:
  static constexpr size_t kFlushBytes = 1 << 20;

  static void AppendCell(std::string& text, size_t index, double value) {
    char digits[32];
    const auto end = std::to_chars(digits, digits + sizeof digits, value);
    text += ' ';
    text += std::to_string(index);
    text += ':';
    text.append(digits, end.ptr);
  }

  const std::string path_;
  const Stream stream_;
};

bool IsLabelled(const arrow::Schema& schema) {
  int labels = 0;
  for (const auto& field : schema.fields()) {
    if (field->name() == "label" && field->type()->id() == arrow::Type::INT32) {
      ++labels;
    } else if (field->type()->id() != arrow::Type::DOUBLE) {
      return false;
    }
  }
  return labels == 1;
}

arrow::Result<std::unique_ptr<PartWriter>> Open(PartFormat format, const std::string& path,
                                                const std::shared_ptr<arrow::Schema>& schema) {
  ARROW_ASSIGN_OR_RAISE(auto stream, arrow::io::FileOutputStream::Open(path));
  if (format == PartFormat::kLibsvm) return std::make_unique<LibsvmWriter>(path, stream);
  if (format == PartFormat::kCsv) {
    ARROW_ASSIGN_OR_RAISE(auto writer, arrow::csv::MakeCSVWriter(stream, schema));
    return std::make_unique<CsvWriter>(path, stream, writer);
  }
  auto properties =
      parquet::WriterProperties::Builder().compression(arrow::Compression::ZSTD)->build();
  ARROW_ASSIGN_OR_RAISE(
      auto writer, parquet::arrow::FileWriter::Open(*schema, arrow::default_memory_pool(), stream,
                                                    std::move(properties)));
  return std::make_unique<ParquetWriter>(path, stream, std::move(writer));
}

}  // namespace

const char* FormatName(PartFormat format) {
  return kFormatNames[static_cast<size_t>(format)];
}

absl::StatusOr<PartFormat> ParseFormat(const std::string& name) {
  for (size_t i = 0; i < kFormatNames.size(); ++i) {
    if (name == kFormatNames[i]) return static_cast<PartFormat>(i);
  }
  return absl::InvalidArgumentError("there is no format named " + name);
}

absl::StatusOr<std::unique_ptr<PartWriter>> OpenPart(PartFormat format, const std::string& path,
                                                     const std::shared_ptr<arrow::Schema>& schema) {
  if (format == PartFormat::kLibsvm && !IsLabelled(*schema)) {
    return absl::InvalidArgumentError("LIBSVM holds a label and numbers, nothing else");
  }
  auto writer = Open(format, path, schema);
  if (!writer.ok()) return FromArrow(writer.status(), path);
  return std::move(writer).ValueUnsafe();
}

absl::Status WritePart(PartFormat format, const std::string& path,
                       const arrow::RecordBatch& batch) {
  auto writer = OpenPart(format, path, batch.schema());
  if (!writer.ok()) return writer.status();
  if (auto written = (*writer)->Write(batch); !written.ok()) return written;
  return (*writer)->Close();
}

}  // namespace rayx::bench
