#include "bench/data/generate/generate_rows.h"

#include <arrow/builder.h>
#include <arrow/type.h>

#include <cmath>
#include <string>
#include <vector>

#include "bench/data/arrow_status.h"

namespace rayx::bench {
namespace {

using Columns = std::vector<std::shared_ptr<arrow::Array>>;

std::shared_ptr<arrow::Schema> MakeSchema(const GenerateSpec& spec) {
  arrow::FieldVector fields;
  const auto add_numbers = [&](const std::string& prefix) {
    for (std::int64_t j = 0; j < spec.features; ++j) {
      fields.push_back(arrow::field(prefix + std::to_string(j), arrow::float64()));
    }
  };
  switch (spec.kind) {
    case DataKind::kClassification:
      fields = {arrow::field("label", arrow::int32())};
      add_numbers("f");
      break;
    case DataKind::kBlobs:
      add_numbers("f");
      fields.push_back(arrow::field("label", arrow::int32()));
      break;
    case DataKind::kTable:
      fields = {arrow::field("id", arrow::int64()),       arrow::field("day", arrow::int32()),
                arrow::field("store", arrow::int32()),    arrow::field("category", arrow::utf8()),
                arrow::field("quantity", arrow::int32()), arrow::field("price", arrow::float64())};
      add_numbers("m");
      break;
    case DataKind::kGraph:
      fields = {arrow::field("source", arrow::int32()), arrow::field("target", arrow::int32())};
      break;
  }
  return arrow::schema(std::move(fields));
}

void AppendNumber(arrow::DoubleBuilder& builder, double value) {
  if (std::isnan(value)) {
    builder.UnsafeAppendNull();
  } else {
    builder.UnsafeAppend(value);
  }
}

arrow::Result<std::shared_ptr<arrow::RecordBatch>> FeatureBatch(
    const FeatureRows& rows, const std::shared_ptr<arrow::Schema>& schema, bool label_first,
    std::int64_t begin, std::int64_t count, RowCounts* counts) {
  const size_t width = static_cast<size_t>(schema->num_fields()) - 1;
  std::vector<arrow::DoubleBuilder> builders(width);
  for (auto& builder : builders) ARROW_RETURN_NOT_OK(builder.Reserve(count));
  arrow::Int32Builder labels;
  ARROW_RETURN_NOT_OK(labels.Reserve(count));
  std::vector<double> features(width);
  for (std::int64_t row = begin; row < begin + count; ++row) {
    const std::int32_t label = rows.Draw(row, features.data()).written;
    labels.UnsafeAppend(label);
    if (counts != nullptr) ++counts->labels[label];
    for (size_t j = 0; j < width; ++j) AppendNumber(builders[j], features[j]);
  }
  Columns columns;
  for (auto& builder : builders) {
    ARROW_ASSIGN_OR_RAISE(auto column, builder.Finish());
    columns.push_back(std::move(column));
  }
  ARROW_ASSIGN_OR_RAISE(auto label_column, labels.Finish());
  columns.insert(label_first ? columns.begin() : columns.end(), std::move(label_column));
  return arrow::RecordBatch::Make(schema, count, std::move(columns));
}

arrow::Result<std::shared_ptr<arrow::RecordBatch>> GraphBatch(
    const GraphRows& rows, const std::shared_ptr<arrow::Schema>& schema, std::int64_t begin,
    std::int64_t count) {
  arrow::Int32Builder sources, targets;
  ARROW_RETURN_NOT_OK(sources.Reserve(count));
  ARROW_RETURN_NOT_OK(targets.Reserve(count));
  for (std::int64_t row = begin; row < begin + count; ++row) {
    const Edge edge = rows.Draw(row);
    sources.UnsafeAppend(edge.source);
    targets.UnsafeAppend(edge.target);
  }
  ARROW_ASSIGN_OR_RAISE(auto source_column, sources.Finish());
  ARROW_ASSIGN_OR_RAISE(auto target_column, targets.Finish());
  return arrow::RecordBatch::Make(schema, count, Columns{source_column, target_column});
}

// Builders of the columns of a table, in their order.
struct TableBuilders {
  arrow::Int64Builder id;
  arrow::Int32Builder day, store;
  arrow::StringBuilder category;
  arrow::Int32Builder quantity;
  arrow::DoubleBuilder price;
  std::vector<arrow::DoubleBuilder> measures;

  std::vector<arrow::ArrayBuilder*> All() {
    std::vector<arrow::ArrayBuilder*> all = {&id, &day, &store, &category, &quantity, &price};
    for (auto& measure : measures) all.push_back(&measure);
    return all;
  }

