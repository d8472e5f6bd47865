#include "bench/data/generate/generate_data_set.h"

#include <arrow/type.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <mutex>
#include <thread>
#include <vector>

#include "bench/data/generate/generate_rows.h"
#include "bench/data/row_progress.h"
#include "bench/data/staging_folder.h"

namespace rayx::bench {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Raised when the same spec makes other rows than before.
constexpr int kGeneratorVersion = 1;

std::string PartName(std::int64_t part, PartFormat format) {
  char name[32];
  snprintf(name, sizeof name, "part-%05lld.", static_cast<long long>(part));
  return std::string(name) + FormatName(format);
}

// The parts of one data set, written by several threads.
class PartsWriter {
 public:
  PartsWriter(const RowSource& source, const GenerateOptions& options, std::string folder)
      : source_(source),
        options_(options),
        folder_(std::move(folder)),
        batch_rows_(std::clamp<std::int64_t>(kBatchValuesMax / source.schema()->num_fields(), 1,
                                             kBatchRowsMax)),
        files_(static_cast<size_t>((source.spec().rows - 1) / options.chunk_rows + 1)),
        progress_("generating " + FolderName(source.spec()), source.spec().rows, "rows") {}

  absl::Status Run() {
    const size_t count = std::min(files_.size(), static_cast<size_t>(options_.threads));
    std::vector<std::thread> threads;
    for (size_t i = 1; i < count; ++i) threads.emplace_back([this] { Work(); });
    Work();
    for (std::thread& thread : threads) thread.join();
    return status_;
  }

  std::vector<DataFile>& files() { return files_; }
  const RowCounts& counts() const { return counts_; }

 private:
  void Work() {
    for (size_t part; !failed_ && (part = next_++) < files_.size();) {
      RowCounts counts;
      const absl::Status status = WriteOne(part, counts);
      std::lock_guard<std::mutex> lock(mutex_);
      counts_.Add(counts);
      if (!status.ok() && status_.ok()) status_ = status;
      if (!status.ok()) failed_ = true;
    }
  }

  absl::Status WriteOne(size_t part, RowCounts& counts) {
    const std::int64_t begin = static_cast<std::int64_t>(part) * options_.chunk_rows;
    const std::int64_t end = begin + std::min(options_.chunk_rows, source_.spec().rows - begin);
    const std::string name = PartName(static_cast<std::int64_t>(part), options_.format);
    auto writer = OpenPart(options_.format, (fs::path(folder_) / name).string(), source_.schema());
    if (!writer.ok()) return writer.status();
    for (std::int64_t row = begin; row < end && !failed_; row += batch_rows_) {
      auto batch = source_.Generate(row, std::min(batch_rows_, end - row), &counts);
      if (!batch.ok()) return batch.status();
      if (auto written = (*writer)->Write(**batch); !written.ok()) return written;
      progress_.Add((*batch)->num_rows());
    }
    if (auto closed = (*writer)->Close(); !closed.ok()) return closed;
    auto file = DescribeFile(folder_, name, end - begin);
    if (file.ok()) files_[part] = *file;
    return file.status();
  }

