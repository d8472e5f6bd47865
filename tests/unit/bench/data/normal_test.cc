// Goal: normal numbers are right and never change. Method: the inverse is checked against the C
// library's erfc, moments against their values, some numbers against their bits, which another
// program with the same arithmetic (in Python) gave.
#include "bench/data/generate/normal.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "base/prng.h"

namespace rayx::bench {
namespace {

TEST_CASE("NormalQuantile: undoes the distribution function, in the tails too") {
  for (double about = 0x1p-53; about < 0.5; about *= 1.37) {
    const double p = (std::floor(about * 0x1p52) + 0.5) * 0x1p-52;  // as UnitFromWord gives it
    const double x = NormalQuantile(p);
    CAPTURE(p, x);
    CHECK(std::fabs(NormalBelow(x) / p - 1) < 1e-12);
    CHECK(NormalQuantile(1 - p) == -x);
  }
  CHECK(NormalQuantile(0.5) == 0);
}

TEST_CASE("UnitFromWord: stays inside the open interval") {
  CHECK(UnitFromWord(0) > 0);
  CHECK(UnitFromWord(UINT64_MAX) < 1);
  CHECK(1 - UnitFromWord(UINT64_MAX) == UnitFromWord(0));
}

TEST_CASE("NormalFromWord: moments of a normal number") {
  constexpr int kCount = 200'000;
  double sums[5] = {};
  for (std::uint64_t row = 0; row < kCount; ++row) {
    const double x = NormalFromWord(base::RandomWord(1, row, 3, 0));
    double power = 1;
    for (double& sum : sums) {
      sum += power;
      power *= x;
    }
  }
  // Four standard errors each.
  const double root = std::sqrt(double{kCount});
  CHECK(std::fabs(sums[1] / kCount) < 4 / root);
  CHECK(std::fabs(sums[2] / kCount - 1) < 4 * std::sqrt(2.0) / root);
  CHECK(std::fabs(sums[3] / kCount) < 4 * std::sqrt(15.0) / root);
  CHECK(std::fabs(sums[4] / kCount - 3) < 4 * std::sqrt(96.0) / root);
}

TEST_CASE("NormalQuantile: the same bits everywhere") {
  CHECK(NormalQuantile(0.3) == -0x1.0c7e39582c5fap-1);
  CHECK(NormalQuantile(0.01) == -0x1.29c5c4630ff0ep+1);
  CHECK(NormalQuantile(1e-15) == -0x1.fc3f007789667p+2);
  CHECK(NormalFromWord(base::RandomWord(1, 0, 3, 0)) == 0x1.38a227a1bb335p+0);
  CHECK(NormalFromWord(base::RandomWord(1, 1, 3, 0)) == 0x1.16aceb1809bbdp-3);
  CHECK(NormalFromWord(base::RandomWord(1, 2, 3, 0)) == -0x1.76a8b3dce0529p+0);
}

}  // namespace
}  // namespace rayx::bench
