#include "bench/workloads/classification/table_blocks.h"

#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "bench/workloads/arm/arm_program.h"
#include "bench/workloads/arm/uniform_number.h"
#include "bench/workloads/table/parquet_rows.h"

namespace rayx::bench {
namespace {

std::vector<std::string> FeatureNames() {
  std::vector<std::string> names;
  for (int64_t column = 0; column < kFeatures; ++column) {
    names.push_back("f" + std::to_string(column));
  }
  return names;
}

at::Tensor Labels(const ParquetRows& table, const std::string& folder, Range rows) {
  const std::vector<int32_t> values = table.Integers("label", rows.begin, rows.end);
  at::Tensor labels = at::empty({rows.size()}, at::kLong);
  auto* label = labels.mutable_data_ptr<int64_t>();
  for (const int32_t value : values) {
    if (value < 0 || value >= kClasses) {
      throw std::runtime_error(folder + ": label " + std::to_string(value) +
                               " is not one of 0 to " + std::to_string(kClasses - 1));
    }
    *label++ = value;
  }
  return labels;
}

// The chosen rows of columns.
LabelledRows Take(const LabelledRows& from, const std::vector<int64_t>& rows) {
  const auto count = static_cast<int64_t>(rows.size());
  LabelledRows taken{at::empty({kFeatures, count}, at::kDouble), at::empty({count}, at::kLong)};
  const auto* source = from.features.const_data_ptr<double>();
  auto* target = taken.features.mutable_data_ptr<double>();
  for (int64_t column = 0; column < kFeatures; ++column) {
    for (const int64_t row : rows) *target++ = source[row];
    source += from.features.size(1);
  }
  const auto* label = from.labels.const_data_ptr<int64_t>();
  auto* taken_label = taken.labels.mutable_data_ptr<int64_t>();
  for (const int64_t row : rows) *taken_label++ = label[row];
  return taken;
}

std::vector<double> ToVector(const at::Tensor& tensor) {
  const auto* numbers = tensor.const_data_ptr<double>();
  return {numbers, numbers + tensor.numel()};
}

// A number for each column, beside columns.
at::Tensor Beside(const std::vector<double>& numbers) {
  return ::torch::tensor(numbers, at::kDouble).unsqueeze(1);
}

}  // namespace

TablePlan PlanOfTable(const std::string& folder, int64_t block_rows) {
  TablePlan plan = {folder, block_rows, ParquetRows(ParquetFiles(folder)).rows()};
  if (plan.rows < 1) throw std::runtime_error(folder + ": a table without rows");
  return plan;
}

LabelledRows ReadBlock(const TablePlan& plan, int64_t block) {
  const ParquetRows table(ParquetFiles(plan.folder));
  const Range rows = BlockRange(block, plan.rows, plan.block_rows);
  LabelledRows read{at::empty({kFeatures, rows.size()}, at::kDouble),
                    Labels(table, plan.folder, rows)};
  table.DoublesWithGaps(FeatureNames(), rows.begin, rows.end,
                        read.features.mutable_data_ptr<double>());
  return read;
}

at::Tensor CompleteRows(const LabelledRows& block) {
  const int64_t rows = block.features.size(1);
  at::Tensor complete = at::ones({rows}, at::kBool);
  auto* good = complete.mutable_data_ptr<bool>();
  const auto* cell = block.features.const_data_ptr<double>();
  for (int64_t column = 0; column < kFeatures; ++column) {
    for (int64_t row = 0; row < rows; ++row) good[row] = good[row] & std::isfinite(*cell++);
  }
  return complete;
}

SplitRows Split(const TablePlan& plan, int64_t block, const LabelledRows& rows,
                const at::Tensor& complete, uint64_t seed) {
  const auto* good = complete.const_data_ptr<bool>();
  std::vector<int64_t> train, test;
  for (int64_t row = 0; row < complete.size(0); ++row) {
    if (!good[row]) continue;
    const auto number = static_cast<uint64_t>(block * plan.block_rows + row);
    (UniformNumber(seed, number) < kTestShare ? test : train).push_back(row);
  }
  return {Take(rows, train), Take(rows, test)};
}

Moments MomentsOf(const LabelledRows& train) {
  return {train.labels.size(0), ToVector(train.features.sum(1)),
          ToVector(train.features.square().sum(1))};
}

Scale ScaleOf(const std::vector<Moments>& blocks) {
  Scale scale = {std::vector<double>(kFeatures, 0.0), std::vector<double>(kFeatures, 0.0)};
  int64_t rows = 0;
  for (const Moments& block : blocks) rows += block.rows;
  for (size_t column = 0; column < scale.mean.size(); ++column) {
    double sum = 0, squares = 0;
    for (const Moments& block : blocks) {
      sum += block.sums.at(column);
      squares += block.squares.at(column);
    }
    const double mean = sum / static_cast<double>(rows);
    const double deviation =
        std::sqrt(std::max(0.0, squares / static_cast<double>(rows) - mean * mean));
    scale.mean[column] = mean;
    scale.deviation[column] = deviation == 0 ? 1 : deviation;
  }
  return scale;
}

LabelledRows Standardise(const LabelledRows& columns, const Scale& scale) {
  const at::Tensor values =
      columns.features.sub(Beside(scale.mean)).div_(Beside(scale.deviation)).to(at::kFloat);
  return {values.t().contiguous(), columns.labels};
}

std::string DigestOf(const LabelledRows& rows) {
  Sha256 digest;
  for (const at::Tensor& tensor : {rows.features.contiguous(), rows.labels.contiguous()}) {
    digest.Add(tensor.const_data_ptr(), tensor.nbytes());
  }
  return digest.Binary();
}

double BestAccuracy(const std::string& folder) {
  const std::string path = folder + "/meta.json";
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  try {
    return nlohmann::json::parse(file).at("facts").at("best_accuracy").at("value").get<double>();
  } catch (const nlohmann::json::exception& error) {
    throw std::runtime_error(path + ": no best accuracy: " + error.what());
  }
}

}  // namespace rayx::bench
