// A tree of tasks: partial results are joined four by four, until one is left. Here they are the
// means and covariances of the columns of a table that no process holds as a whole.
#include <rayx/rayx.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include "../flags.h"

constexpr std::size_t kColumns = 6;
constexpr std::size_t kFanIn = 4;  // parameters of JoinFour

// Of some rows. None is the neutral element: joined with it, moments stay what they are.
struct Moments {
  double rows = 0;
  std::vector<double> mean = std::vector<double>(kColumns);
  std::vector<double> products = std::vector<double>(kColumns * kColumns);  // of deviations, summed
};

// Stands for the rows of a file: each column is made of noise and of the column before.
std::vector<double> Row(std::mt19937& random) {
  std::vector<double> row;
  double before = 100;
  for (std::size_t i = 0; i < kColumns; ++i) {
    before = before / 2 + static_cast<double>(random() % 1000) / 100;
    row.push_back(before);
  }
  return row;
}

// One row more (Welford).
void Add(Moments& moments, const std::vector<double>& row) {
  moments.rows += 1;
  std::vector<double> deviation(kColumns);
  for (std::size_t i = 0; i < kColumns; ++i) {
    deviation[i] = row[i] - moments.mean[i];
    moments.mean[i] += deviation[i] / moments.rows;
  }
  for (std::size_t i = 0; i < kColumns; ++i) {
    for (std::size_t j = 0; j < kColumns; ++j) {
      moments.products[i * kColumns + j] += deviation[i] * (row[j] - moments.mean[j]);
    }
  }
}

Moments OfBlock(int block, int rows) {
  std::mt19937 random(static_cast<std::uint32_t>(block));
  Moments moments;
  for (int row = 0; row < rows; ++row) Add(moments, Row(random));
  return moments;
}

// The rows of both (Chan, Golub and LeVeque 1979).
Moments Join(const Moments& a, const Moments& b) {
  if (a.rows == 0) return b;
  if (b.rows == 0) return a;
  Moments both;
  both.rows = a.rows + b.rows;
  std::vector<double> apart(kColumns);
  for (std::size_t i = 0; i < kColumns; ++i) {
    apart[i] = b.mean[i] - a.mean[i];
    both.mean[i] = a.mean[i] + apart[i] * b.rows / both.rows;
  }
  for (std::size_t i = 0; i < kColumns; ++i) {
    for (std::size_t j = 0; j < kColumns; ++j) {
      const std::size_t at = i * kColumns + j;
      both.products[at] =
          a.products[at] + b.products[at] + apart[i] * apart[j] * a.rows * b.rows / both.rows;
    }
  }
  return both;
}

Moments JoinFour(const Moments& a, const Moments& b, const Moments& c, const Moments& d) {
  return Join(Join(a, b), Join(c, d));
}

// The whole tree is submitted at once. Parameters that are values, not references, make a task wait
// for them before it starts: it takes no CPU meanwhile.
rayx::ObjectRef<Moments> Reduce(std::vector<rayx::ObjectRef<Moments>> level) {
  const rayx::ObjectRef<Moments> none = rayx::Put(Moments());
  while (level.size() > 1) {
    std::vector<rayx::ObjectRef<Moments>> next;
    for (std::size_t i = 0; i < level.size(); i += kFanIn) {
      const auto part = [&](std::size_t k) { return i + k < level.size() ? level[i + k] : none; };
      next.push_back(rayx::Task<&JoinFour>().Remote(part(0), part(1), part(2), part(3)));
    }
    level = std::move(next);
  }
  return level.empty() ? none : level.front();
}

double Correlation(const Moments& moments, std::size_t i, std::size_t j) {
  const auto& products = moments.products;
  return products[i * kColumns + j] /
         std::sqrt(products[i * kColumns + i] * products[j * kColumns + j]);
}

// The largest relative difference of any number: sums in another order differ in the last bits.
double Difference(const Moments& a, const Moments& b) {
  const auto relative = [](double x, double y) { return std::abs(x - y) / (std::abs(y) + 1e-300); };
  double largest = relative(a.rows, b.rows);
  for (std::size_t i = 0; i < a.mean.size(); ++i) {
    largest = std::max(largest, relative(a.mean[i], b.mean[i]));
  }
  for (std::size_t i = 0; i < a.products.size(); ++i) {
    largest = std::max(largest, relative(a.products[i], b.products[i]));
  }
  return largest;
}

int main(int argc, char** argv) {
  int blocks = 50;
  int rows = 5000;
  const example::Flags flags("09_tree_reduce", {{"blocks", &blocks, "leaves of the tree"},
                                                {"rows", &rows, "rows of a block"}});
  if (flags.PrintHelp(argc, argv)) return 0;
  try {
    rayx::Init(&argc, argv);  // --local, --address ip:port, or nothing: a cluster of its own
    flags.Read(argc, argv);

    std::vector<rayx::ObjectRef<Moments>> leaves;
    for (int block = 0; block < blocks; ++block) {
      leaves.push_back(rayx::Task<&OfBlock>().Remote(block, rows));
    }
    const Moments moments = *Reduce(std::move(leaves)).Get();

    Moments direct;  // row after row, as one process would do it
    for (int block = 0; block < blocks; ++block) {
      std::mt19937 random(static_cast<std::uint32_t>(block));
      for (int row = 0; row < rows; ++row) Add(direct, Row(random));
    }
    const bool same = Difference(moments, direct) < 1e-9;
    std::printf("%.0f rows, means", moments.rows);
    for (const double mean : moments.mean) std::printf(" %.3f", mean);
    std::printf("\ncorrelations of the first column");
    for (std::size_t i = 0; i < kColumns; ++i) std::printf(" %.3f", Correlation(moments, 0, i));
    std::printf("\n%s computed without RayX\n", same ? "as" : "NOT as");
    std::fflush(stdout);
    rayx::Shutdown();
    return same ? 0 : 1;
  } catch (const std::exception& error) {
    std::cerr << argv[0] << ": " << error.what() << '\n';
    return 1;
  }
}
