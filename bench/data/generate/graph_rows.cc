#include "bench/data/generate/graph_rows.h"

#include <algorithm>
#include <numeric>

#include "base/prng.h"
#include "bench/data/generate/normal.h"

namespace rayx::bench {
namespace {

// What a random word is for. Part of the data: a changed number is other data.
enum Stream : std::uint64_t { kSource = 48, kTarget = 49, kMap = 50 };

std::uint64_t Rank(double power_of_unit, std::uint64_t nodes) {
  const auto rank = static_cast<std::uint64_t>(power_of_unit * static_cast<double>(nodes));
  return std::min(rank, nodes - 1);  // should the product have been rounded up
}

}  // namespace

GraphRows::GraphRows(const GenerateSpec& spec)
    : seed_(spec.seed), nodes_(static_cast<std::uint64_t>(spec.features)) {
  base::RandomStream words(seed_, 0, kMap);
  do {
    factor_ = 1 + words.NextBelow(nodes_ - 1);
  } while (std::gcd(factor_, nodes_) != 1);
  shift_ = words.NextBelow(nodes_);
}

std::int32_t GraphRows::NodeOfRank(std::uint64_t rank) const {
  return static_cast<std::int32_t>((rank * factor_ + shift_) % nodes_);
}

Edge GraphRows::Draw(std::int64_t row) const {
  const auto entity = static_cast<std::uint64_t>(row);
  const double u = UnitFromWord(base::RandomWord(seed_, entity, kSource, 0));
  const double v = UnitFromWord(base::RandomWord(seed_, entity, kTarget, 0));
  const std::uint64_t source = Rank(u * u, nodes_);
  std::uint64_t target = Rank(v * v * v, nodes_);
  if (target == source) target = (target + 1) % nodes_;
  return {NodeOfRank(source), NodeOfRank(target)};
}

}  // namespace rayx::bench
