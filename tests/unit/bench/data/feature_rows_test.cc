// Goal: what meta.json says about classes is true. Method: statistics of many rows, and a
// classifier that learns from rows alone (class means and variances, in closed form) reaches the
// accuracy that is said to be the best.
#include "bench/data/generate/feature_rows.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

namespace rayx::bench {
namespace {

GenerateSpec Spec(DataKind kind, std::int64_t features, std::int64_t classes) {
  GenerateSpec spec = DefaultSpec(kind);
  spec.rows = 200'000;
  spec.features = features;
  spec.classes = classes;
  REQUIRE(CheckSpec(spec).ok());
  return spec;
}

double Distance(const GroundTruth& truth, size_t a, size_t b, size_t width) {
  double sum = 0;
  for (size_t j = 0; j < width; ++j) {
    const double gap = truth.centres[a * width + j] - truth.centres[b * width + j];
    sum += gap * gap;
  }
  return std::sqrt(sum);
}

// Learns class means and the variance within the classes, a feature at a time, of the cells that
// are there; guesses the class whose mean is nearest in units of these variances.
class LearnedClassifier {
 public:
  LearnedClassifier(const FeatureRows& rows, std::int64_t count, size_t width, size_t classes)
      : width_(width), classes_(classes), means_(width * classes), variances_(width) {
    std::vector<double> cells(width * classes), squares(width * classes), features(width);
    for (std::int64_t row = 0; row < count; ++row) {
      const size_t first = static_cast<size_t>(rows.Draw(row, features.data()).written) * width;
      for (size_t j = 0; j < width; ++j) {
        if (std::isnan(features[j])) continue;
        cells[first + j] += 1;
        means_[first + j] += features[j];
        squares[first + j] += features[j] * features[j];
      }
    }
    for (size_t i = 0; i < means_.size(); ++i) {
      means_[i] /= cells[i];
      variances_[i % width] += (squares[i] - cells[i] * means_[i] * means_[i]) / (cells[i] * 2);
    }
  }

  std::int32_t Guess(const std::vector<double>& features) const {
    size_t best = 0;
    double least = INFINITY;
    for (size_t k = 0; k < classes_; ++k) {
      double distance = 0;
      for (size_t j = 0; j < width_; ++j) {
        if (std::isnan(features[j])) continue;
        const double gap = features[j] - means_[k * width_ + j];
        distance += gap * gap / variances_[j];
      }
      if (distance < least) best = k;
      least = std::min(least, distance);
    }
    return static_cast<std::int32_t>(best);
  }

