// Goal: a row is the same in whatever range it is asked for, and the kinds hold what they promise.
// Method: batches compared with slices of a larger one; counts compared with their expectation, and
// the table's facts with what cleaning the columns finds.
#include "bench/data/generate/generate_rows.h"

#include <arrow/array.h>
#include <arrow/type.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <set>
#include <string>
#include <vector>

namespace rayx::bench {
namespace {

GenerateSpec Spec(DataKind kind, std::int64_t rows) {
  GenerateSpec spec = DefaultSpec(kind);
  spec.rows = rows;
  spec.features = kind == DataKind::kGraph ? 1000 : 5;
  if (kind != DataKind::kGraph) spec.missing = 0.1;
  return spec;
}

std::shared_ptr<arrow::RecordBatch> Rows(const RowSource& source, std::int64_t begin,
                                         std::int64_t count) {
  auto batch = source.Generate(begin, count);
  REQUIRE(batch.ok());
  REQUIRE((*batch)->Validate().ok());
  return *batch;
}

TEST_CASE("RowSource: every range gives the same rows") {
  for (DataKind kind :
       {DataKind::kClassification, DataKind::kBlobs, DataKind::kTable, DataKind::kGraph}) {
    auto source = RowSource::Make(Spec(kind, 1000));
    REQUIRE(source.ok());
    const auto whole = Rows(*source, 0, 1000);
    CHECK(whole->schema()->Equals(source->schema()));
    for (std::int64_t size : {1, 7, 333}) {
      for (std::int64_t begin = 0; begin < 1000; begin += size) {
        const std::int64_t count = std::min(size, 1000 - begin);
        REQUIRE(Rows(*source, begin, count)->Equals(*whole->Slice(begin, count)));
      }
    }
    CHECK(!Rows(*source, 0, 500)->Equals(*Rows(*source, 500, 500)));
    auto once = GenerateRows(source->spec(), 10, 5);
    REQUIRE(once.ok());
    CHECK((*once)->Equals(*whole->Slice(10, 5)));
  }
}

TEST_CASE("RowSource: columns of the kinds") {
  const auto columns = [](DataKind kind) {
    auto source = RowSource::Make(Spec(kind, 10));
    REQUIRE(source.ok());
    std::string text;
    for (const auto& field : source->schema()->fields()) text += field->ToString() + "; ";
    return text;
  };
  CHECK(columns(DataKind::kClassification) ==
        "label: int32; f0: double; f1: double; f2: double; f3: double; f4: double; ");
  CHECK(columns(DataKind::kBlobs) ==
        "f0: double; f1: double; f2: double; f3: double; f4: double; label: int32; ");
  CHECK(columns(DataKind::kTable) ==
        "id: int64; day: int32; store: int32; category: string; quantity: int32; price: double; "
        "m0: double; m1: double; m2: double; m3: double; m4: double; ");
  CHECK(columns(DataKind::kGraph) == "source: int32; target: int32; ");
}

TEST_CASE("RowSource: rows that are not there, and too many at once, are refused") {
  auto source = RowSource::Make(Spec(DataKind::kBlobs, kRowsMax));
  REQUIRE(source.ok());
  CHECK(source->Generate(kRowsMax - 2, 2).ok());
  for (auto [begin, count] : {std::pair<std::int64_t, std::int64_t>{-1, 1},
                              {0, -1},
                              {kRowsMax - 1, 2},
                              {kRowsMax + 1, 0},
                              {INT64_MAX, 1},
                              {1, INT64_MAX},
                              {0, kValuesMaxOfBatch}}) {
    CAPTURE(begin, count);
    CHECK(source->Generate(begin, count).status().code() == absl::StatusCode::kInvalidArgument);
  }
}

TEST_CASE("RowSource: counts are those of the columns") {
  auto source = RowSource::Make(Spec(DataKind::kClassification, 5000));
  REQUIRE(source.ok());
  RowCounts counts, more;
  auto batch = source->Generate(0, 3000, &counts);
  REQUIRE(batch.ok());
  std::int64_t empty = 0;
  for (const auto& column : (*batch)->columns()) empty += column->null_count();
  CHECK(counts.empty_cells == empty);
  CHECK(empty == Approx(3000 * 5 * 0.1).margin(150));
  CHECK(counts.labels[0] + counts.labels[1] == 3000);
  REQUIRE(source->Generate(3000, 2000, &more).ok());
  counts.Add(more);
  CHECK(counts.labels[0] + counts.labels[1] == 5000);
}

TEST_CASE("RowSource: a table's facts are what cleaning finds") {
  constexpr std::int64_t kRows = 50'000;
  auto source = RowSource::Make(Spec(DataKind::kTable, kRows));
  REQUIRE(source.ok());
  RowCounts counts;
  auto batch = source->Generate(0, kRows, &counts);
  REQUIRE(batch.ok());
  const auto& categories = static_cast<const arrow::StringArray&>(*(*batch)->column(3));
  const auto& quantities = static_cast<const arrow::Int32Array&>(*(*batch)->column(4));
  const auto& prices = static_cast<const arrow::DoubleArray&>(*(*batch)->column(5));
  const std::set<std::string> clean_names(kCategories.begin(), kCategories.end());
  std::set<std::string> seen;
  std::int64_t clean = 0, cents = 0, dirty = 0;
  for (std::int64_t row = 0; row < kRows; ++row) {
    const bool is_named = clean_names.count(categories.GetString(row)) == 1;
    const bool is_priced = prices.IsNull(row) || (prices.Value(row) > 0 && prices.Value(row) < 100);
    seen.insert(categories.GetString(row));
    dirty += !is_named || !is_priced;
    if (!is_named || !is_priced || prices.IsNull(row) || quantities.IsNull(row)) continue;
    ++clean;
    cents += std::llround(prices.Value(row) * 100) * quantities.Value(row);
  }
  CHECK(counts.table.dirty_rows == dirty);
  CHECK(counts.table.clean_rows == clean);
  CHECK(counts.table.clean_revenue_cents == cents);
  CHECK(static_cast<double>(dirty) / kRows == Approx(0.01 + 0.009).margin(0.003));
  CHECK(static_cast<double>(clean) / kRows == Approx(0.9 * 0.9 * 0.98).margin(0.01));
  CHECK(seen.size() == 36);  // twelve, each in three spellings
}

TEST_CASE("GenerateStores: every store of a table once") {
  auto stores = GenerateStores(Spec(DataKind::kTable, 10));
  REQUIRE(stores.ok());
  CHECK((*stores)->num_rows() == kStores);
  const auto& numbers = static_cast<const arrow::Int32Array&>(*(*stores)->column(0));
  for (std::int32_t i = 0; i < kStores; ++i) REQUIRE(numbers.Value(i) == i);
}

TEST_CASE("GraphRows: degrees fall off as promised, no edge is a loop") {
  constexpr std::int64_t kEdges = 200'000;
  const GenerateSpec spec = Spec(DataKind::kGraph, kEdges);
  const GraphRows rows(spec);
  std::vector<double> in(1000), out(1000);
  for (std::int64_t row = 0; row < kEdges; ++row) {
    const Edge edge = rows.Draw(row);
    REQUIRE((edge.source >= 0 && edge.source < 1000 && edge.target >= 0 && edge.target < 1000));
    REQUIRE(edge.source != edge.target);
    out[static_cast<size_t>(edge.source)] += 1.0 / kEdges;
    in[static_cast<size_t>(edge.target)] += 1.0 / kEdges;
  }
  std::set<std::int32_t> nodes;
  double in_sum = 0, out_sum = 0;
  for (std::uint64_t rank = 0; rank < 1000; ++rank) {
    const std::int32_t node = rows.NodeOfRank(rank);
    nodes.insert(node);
    in_sum += in[static_cast<size_t>(node)];
    out_sum += out[static_cast<size_t>(node)];
    // A loop that was avoided moves an edge by one rank, for the heaviest node 3 % of its edges.
    const double share = static_cast<double>(rank + 1) / 1000;
    CHECK(in_sum == Approx(std::cbrt(share)).margin(0.01));
    CHECK(out_sum == Approx(std::sqrt(share)).margin(0.005));
  }
  CHECK(nodes.size() == 1000);
}

TEST_CASE("GraphRows: the smallest and the largest graph") {
  for (std::int64_t nodes : {std::int64_t{2}, std::int64_t{3}, std::int64_t{INT32_MAX}}) {
    GenerateSpec spec = Spec(DataKind::kGraph, 1000);
    spec.features = nodes;
    REQUIRE(CheckSpec(spec).ok());
    const GraphRows rows(spec);
    for (std::int64_t row = 0; row < 1000; ++row) {
      const Edge edge = rows.Draw(row);
      REQUIRE((edge.source != edge.target && edge.source >= 0 && edge.source < nodes));
      REQUIRE((edge.target >= 0 && edge.target < nodes));
    }
  }
}

TEST_CASE("CheckSpec: an option that cannot be is named") {
  const auto refused = [](DataKind kind, auto change) {
    GenerateSpec spec = Spec(kind, 10);
    REQUIRE(CheckSpec(spec).ok());
    change(spec);
    const absl::Status status = CheckSpec(spec);
    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    CHECK(!RowSource::Make(spec).ok());
    return std::string(status.message());
  };
  using Catch::Matchers::Contains;
  const auto kClasses = DataKind::kClassification;
  for (std::int64_t rows : {std::int64_t{0}, std::int64_t{-5}, kRowsMax + 1}) {
    CHECK_THAT(refused(kClasses, [&](auto& spec) { spec.rows = rows; }), Contains("--num_samples"));
  }
  for (std::int64_t features : {std::int64_t{0}, std::int64_t{-1}, kFeaturesMax + 1}) {
    CHECK_THAT(refused(kClasses, [&](auto& spec) { spec.features = features; }),
               Contains("--num_features"));
  }
  CHECK_THAT(refused(kClasses, [](auto& spec) { spec.classes = 6; }), Contains("--num_features"));
  CHECK_THAT(refused(kClasses, [](auto& spec) { spec.classes = 1; }), Contains("--classes"));
  CHECK_THAT(refused(kClasses, [](auto& spec) { spec.noise = 0.5; }), Contains("--noise"));
  CHECK_THAT(refused(kClasses, [](auto& spec) { spec.separation = NAN; }),
             Contains("--separation"));
  for (double share : {1.0, -0.1, double{NAN}}) {
    CHECK_THAT(refused(kClasses, [&](auto& spec) { spec.missing = share; }), Contains("--missing"));
    CHECK_THAT(refused(DataKind::kTable, [&](auto& spec) { spec.noise = share; }),
               Contains("--noise"));
  }
  CHECK_THAT(refused(DataKind::kBlobs,
                     [](auto& spec) {
                       spec.features = 100'000;
                       spec.classes = 10'000;
                     }),
             Contains("--classes times --num_features"));
  CHECK_THAT(refused(DataKind::kGraph, [](auto& spec) { spec.features = 1; }),
             Contains("--num_nodes"));
  CHECK_THAT(refused(DataKind::kGraph, [](auto& spec) { spec.missing = 0.1; }),
             Contains("--missing"));
}

}  // namespace
}  // namespace rayx::bench
