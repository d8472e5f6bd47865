#include "bench/data/meta_file.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "bench/data/file_hash.h"

namespace rayx::bench {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int kSchema = 1;

absl::Status Damaged(const fs::path& path, const std::string& what) {
  return absl::DataLossError(path.string() + ": " + what);
}

// Throws json's exceptions on anything that is missing or of another type.
DataMeta FromJson(const json& value) {
  DataMeta meta;
  meta.source = value.at("source");
  meta.facts = value.at("facts");
  for (const json& file : value.at("files")) {
    meta.files.push_back({file.at("name").get<std::string>(), file.at("rows").get<std::int64_t>(),
                          file.at("bytes").get<std::uint64_t>(),
                          file.at("sha256").get<std::string>()});
  }
  return meta;
}

// A name that stays in the folder.
bool IsPlainName(const std::string& name) {
  return !name.empty() && name[0] != '.' && name.find('/') == std::string::npos &&
         name.find('\0') == std::string::npos;
}

}  // namespace

absl::StatusOr<DataFile> DescribeFile(const std::string& folder, const std::string& name,
                                      std::int64_t rows) {
  const fs::path path = fs::path(folder) / name;
  std::error_code error;
  const std::uint64_t bytes = fs::file_size(path, error);
  if (error) return absl::NotFoundError(path.string() + ": " + error.message());
  auto hash = FileSha256(path.string());
  if (!hash.ok()) return hash.status();
  return DataFile{name, rows, bytes, *hash};
}

absl::Status WriteMeta(const std::string& folder, const DataMeta& meta) {
  json files = json::array();
  for (const DataFile& file : meta.files) {
    files.push_back(
        {{"name", file.name}, {"rows", file.rows}, {"bytes", file.bytes}, {"sha256", file.sha256}});
  }
  const json value = {
      {"schema", kSchema}, {"source", meta.source}, {"files", files}, {"facts", meta.facts}};
  const fs::path path = fs::path(folder) / "meta.json";
  std::ofstream out(path, std::ios::binary);
  out << value.dump(1) << '\n';
  out.flush();
  if (out) return absl::OkStatus();
  return absl::UnavailableError("cannot write " + path.string() + ": " + strerror(errno));
}

absl::StatusOr<DataMeta> ReadMeta(const std::string& folder) {
  const fs::path path = fs::path(folder) / "meta.json";
  std::error_code error;
  const std::uint64_t bytes = fs::file_size(path, error);
  if (error) return absl::NotFoundError(path.string() + ": " + error.message());
  if (bytes > kMetaBytesMax) return Damaged(path, "is larger than any meta.json");
  std::ifstream in(path, std::ios::binary);
  if (!in) return absl::NotFoundError(path.string() + ": " + strerror(errno));
  try {
    const json value = json::parse(in);
    if (value.at("schema") != kSchema) return Damaged(path, "is of another version");
    DataMeta meta = FromJson(value);
    for (const DataFile& file : meta.files) {
      if (!IsPlainName(file.name)) return Damaged(path, "names the file " + file.name);
    }
    return meta;
  } catch (const json::exception& problem) {
    return Damaged(path, problem.what());
  }
}

absl::Status CheckFiles(const std::string& folder, const DataMeta& meta, bool with_hashes) {
  for (const DataFile& file : meta.files) {
    const fs::path path = fs::path(folder) / file.name;
    std::error_code error;
    const std::uint64_t bytes = fs::file_size(path, error);
    if (error) return absl::NotFoundError(path.string() + ": " + error.message());
    if (bytes != file.bytes) {
      return Damaged(
          path, "has " + std::to_string(bytes) + " bytes instead of " + std::to_string(file.bytes));
    }
    if (!with_hashes) continue;
    auto hash = FileSha256(path.string());
    if (!hash.ok()) return hash.status();
    if (*hash != file.sha256) {
      return Damaged(path, "has SHA-256 " + *hash + " instead of " + file.sha256);
    }
  }
  return absl::OkStatus();
}

}  // namespace rayx::bench
