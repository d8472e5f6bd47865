#include "bench/workloads/flights/flight_rows.h"

#include <arrow/csv/api.h>
#include <arrow/io/file.h>

#include <algorithm>
#include <cmath>
#include <unordered_map>
#include <utility>

#include "bench/workloads/arm/share.h"
#include "bench/workloads/table/parquet_table.h"

namespace rayx::bench {
namespace {

constexpr int64_t kHourUs = 3'600'000'000, kDayUs = 24 * kHourUs;
constexpr int64_t kThursday = 3;  // weekday of the first day of 1970

class AirportIndex {
 public:
  explicit AirportIndex(const Airports& airports) : airports_(airports) {
    for (size_t i = 0; i < airports.codes.size(); ++i) {
      numbers_.emplace(airports.codes[i], static_cast<int32_t>(i));
    }
  }
  // The airport of each text; -1: there is none.
  std::vector<int32_t> NumbersOf(const TableBatch::Texts& texts) const {
    std::vector<int32_t> of_text, of_row;
    for (const std::string& text : texts.texts) {
      const auto found = numbers_.find(text);
      of_text.push_back(found == numbers_.end() ? -1 : found->second);
    }
    of_row.reserve(texts.numbers.size());
    for (const int32_t number : texts.numbers) {
      of_row.push_back(of_text[static_cast<size_t>(number)]);
    }
    return of_row;
  }
  double latitude(int32_t number) const { return airports_.latitudes[static_cast<size_t>(number)]; }
  double longitude(int32_t number) const {
    return airports_.longitudes[static_cast<size_t>(number)];
  }

 private:
  const Airports& airports_;
  std::unordered_map<std::string, int32_t> numbers_;
};

// Columns of a block, growing.
class BlockColumns {
 public:
  explicit BlockColumns(int64_t rows) {
    for (auto& column : numbers_) column.reserve(static_cast<size_t>(rows));
    hours_.reserve(static_cast<size_t>(rows));
    days_.reserve(static_cast<size_t>(rows));
    late_.reserve(static_cast<size_t>(rows));
  }

  // Rows of columns date, delay, distance, origin, destination.
  void AppendClean(const TableBatch& batch, const AirportIndex& airports) {
    const auto dates = batch.Column<arrow::TimestampArray>(0, "date");
    const auto delays = batch.Column<arrow::Int64Array>(1, "delay");
    const auto distances = batch.Column<arrow::Int64Array>(2, "distance");
    if (static_cast<const arrow::TimestampType&>(*dates->type()).unit() != arrow::TimeUnit::MICRO) {
      batch.Fail("date is of type " + dates->type()->ToString());
    }
    const auto origins = airports.NumbersOf(batch.TextColumn(3, "origin"));
    const auto destinations = airports.NumbersOf(batch.TextColumn(4, "destination"));
    for (int64_t row = 0; row < dates->length(); ++row) {
      const int32_t origin = origins[static_cast<size_t>(row)];
      const int32_t destination = destinations[static_cast<size_t>(row)];
      const int64_t delay = delays->Value(row), distance = distances->Value(row);
      const bool is_clean = delay >= kDelayMin && delay <= kDelayMax && distance > 0 &&
                            origin >= 0 && destination >= 0 && origin != destination;
      if (!is_clean) continue;
      if (dates->Value(row) < 0) batch.Fail("a date before 1970");
      AppendTime(dates->Value(row));
      late_.push_back(delay > kLateAbove ? 1.0F : 0.0F);
      numbers_[0].push_back(static_cast<double>(distance));
      numbers_[1].push_back(airports.latitude(origin));
      numbers_[2].push_back(airports.longitude(origin));
      numbers_[3].push_back(airports.latitude(destination));
      numbers_[4].push_back(airports.longitude(destination));
    }
  }

  FlightBlock Finish() const {
    const auto rows = static_cast<int64_t>(late_.size());
    FlightBlock block;
    block.numbers = at::empty({kNumbers, rows}, at::kDouble);
    for (int64_t column = 0; column < kNumbers; ++column) {
      std::copy(numbers_[static_cast<size_t>(column)].begin(),
                numbers_[static_cast<size_t>(column)].end(),
                block.numbers.data_ptr<double>() + column * rows);
    }
    block.times = at::empty({2, rows}, at::kByte);
    std::copy(hours_.begin(), hours_.end(), block.times.data_ptr<uint8_t>());
    std::copy(days_.begin(), days_.end(), block.times.data_ptr<uint8_t>() + rows);
    block.late = at::empty({rows}, at::kFloat);
    std::copy(late_.begin(), late_.end(), block.late.data_ptr<float>());
    return block;
  }