  const RowSource& source_;
  const GenerateOptions& options_;
  const std::string folder_;
  const std::int64_t batch_rows_;
  std::atomic<size_t> next_ = 0;
  std::atomic<bool> failed_ = false;
  std::vector<DataFile> files_;  // an element belongs to who writes the part
  RowProgress progress_;
  std::mutex mutex_;
  absl::Status status_;  // under mutex_
  RowCounts counts_;     // under mutex_
};

json FeatureFacts(const FeatureRows& rows, const GenerateSpec& spec, const RowCounts& counts) {
  const BestAccuracy best = ComputeBestAccuracy(spec, rows.truth());
  json labels = json::object();
  for (const auto& [label, count] : counts.labels) labels[std::to_string(label)] = count;
  return {{"rows_by_label", labels},
          {"best_accuracy",
           {{"value", best.value}, {"standard_error", best.standard_error}, {"how", best.how}}},
          {"centres", rows.truth().centres},
          {"scales", rows.truth().scales},
          {"offsets", rows.truth().offsets}};
}

json Facts(const RowSource& source, const RowCounts& counts) {
  json facts = json::object();
  if (source.features() != nullptr) {
    facts = FeatureFacts(*source.features(), source.spec(), counts);
  }
  if (source.spec().kind == DataKind::kTable) {
    facts = {{"dirty_rows", counts.table.dirty_rows},
             {"clean_rows", counts.table.clean_rows},
             {"clean_revenue_cents", counts.table.clean_revenue_cents}};
  }
  facts["empty_cells"] = counts.empty_cells;
  return facts;
}

absl::Status CheckOptions(const GenerateSpec& spec, const GenerateOptions& options) {
  if (options.chunk_rows < 1) return absl::InvalidArgumentError("--chunk_rows must be at least 1");
  if (options.threads < 1 || options.threads > 1024) {
    return absl::InvalidArgumentError("--threads must lie in 1..1024");
  }
  if ((spec.rows - 1) / options.chunk_rows >= kPartsMax) {
    return absl::InvalidArgumentError("more than " + std::to_string(kPartsMax) +
                                      " files: raise --chunk_rows");
  }
  if (options.format == PartFormat::kLibsvm && (spec.classes == 0 || spec.missing > 0)) {
    return absl::InvalidArgumentError(
        "--format libsvm is for classification and blobs without --missing (in it an absent value "
        "means 0)");
  }
  return absl::OkStatus();
}

// "missing 0.1 instead of 0.2, ...": how the source of what is there differs.
std::string Differences(const json& there, const json& wanted) {
  std::string text;
  for (const auto& [key, value] : wanted.items()) {
    const json own = there.is_object() ? there.value(key, json()) : json();
    if (own == value) continue;
    text += (text.empty() ? "" : ", ") + key + " " + own.dump() + " instead of " + value.dump();
  }
  return text;
}

// True: the data set is there. False: its place is free. Else an error.
absl::StatusOr<bool> IsThere(const fs::path& folder, const json& source, DataMeta& meta) {
  std::error_code error;
  if (!fs::exists(fs::symlink_status(folder, error))) return false;
  const std::string hint = "; --force replaces it, --out names another place";
  auto read = ReadMeta(folder.string());
  if (!read.ok()) {
    return absl::AlreadyExistsError(folder.string() + " is there and is no whole data set (" +
                                    std::string(read.status().message()) + ")" + hint);
  }
  if (read->source != source) {
    return absl::AlreadyExistsError(folder.string() + " holds data made with other options (" +
                                    Differences(read->source, source) + ")" + hint);
  }
  if (auto bad = CheckFiles(folder.string(), *read, false); !bad.ok()) {
    return absl::AlreadyExistsError(folder.string() + " is damaged (" + std::string(bad.message()) +
                                    ")" + hint);
  }
  meta = *std::move(read);
  return true;
}

absl::Status Fill(const RowSource& source, const GenerateOptions& options, const fs::path& folder,
                  DataMeta& meta) {
  PartsWriter parts(source, options, folder.string());
  if (auto status = parts.Run(); !status.ok()) return status;
  meta.files = std::move(parts.files());
  if (source.spec().kind == DataKind::kTable) {
    auto stores = GenerateStores(source.spec());
    if (!stores.ok()) return stores.status();
    const std::string name = std::string("stores.") + FormatName(options.format);
    if (auto bad = WritePart(options.format, (folder / name).string(), **stores); !bad.ok()) {
      return bad;
    }
    auto file = DescribeFile(folder.string(), name, kStores);
    if (!file.ok()) return file.status();
    meta.files.push_back(*file);
  }
  meta.facts = Facts(source, parts.counts());
  return WriteMeta(folder.string(), meta);
}

}  // namespace

json SourceOf(const GenerateSpec& spec, const GenerateOptions& options) {
  return {{"generator", kGeneratorVersion},
          {"kind", KindName(spec.kind)},
          {"rows", spec.rows},
          {"features", spec.features},
          {"seed", spec.seed},
          {"classes", spec.classes},
          {"separation", spec.separation},
          {"noise", spec.noise},
          {"missing", spec.missing},
          {"format", FormatName(options.format)},
          {"chunk_rows", options.chunk_rows}};
}

absl::StatusOr<GenerateSpec> SpecOf(const json& source) {
  try {
    if (source.at("generator") != kGeneratorVersion) {
      return absl::DataLossError("made by another version of the generator");
    }
    auto kind = ParseKind(source.at("kind").get<std::string>());
    if (!kind.ok()) return kind.status();
    GenerateSpec spec;
    spec.kind = *kind;
    source.at("rows").get_to(spec.rows);
    source.at("features").get_to(spec.features);
    source.at("seed").get_to(spec.seed);
    source.at("classes").get_to(spec.classes);
    source.at("separation").get_to(spec.separation);
    source.at("noise").get_to(spec.noise);
    source.at("missing").get_to(spec.missing);
    if (auto bad = CheckSpec(spec); !bad.ok()) return bad;
    return spec;
  } catch (const json::exception& problem) {
    return absl::DataLossError(std::string("not the source of a made-up data set: ") +
                               problem.what());
  }
}

absl::StatusOr<GenerateResult> GenerateDataSet(const GenerateSpec& spec,
                                               const GenerateOptions& options,
                                               const std::string& out) {
  auto source = RowSource::Make(spec);
  if (!source.ok()) return source.status();
  if (auto bad = CheckOptions(spec, options); !bad.ok()) return bad;
  std::error_code error;
  const fs::path parent = fs::absolute(out, error);
  if (error || out.empty())
    return absl::InvalidArgumentError("--out: no folder named '" + out + "'");
  const fs::path folder = parent / FolderName(spec);
  GenerateResult result{folder.string(), false, {}};
  result.meta.source = SourceOf(spec, options);
  if (!options.force) {
    auto there = IsThere(folder, result.meta.source, result.meta);
    if (!there.ok()) return there.status();
    result.was_there = *there;
    if (*there) return result;
  }
  auto staging = StagingFolder::Make(parent);
  if (!staging.ok()) return staging.status();
  if (auto bad = Fill(*source, options, staging->done(), result.meta); !bad.ok()) return bad;
  const absl::Status published = staging->Publish(folder, options.force);
  if (published.ok()) return result;
  if (!absl::IsAlreadyExists(published)) return published;
  // Somebody else made it meanwhile.
  auto there = IsThere(folder, result.meta.source, result.meta);
  if (!there.ok()) return there.status();
  result.was_there = *there;
  return result;
}

}  // namespace rayx::bench
