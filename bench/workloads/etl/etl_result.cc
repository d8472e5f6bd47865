#include "bench/workloads/etl/etl_result.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <deque>
#include <numeric>
#include <stdexcept>

#include "bench/workloads/table/parquet_rows.h"

namespace rayx::bench {
namespace {

// An empty cell counts as 0, which no column that may have any holds.
template <typename Array>
void AddNumbers(const TableBatch& batch, int column, const std::string& name, Sha256& digest) {
  const auto array = batch.Column<Array>(column, name, true);
  std::vector<typename Array::value_type> values(array->raw_values(),
                                                 array->raw_values() + array->length());
  for (size_t i = 0; array->null_count() > 0 && i < values.size(); ++i) {
    if (array->IsNull(static_cast<int64_t>(i))) values[i] = 0;
  }
  digest.Add(values.data(), values.size() * sizeof(values[0]));
}

void AddTexts(const TableBatch& batch, int column, const std::string& name, Sha256& digest) {
  const TableBatch::Texts texts = batch.TextColumn(column, name);
  std::string lines;
  for (const int32_t number : texts.numbers)
    lines += texts.texts[static_cast<size_t>(number)] + '\n';
  digest.Add(lines.data(), lines.size());
}

void AddDigests(std::deque<Sha256>& columns, Sha256& all) {
  for (Sha256& column : columns) {
    const std::string digest = column.Binary();
    all.Add(digest.data(), digest.size());
  }
}

}  // namespace

void AddEtlFlags(CLI::App& app, EtlOptions& options) {
  app.add_option("--block-rows", options.block_rows, "Rows of a block")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30));
}

std::vector<std::string> SalesFiles(const std::string& folder) {
  std::vector<std::string> paths = ParquetFiles(folder);
  std::erase_if(paths, [&](const std::string& path) { return path == folder + "/stores.parquet"; });
  if (paths.empty()) throw std::runtime_error(folder + ": there are no sales");
  return paths;
}

int64_t RowsOf(const EtlOptions& options, int64_t steps) {
  const int64_t rows = ParquetTable(SalesFiles(options.folder)).rows();
  const int64_t blocks = BlockCount(rows, options.block_rows);
  if (steps > blocks) {
    throw std::runtime_error(options.folder + ": the table has " + std::to_string(blocks) +
                             " blocks, a step each, not " + std::to_string(steps));
  }
  return std::min(rows, steps * options.block_rows);
}

std::string HashOfTable(const std::string& folder) {
  Sha256 all;
  const ParquetTable sales(SalesFiles(folder));
  std::deque<Sha256> columns(6);
  sales.Read({"id", "day", "store", "category", "quantity", "price"}, 0, sales.rows(),
             [&](const TableBatch& batch) {
               AddNumbers<arrow::Int64Array>(batch, 0, "id", columns[0]);
               AddNumbers<arrow::Int32Array>(batch, 1, "day", columns[1]);
               AddNumbers<arrow::Int32Array>(batch, 2, "store", columns[2]);
               AddTexts(batch, 3, "category", columns[3]);
               AddNumbers<arrow::Int32Array>(batch, 4, "quantity", columns[4]);
               AddNumbers<arrow::DoubleArray>(batch, 5, "price", columns[5]);
             });
  AddDigests(columns, all);
  const ParquetTable stores({folder + "/stores.parquet"});
  std::deque<Sha256> store_columns(2);
  stores.Read({"store", "region"}, 0, stores.rows(), [&](const TableBatch& batch) {
    AddNumbers<arrow::Int32Array>(batch, 0, "store", store_columns[0]);
    AddTexts(batch, 1, "region", store_columns[1]);
  });
  AddDigests(store_columns, all);
  return Sha256::Hex(all.Binary());
}

ArmOutcome EtlOutcome(const std::string& dataset, const RepCommand& command, const Totals& totals,
                      const Fingerprint& sorted) {
  const auto hex = [](uint64_t number) {
    char text[20];
    snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(number));
    return std::string(text);
  };
  const auto sum = [&](int64_t begin) {
    return static_cast<double>(
        std::accumulate(totals.begin() + begin, totals.begin() + begin + kGroups, int64_t{0}));
  };
  ArmOutcome outcome;
  outcome.steps = command.steps;
  Sha256 digest;
  digest.Add(totals.data(), totals.size() * sizeof(totals[0]));
  outcome.hashes = {{"dataset", dataset}, {"totals", Sha256::Hex(digest.Binary())}};
  outcome.texts = {{"rows", std::to_string(sorted.rows) + " rows, " + hex(sorted.sum)},
                   {"order", hex(sorted.ordered)}};
  outcome.values = {{"clean_rows", sum(0)},
                    {"revenue_cents", sum(kGroups)},
                    {"sorted_rows", static_cast<double>(sorted.rows)},
                    {"descents", static_cast<double>(sorted.descents)}};
  return outcome;
}

}  // namespace rayx::bench