 private:
  void AppendTime(int64_t us) {
    hours_.push_back(static_cast<uint8_t>(us / kHourUs % 24));
    days_.push_back(static_cast<uint8_t>((us / kDayUs + kThursday) % 7));
  }

  std::vector<double> numbers_[kNumbers];
  std::vector<uint8_t> hours_, days_;
  std::vector<float> late_;
};

template <typename T>
T Check(const std::string& path, arrow::Result<T> result) {
  if (!result.ok()) throw std::runtime_error(path + ": " + result.status().message());
  return *std::move(result);
}

std::shared_ptr<arrow::Table> ReadCsv(const std::string& path) {
  auto parse = arrow::csv::ParseOptions::Defaults();
  auto convert = arrow::csv::ConvertOptions::Defaults();
  convert.include_columns = {"iata", "latitude", "longitude"};
  convert.column_types = {
      {"iata", arrow::utf8()}, {"latitude", arrow::float64()}, {"longitude", arrow::float64()}};
  auto read = arrow::csv::ReadOptions::Defaults();
  read.use_threads = false;
  const auto file = Check(path, arrow::io::ReadableFile::Open(path));
  const auto reader = Check(path, arrow::csv::TableReader::Make(arrow::io::default_io_context(),
                                                                file, read, parse, convert));
  return Check(path, Check(path, reader->Read())->CombineChunks());
}

}  // namespace

Airports ReadAirports(const std::string& path) {
  const auto table = ReadCsv(path);
  Airports airports;
  arrow::TableBatchReader reader(*table);
  for (std::shared_ptr<arrow::RecordBatch> rows; reader.ReadNext(&rows).ok() && rows;) {
    const TableBatch batch = {path, rows};
    const auto codes = batch.Column<arrow::StringArray>(0, "iata");
    const auto latitudes = batch.Column<arrow::DoubleArray>(1, "latitude");
    const auto longitudes = batch.Column<arrow::DoubleArray>(2, "longitude");
    for (int64_t row = 0; row < codes->length(); ++row) {
      airports.codes.push_back(codes->GetString(row));
      airports.latitudes.push_back(latitudes->Value(row));
      airports.longitudes.push_back(longitudes->Value(row));
    }
  }
  return airports;
}

int64_t CountFlights(const std::string& path) {
  return ParquetTable({path}).rows();
}

std::vector<FlightBlock> ReadFlights(const std::string& path, const std::vector<int64_t>& blocks,
                                     int64_t block_rows, const Airports& airports) {
  const ParquetTable table({path});
  const AirportIndex index(airports);
  std::vector<FlightBlock> result;
  if (blocks.empty()) return result;
  std::vector<BlockColumns> columns;
  for (size_t i = 0; i < blocks.size(); ++i) columns.emplace_back(block_rows);

  int64_t at = BlockRange(blocks.front(), table.rows(), block_rows).begin;
  const int64_t end = BlockRange(blocks.back(), table.rows(), block_rows).end;
  table.Read({"date", "delay", "distance", "origin", "destination"}, at, end,
             [&](const TableBatch& batch) {
               // A batch may begin and end within a block.
               for (int64_t offset = 0; offset < batch.rows->num_rows();) {
                 const int64_t block = at / block_rows;
                 const int64_t count =
                     std::min(batch.rows->num_rows() - offset, (block + 1) * block_rows - at);
                 const auto wanted = std::lower_bound(blocks.begin(), blocks.end(), block);
                 if (wanted != blocks.end() && *wanted == block) {
                   columns[static_cast<size_t>(wanted - blocks.begin())].AppendClean(
                       {batch.path, batch.rows->Slice(offset, count)}, index);
                 }
                 offset += count;
                 at += count;
               }
             });
  for (const BlockColumns& block : columns) result.push_back(block.Finish());
  return result;
}

}  // namespace rayx::bench