 private:
  const size_t width_, classes_;
  std::vector<double> means_, variances_;
};

double AccuracyOfLearning(const GenerateSpec& spec) {
  const FeatureRows rows(spec);
  const size_t width = static_cast<size_t>(spec.features);
  const LearnedClassifier learned(rows, spec.rows / 2, width, static_cast<size_t>(spec.classes));
  std::vector<double> features(width);
  std::int64_t hits = 0;
  for (std::int64_t row = spec.rows / 2; row < spec.rows; ++row) {
    const std::int32_t label = rows.Draw(row, features.data()).written;
    hits += learned.Guess(features) == label;
  }
  return static_cast<double>(hits) / static_cast<double>(spec.rows / 2);
}

TEST_CASE("MakeGroundTruth: class centres are equally far from each other") {
  const GenerateSpec spec = Spec(DataKind::kClassification, 7, 7);
  const GroundTruth truth = MakeGroundTruth(spec);
  for (size_t a = 0; a < 7; ++a) {
    for (size_t b = 0; b < a; ++b) CHECK(Distance(truth, a, b, 7) == Approx(spec.separation));
  }
}

TEST_CASE("FeatureRows: classes are equally frequent, noise and holes as frequent as asked") {
  GenerateSpec spec = Spec(DataKind::kClassification, 5, 4);
  spec.noise = 0.1;
  spec.missing = 0.05;
  const FeatureRows rows(spec);
  std::vector<double> features(5), counts(4);
  double changed = 0, empty = 0;
  for (std::int64_t row = 0; row < spec.rows; ++row) {
    const auto label = rows.Draw(row, features.data());
    REQUIRE((label.written >= 0 && label.written < 4));
    counts[static_cast<size_t>(label.written)] += 1;
    changed += label.written != label.actual;
    for (double value : features) empty += std::isnan(value);
  }
  const double n = static_cast<double>(spec.rows);
  const auto is_near = [&](double count, double of, double share) {
    return std::fabs(count / of - share) < 4 * std::sqrt(share * (1 - share) / of);
  };
  for (double count : counts) CHECK(is_near(count, n, 0.25));
  CHECK(is_near(changed, n, 0.1));
  CHECK(is_near(empty, 5 * n, 0.05));
}

TEST_CASE("ComputeBestAccuracy: two classes follow the normal distribution function") {
  GenerateSpec spec = Spec(DataKind::kClassification, 20, 2);
  spec.separation = 2 * 1.6448536269514722;  // the 95th percentile
  BestAccuracy best = ComputeBestAccuracy(spec, MakeGroundTruth(spec));
  CHECK(best.value == Approx(0.95).epsilon(1e-12));
  CHECK(best.standard_error == 0);
  spec.noise = 0.2;
  best = ComputeBestAccuracy(spec, MakeGroundTruth(spec));
  CHECK(best.value == Approx(0.8 * 0.95 + 0.2 * 0.05).epsilon(1e-12));
  spec.separation = 0;
  spec.noise = 0;
  CHECK(ComputeBestAccuracy(spec, MakeGroundTruth(spec)).value == Approx(0.5));
  spec = Spec(DataKind::kClassification, 20, 8);
  spec.separation = 0;
  CHECK(ComputeBestAccuracy(spec, MakeGroundTruth(spec)).value == Approx(1.0 / 8));
}

TEST_CASE("ComputeBestAccuracy: what a classifier that learns can reach, and no more") {
  struct Case {
    std::int64_t features, classes;
    double noise, missing;
  };
  for (const Case& c : {Case{10, 2, 0, 0}, Case{10, 2, 0.1, 0}, Case{12, 6, 0, 0},
                        Case{12, 6, 0.1, 0}, Case{10, 2, 0, 0.2}, Case{8, 4, 0.05, 0.1}}) {
    GenerateSpec spec = Spec(DataKind::kClassification, c.features, c.classes);
    spec.noise = c.noise;
    spec.missing = c.missing;
    const BestAccuracy best = ComputeBestAccuracy(spec, MakeGroundTruth(spec));
    const double reached = AccuracyOfLearning(spec);
    CAPTURE(c.features, c.classes, c.noise, c.missing, best.value, best.standard_error, reached);
    CHECK(std::fabs(reached - best.value) < 0.005);
    CHECK((best.standard_error == 0) == (c.missing == 0));
  }
}

TEST_CASE("ComputeBestAccuracy: blobs") {
  GenerateSpec spec = Spec(DataKind::kBlobs, 2, 10);
  spec.separation = 2;
  const BestAccuracy best = ComputeBestAccuracy(spec, MakeGroundTruth(spec));
  CHECK(best.value > 0.3);
  CHECK(best.value < 0.95);
  CHECK(std::fabs(AccuracyOfLearning(spec) - best.value) < 0.005);
}

TEST_CASE("FeatureRows: blobs' noise lies in the box and carries no label") {
  GenerateSpec spec = Spec(DataKind::kBlobs, 3, 4);
  spec.noise = 0.5;
  const FeatureRows rows(spec);
  double features[3], outliers = 0;
  for (std::int64_t row = 0; row < 10'000; ++row) {
    const auto label = rows.Draw(row, features);
    REQUIRE(label.written == label.actual);
    if (label.written >= 0) continue;
    outliers += 1;
    for (double value : features) REQUIRE(std::fabs(value) <= 3 * spec.separation);
  }
  CHECK(outliers / 10'000 == Approx(0.5).margin(0.02));
}

TEST_CASE("FeatureRows: another seed is another truth and other rows") {
  GenerateSpec spec = Spec(DataKind::kClassification, 3, 2);
  const FeatureRows one(spec);
  spec.seed = 2;
  const FeatureRows two(spec);
  CHECK(one.truth().centres != two.truth().centres);
  std::vector<double> a(3), b(3);
  one.Draw(0, a.data());
  two.Draw(0, b.data());
  CHECK(a != b);
}

}  // namespace
}  // namespace rayx::bench
