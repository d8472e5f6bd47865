#include "bench/data/generate/generate_spec.h"

#include <array>
#include <limits>

namespace rayx::bench {
namespace {

constexpr std::array<const char*, 4> kKindNames = {"classification", "blobs", "table", "graph"};

absl::Status Refused(const std::string& what) {
  return absl::InvalidArgumentError(what);
}

absl::Status CheckShare(const char* option, double share, double below) {
  // Written so that a NaN is refused too.
  if (share >= 0 && share < below) return absl::OkStatus();
  return Refused(std::string(option) + " must be at least 0 and below " + std::to_string(below) +
                 ", not " + std::to_string(share));
}

absl::Status CheckRange(const std::string& option, std::int64_t value, std::int64_t least,
                        std::int64_t most) {
  if (value >= least && value <= most) return absl::OkStatus();
  return Refused(option + " must lie in " + std::to_string(least) + ".." + std::to_string(most) +
                 ", not " + std::to_string(value));
}

absl::Status CheckCentres(const GenerateSpec& spec) {
  const bool is_blobs = spec.kind == DataKind::kBlobs;
  if (auto bad = CheckRange("--classes", spec.classes, is_blobs ? 1 : 2, 10'000); !bad.ok()) {
    return bad;
  }
  if (spec.classes * spec.features > kCentreValuesMax) {
    return Refused("--classes times --num_features must not exceed " +
                   std::to_string(kCentreValuesMax));
  }
  if (!is_blobs && spec.classes > spec.features) {
    return Refused("--num_features must be at least --classes (" + std::to_string(spec.classes) +
                   "): the class centres are orthogonal");
  }
  if (!(spec.separation >= 0 && spec.separation <= 1e6)) {
    return Refused("--separation must lie in 0..1000000, not " + std::to_string(spec.separation));
  }
  // With more noise than this another class's label is likelier than the true one.
  const double classes = static_cast<double>(spec.classes);
  return CheckShare("--noise", spec.noise, is_blobs ? 1 : (classes - 1) / classes);
}

}  // namespace

GenerateSpec DefaultSpec(DataKind kind) {
  GenerateSpec spec;
  spec.kind = kind;
  switch (kind) {
    case DataKind::kClassification:
      spec.features = 20;
      spec.classes = 2;
      spec.separation = 3;
      break;
    case DataKind::kBlobs:
      spec.features = 2;
      spec.classes = 10;
      spec.separation = 10;
      break;
    case DataKind::kTable:
      spec.features = 4;
      spec.noise = 0.01;
      spec.missing = 0.02;
      break;
    case DataKind::kGraph:
      spec.features = 10'000;
      break;
  }
  return spec;
}

absl::Status CheckSpec(const GenerateSpec& spec) {
  const bool is_graph = spec.kind == DataKind::kGraph;
  const bool is_table = spec.kind == DataKind::kTable;
  if (auto bad = CheckRange("--num_samples", spec.rows, 1, kRowsMax); !bad.ok()) return bad;
  auto bad = is_graph ? CheckRange("--num_nodes", spec.features, 2,
                                   std::numeric_limits<std::int32_t>::max())
                      : CheckRange("--num_features", spec.features, is_table ? 0 : 1, kFeaturesMax);
  if (!bad.ok()) return bad;
  if (bad = CheckShare("--missing", spec.missing, 1); !bad.ok()) return bad;
  if (spec.kind == DataKind::kClassification || spec.kind == DataKind::kBlobs) {
    return CheckCentres(spec);
  }
  if (spec.classes != 0 || spec.separation != 0) {
    return Refused(std::string("a ") + KindName(spec.kind) + " has no classes");
  }
  if (is_graph && (spec.noise != 0 || spec.missing != 0)) {
    return Refused("a graph has neither --noise nor --missing");
  }
  return CheckShare("--noise", spec.noise, 1);
}

const char* KindName(DataKind kind) {
  return kKindNames[static_cast<size_t>(kind)];
}

absl::StatusOr<DataKind> ParseKind(const std::string& name) {
  for (size_t i = 0; i < kKindNames.size(); ++i) {
    if (name == kKindNames[i]) return static_cast<DataKind>(i);
  }
  return Refused("there is no kind of data named " + name);
}

std::string FolderName(const GenerateSpec& spec) {
  return std::string(KindName(spec.kind)) + "-" + std::to_string(spec.rows) + "x" +
         std::to_string(spec.features) + "-s" + std::to_string(spec.seed);
}

}  // namespace rayx::bench
