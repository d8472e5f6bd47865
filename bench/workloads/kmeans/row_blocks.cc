#include "bench/workloads/kmeans/row_blocks.h"

#include <limits>
#include <stdexcept>

#include "bench/workloads/table/parquet_rows.h"

namespace rayx::bench {

std::unique_ptr<RowBlocks> RowBlocks::Create(const RowPlan& plan) {
  return std::make_unique<RowBlocks>(plan);
}

RowBlocks::RowBlocks(const RowPlan& plan) : plan_(plan) {
  if (plan.columns.empty() || plan.block_rows < 1 || plan.workers < 1 || plan.worker < 0 ||
      plan.worker >= plan.workers) {
    throw std::invalid_argument("a plan of rows without columns, rows or workers");
  }
}

Range RowBlocks::blocks() const {
  return Share(BlockCount(table_rows_, plan_.block_rows), plan_.worker, plan_.workers);
}

Range RowBlocks::rows() const {
  const Range own = blocks();
  return {std::min(table_rows_, own.begin * plan_.block_rows),
          std::min(table_rows_, own.end * plan_.block_rows)};
}

int64_t RowBlocks::Load() {
  const ParquetRows table(ParquetFiles(plan_.folder));
  table_rows_ = table.rows();
  blocks_.assign(static_cast<size_t>(blocks().size()), {});
  nearest_.clear();
  for (const std::string& column : plan_.columns) {
    const Range own = rows();
    const std::vector<double> values = table.Doubles(column, own.begin, own.end);
    int64_t block = blocks().begin;
    for (Block& target : blocks_) {
      const Range range = BlockRange(block++, table_rows_, plan_.block_rows);
      target.columns.emplace_back(values.begin() + (range.begin - own.begin),
                                  values.begin() + (range.end - own.begin));
    }
  }
  for (const Block& block : blocks_) {
    nearest_.emplace_back(block.rows(), std::numeric_limits<double>::infinity());
  }
  labels_.assign(blocks_.size(), {});
  return table_rows_;
}

std::vector<double> RowBlocks::AddCentre(const Points& centre) {
  if (centre.size() != plan_.columns.size()) throw std::invalid_argument("not one point");
  std::vector<double> sums;
  for (size_t b = 0; b < blocks_.size(); ++b) {
    sums.push_back(LowerNearest(blocks_[b], centre, nearest_[b]));
  }
  return sums;
}

Points RowBlocks::Row(size_t block, size_t place) const {
  Points point;
  for (const auto& column : blocks_.at(block).columns) point.push_back(column.at(place));
  return point;
}

Points RowBlocks::RowAtSum(int64_t block, double target) const {
  const auto own = static_cast<size_t>(block - blocks().begin);
  return Row(own, PlaceOf(nearest_.at(own), target));
}

Points RowBlocks::RowAt(int64_t row) const {
  return Row(static_cast<size_t>(row / plan_.block_rows - blocks().begin),
             static_cast<size_t>(row % plan_.block_rows));
}

std::vector<double> RowBlocks::AssignAll(const Points& centres) {
  const size_t columns = plan_.columns.size();
  if (centres.empty() || centres.size() % columns != 0) throw std::invalid_argument("no points");
  const size_t size = SumsSize(centres.size() / columns, columns);
  std::vector<double> sums(size * blocks_.size(), 0.0);
  for (size_t b = 0; b < blocks_.size(); ++b) {
    Assign(blocks_[b], centres, labels_[b], sums.data() + b * size);
  }
  return sums;
}

std::vector<int32_t> RowBlocks::Labels() const {
  std::vector<int32_t> labels;
  for (const auto& block : labels_) labels.insert(labels.end(), block.begin(), block.end());
  return labels;
}

}  // namespace rayx::bench
