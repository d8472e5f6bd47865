#include "bench/data/generate/feature_rows.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/prng.h"
#include "bench/data/generate/normal.h"

namespace rayx::bench {
namespace {

// What a random word is for. Part of the data: a changed number is other data.
enum Stream : std::uint64_t {
  kClass = 1,
  kNoise = 2,
  kValue = 3,
  kMissing = 4,
  kCentre = 16,
  kScale = 17,
  kOffset = 18,
  kFreshRows = 19,
};

double Dot(const double* a, const double* b, size_t count) {
  double sum = 0;
  for (size_t i = 0; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

// Makes row `k` of `rows` orthogonal to those before it and of length one. Twice, because one pass
// of Gram and Schmidt leaves rounding errors of the size of what it took away.
void Orthonormalize(std::vector<double>& rows, size_t k, size_t width) {
  double* own = rows.data() + k * width;
  for (int pass = 0; pass < 2; ++pass) {
    for (size_t other = 0; other < k; ++other) {
      const double* before = rows.data() + other * width;
      const double share = Dot(own, before, width);
      for (size_t i = 0; i < width; ++i) own[i] -= share * before[i];
    }
    const double length = std::sqrt(Dot(own, own, width));
    for (size_t i = 0; i < width; ++i) own[i] /= length;
  }
}

// P(the true class has the highest score) for `classes` orthogonal centres at distance `separation`
// from each other: the scores are independent, normal of deviation one, and that of the true class
// lies separation / sqrt(2) above the others. The integral of phi(t) Phi(t + d)^(classes - 1), by
// Simpson's rule; for two classes it is Phi(separation / 2).
double OrthogonalAccuracy(std::int64_t classes, double separation) {
  if (classes == 2) return NormalBelow(separation / 2);
  constexpr int kIntervals = 4000;
  constexpr double kEnd = 10;
  constexpr double kStep = 2 * kEnd / kIntervals;
  double sum = 0;
  for (int i = 0; i <= kIntervals; ++i) {
    const double t = -kEnd + i * kStep;
    const double weight = i == 0 || i == kIntervals ? 1 : i % 2 == 1 ? 4 : 2;
    sum += weight * std::exp(-t * t / 2) *
           std::pow(NormalBelow(t + separation / std::sqrt(2.0)), static_cast<double>(classes - 1));
  }
  return sum * kStep / 3 / std::sqrt(2 * std::acos(-1.0));
}

// The share of fresh rows whose class the nearest centre names.
BestAccuracy SampleAccuracy(GenerateSpec spec, const GroundTruth& truth) {
  constexpr std::int64_t kWork = 200'000'000;
  const std::int64_t rows =
      std::clamp<std::int64_t>(kWork / (spec.classes * spec.features), 2000, 200'000);
  spec.noise = 0;
  const FeatureRows fresh(spec, truth, base::RandomWord(spec.seed, 0, kFreshRows, 0));
  std::vector<double> features(static_cast<size_t>(spec.features));
  std::int64_t hits = 0;
  for (std::int64_t row = 0; row < rows; ++row) {
    const auto label = fresh.Draw(row, features.data());
    hits += fresh.NearestCentre(features.data()) == label.actual;
  }
  const double count = static_cast<double>(rows);
  const double share = static_cast<double>(hits) / count;
  return {share, std::sqrt(share * (1 - share) / count), ""};
}

}  // namespace

GroundTruth MakeGroundTruth(const GenerateSpec& spec) {
  const size_t width = static_cast<size_t>(spec.features);
  const size_t classes = static_cast<size_t>(spec.classes);
  const bool is_blobs = spec.kind == DataKind::kBlobs;
  GroundTruth truth{std::vector<double>(classes * width), std::vector<double>(width, 1.0),
                    std::vector<double>(width, 0.0)};
  for (size_t k = 0; k < classes; ++k) {
    for (size_t j = 0; j < width; ++j) {
      truth.centres[k * width + j] = NormalFromWord(base::RandomWord(spec.seed, k, kCentre, j));
    }
    if (!is_blobs) Orthonormalize(truth.centres, k, width);
  }
  const double length = is_blobs ? spec.separation : spec.separation / std::sqrt(2.0);
  for (double& coordinate : truth.centres) coordinate *= length;
  for (size_t j = 0; j < width && !is_blobs; ++j) {
    // Units from a tenth to a hundred, and means that dwarf them: data that wants standardising.
    const double u = UnitFromWord(base::RandomWord(spec.seed, j, kScale, 0));
    truth.scales[j] = 0.1 + 99.9 * u * u * u;
    truth.offsets[j] = 100 * (2 * UnitFromWord(base::RandomWord(spec.seed, j, kOffset, 0)) - 1);
  }
  return truth;
}

FeatureRows::FeatureRows(const GenerateSpec& spec, GroundTruth truth, std::uint64_t row_seed)
    : spec_(spec), truth_(std::move(truth)), row_seed_(row_seed) {}

FeatureRows::Label FeatureRows::DrawLabel(std::uint64_t row) const {
  const auto classes = static_cast<std::uint64_t>(spec_.classes);
  const auto actual = static_cast<std::int32_t>(
      base::ToBelow(base::RandomWord(row_seed_, row, kClass, 0), classes));
  if (spec_.noise == 0 ||
      UnitFromWord(base::RandomWord(row_seed_, row, kNoise, 0)) >= spec_.noise) {
    return {actual, actual};
  }
  if (spec_.kind == DataKind::kBlobs) return {-1, -1};
  const auto other = static_cast<std::int32_t>(
      base::ToBelow(base::RandomWord(row_seed_, row, kNoise, 1), classes - 1));
  return {other + (other >= actual ? 1 : 0), actual};
}

FeatureRows::Label FeatureRows::Draw(std::int64_t row, double* features) const {
  const auto entity = static_cast<std::uint64_t>(row);
  const size_t width = static_cast<size_t>(spec_.features);
  const Label label = DrawLabel(entity);
  const double* centre = label.actual < 0
                             ? nullptr
                             : truth_.centres.data() + static_cast<size_t>(label.actual) * width;
  for (size_t j = 0; j < width; ++j) {
    const std::uint64_t word = base::RandomWord(row_seed_, entity, kValue, j);
    const double z = centre == nullptr ? 3 * spec_.separation * (2 * UnitFromWord(word) - 1)
                                       : centre[j] + NormalFromWord(word);
    features[j] = truth_.offsets[j] + truth_.scales[j] * z;
    if (spec_.missing > 0 &&
        UnitFromWord(base::RandomWord(row_seed_, entity, kMissing, j)) < spec_.missing) {
      features[j] = std::numeric_limits<double>::quiet_NaN();
    }
  }
  return label;
}

std::int32_t FeatureRows::NearestCentre(const double* features) const {
  const size_t width = static_cast<size_t>(spec_.features);
  std::int32_t best = 0;
  double least = std::numeric_limits<double>::infinity();
  for (std::int32_t k = 0; k < spec_.classes; ++k) {
    const double* centre = truth_.centres.data() + static_cast<size_t>(k) * width;
    double distance = 0;
    for (size_t j = 0; j < width; ++j) {
      if (std::isnan(features[j])) continue;
      const double gap = (features[j] - truth_.offsets[j]) / truth_.scales[j] - centre[j];
      distance += gap * gap;
    }
    if (distance < least) {
      least = distance;
      best = k;
    }
  }
  return best;
}

BestAccuracy ComputeBestAccuracy(const GenerateSpec& spec, const GroundTruth& truth) {
  if (spec.kind == DataKind::kBlobs) {
    BestAccuracy sampled = SampleAccuracy(spec, truth);
    sampled.how = "share of fresh rows around a centre that are nearest to that centre";
    return sampled;
  }
  BestAccuracy best;
  if (spec.missing == 0) {
    best = {OrthogonalAccuracy(spec.classes, spec.separation), 0,
            "exact: integral of phi(t) Phi(t + separation / sqrt 2)^(classes - 1), then the noise"};
  } else {
    best = SampleAccuracy(spec, truth);
    best.how = "nearest true centre by the cells that are there, on fresh rows, then the noise";
  }
  // A row whose label was changed is hit when the guess was wrong in just that way.
  const double others = static_cast<double>(spec.classes - 1);
  best.value = (1 - spec.noise) * best.value + spec.noise * (1 - best.value) / others;
  best.standard_error *= 1 - spec.noise - spec.noise / others;
  return best;
}

}  // namespace rayx::bench
