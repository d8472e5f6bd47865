// Goal: rows taken from several blocks are those of the joined blocks.
#include "tests/unit/torch/torch_catch.h"

#include "rayx/torch/sampler.h"
#include "torch/row_set.h"

namespace rayx::torch {
namespace {

TensorBlock Block(std::int64_t rows) {
  return {::torch::randn({rows, 3, 2}), ::torch::randint(0, 9, {rows}, at::kLong)};
}

TEST_CASE("RowSet: takes what index_select takes from the joined blocks") {
  const std::vector<TensorBlock> blocks{Block(7), Block(0), Block(1), Block(50)};
  std::vector<at::Tensor> features, labels;
  for (const TensorBlock& block : blocks) {
    features.push_back(block.features);
    labels.push_back(block.labels);
  }
  const RowSet set(blocks);
  REQUIRE(set.rows() == 58);
  const at::Tensor order = RandomOrder(58, 3);
  const TensorBlock taken = set.Take(order);
  CHECK(at::equal(taken.features, at::cat(features).index_select(0, order)));
  CHECK(at::equal(taken.labels, at::cat(labels).index_select(0, order)));
  CHECK(set.Take(order.narrow(0, 0, 0)).features.sizes() == at::IntArrayRef({0, 3, 2}));
}

TEST_CASE("RowSet: blocks that do not fit together, and rows that are not there, are refused") {
  CHECK(RowSet().rows() == 0);
  CHECK_THROWS_AS(RowSet({{::torch::zeros({2, 2}), ::torch::zeros({3})}}), InvalidOption);
  CHECK_THROWS_AS(RowSet({{::torch::zeros({}), ::torch::zeros({})}}), InvalidOption);
  CHECK_THROWS_AS(RowSet({{::torch::zeros({2}), at::Tensor()}}), InvalidOption);
  CHECK_THROWS_AS(RowSet({Block(2), {::torch::zeros({2, 3, 2}), ::torch::zeros({2})}}),
                  InvalidOption);
  const RowSet set({Block(5)});
  CHECK_THROWS_AS(set.Take(::torch::tensor({5}, at::kLong)), c10::IndexError);
  CHECK_THROWS_AS(set.Take(::torch::tensor({-1}, at::kLong)), c10::IndexError);
}

}  // namespace
}  // namespace rayx::torch