  arrow::Status Append(const GenerateSpec& spec, std::int64_t row, const SalesRow& sale) {
    id.UnsafeAppend(row);
    day.UnsafeAppend(sale.day);
    store.UnsafeAppend(sale.store);
    ARROW_RETURN_NOT_OK(category.Append(sale.category_text));
    if (sale.quantity == 0) {
      quantity.UnsafeAppendNull();
    } else {
      quantity.UnsafeAppend(sale.quantity);
    }
    if (sale.has_price) {
      price.UnsafeAppend(static_cast<double>(sale.cents) / 100);
    } else {
      price.UnsafeAppendNull();
    }
    for (size_t j = 0; j < measures.size(); ++j) {
      AppendNumber(measures[j], DrawMeasure(spec, row, static_cast<std::int64_t>(j)));
    }
    return arrow::Status::OK();
  }
};

arrow::Result<std::shared_ptr<arrow::RecordBatch>> TableBatch(
    const GenerateSpec& spec, const std::shared_ptr<arrow::Schema>& schema, std::int64_t begin,
    std::int64_t count, RowCounts* counts) {
  TableBuilders builders;
  builders.measures = std::vector<arrow::DoubleBuilder>(static_cast<size_t>(spec.features));
  for (auto* builder : builders.All()) ARROW_RETURN_NOT_OK(builder->Reserve(count));
  for (std::int64_t row = begin; row < begin + count; ++row) {
    const SalesRow sale = DrawSalesRow(spec, row);
    if (counts != nullptr) counts->table.Add(sale);
    ARROW_RETURN_NOT_OK(builders.Append(spec, row, sale));
  }
  Columns columns;
  for (auto* builder : builders.All()) {
    ARROW_ASSIGN_OR_RAISE(auto column, builder->Finish());
    columns.push_back(std::move(column));
  }
  return arrow::RecordBatch::Make(schema, count, std::move(columns));
}

absl::StatusOr<std::shared_ptr<arrow::RecordBatch>> FromArrowResult(
    arrow::Result<std::shared_ptr<arrow::RecordBatch>> made) {
  if (!made.ok()) return FromArrow(made.status(), "cannot make rows");
  return std::move(made).ValueUnsafe();
}

}  // namespace

void RowCounts::Add(const RowCounts& other) {
  empty_cells += other.empty_cells;
  for (const auto& [label, rows] : other.labels) labels[label] += rows;
  table.Add(other.table);
}

RowSource::RowSource(const GenerateSpec& spec) : spec_(spec), schema_(MakeSchema(spec)) {
  if (spec.kind == DataKind::kGraph) graph_.emplace(spec);
  if (spec.classes > 0) features_.emplace(spec);
}

absl::StatusOr<RowSource> RowSource::Make(const GenerateSpec& spec) {
  if (auto bad = CheckSpec(spec); !bad.ok()) return bad;
  return RowSource(spec);
}

absl::StatusOr<std::shared_ptr<arrow::RecordBatch>> RowSource::Generate(std::int64_t begin,
                                                                        std::int64_t count,
                                                                        RowCounts* counts) const {
  if (begin < 0 || count < 0 || begin > spec_.rows || count > spec_.rows - begin) {
    return absl::InvalidArgumentError("there are rows 0.." + std::to_string(spec_.rows - 1) +
                                      ", not " + std::to_string(count) + " from " +
                                      std::to_string(begin));
  }
  if (count > kValuesMaxOfBatch / schema_->num_fields()) {
    return absl::InvalidArgumentError(std::to_string(count) + " rows of " +
                                      std::to_string(schema_->num_fields()) +
                                      " columns are too many for one batch");
  }
  auto batch = FromArrowResult(graph_      ? GraphBatch(*graph_, schema_, begin, count)
                               : features_ ? FeatureBatch(*features_, schema_,
                                                          spec_.kind == DataKind::kClassification,
                                                          begin, count, counts)
                                           : TableBatch(spec_, schema_, begin, count, counts));
  if (batch.ok() && counts != nullptr) {
    for (const auto& column : (*batch)->columns()) counts->empty_cells += column->null_count();
  }
  return batch;
}

absl::StatusOr<std::shared_ptr<arrow::RecordBatch>> GenerateRows(const GenerateSpec& spec,
                                                                 std::int64_t begin,
                                                                 std::int64_t count) {
  auto source = RowSource::Make(spec);
  if (!source.ok()) return source.status();
  return source->Generate(begin, count);
}

absl::StatusOr<std::shared_ptr<arrow::RecordBatch>> GenerateStores(const GenerateSpec& spec) {
  const auto make = [&]() -> arrow::Result<std::shared_ptr<arrow::RecordBatch>> {
    arrow::Int32Builder stores;
    arrow::StringBuilder regions;
    arrow::DoubleBuilder areas;
    for (std::int32_t store = 0; store < kStores; ++store) {
      const StoreRow row = DrawStore(spec.seed, store);
      ARROW_RETURN_NOT_OK(stores.Append(store));
      ARROW_RETURN_NOT_OK(regions.Append(row.region));
      ARROW_RETURN_NOT_OK(areas.Append(row.area));
    }
    Columns columns(3);
    ARROW_RETURN_NOT_OK(stores.Finish(&columns[0]));
    ARROW_RETURN_NOT_OK(regions.Finish(&columns[1]));
    ARROW_RETURN_NOT_OK(areas.Finish(&columns[2]));
    return arrow::RecordBatch::Make(
        arrow::schema({arrow::field("store", arrow::int32()), arrow::field("region", arrow::utf8()),
                       arrow::field("area", arrow::float64())}),
        kStores, std::move(columns));
  };
  return FromArrowResult(make());
}

}  // namespace rayx::bench
