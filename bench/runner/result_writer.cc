#include "bench/runner/result_writer.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

namespace rayx::bench {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

// What programs print is in it, cut at any byte: what is no UTF-8 is replaced, not thrown.
std::string Text(const json& value, int indent) {
  return value.dump(indent, ' ', false, json::error_handler_t::replace);
}

}  // namespace

absl::StatusOr<ResultWriter> ResultWriter::Create(const std::string& results,
                                                  const std::string& id) {
  ResultWriter writer;
  writer.id_ = id;
  writer.folder_ = (fs::absolute(results) / id).string();
  std::error_code error;
  if (fs::exists(writer.folder_, error)) {
    return absl::AlreadyExistsError("there is already a result " + writer.folder_);
  }
  for (const char* part : {"series", "logs"}) {
    fs::create_directories(fs::path(writer.folder_) / part, error);
    if (error) {
      return absl::UnavailableError("cannot make " + writer.folder_ + ": " + error.message());
    }
  }
  return writer;
}

absl::Status ResultWriter::AppendRun(const json& line) const {
  std::ofstream file(folder_ + "/runs.jsonl", std::ios::app);
  file << Text(line, -1) << '\n' << std::flush;
  if (file) return absl::OkStatus();
  return absl::UnavailableError("cannot write " + folder_ + "/runs.jsonl");
}

absl::Status ResultWriter::Write(const std::string& name, const json& value) const {
  std::ofstream file(folder_ + "/" + name);
  file << Text(value, 1) << '\n' << std::flush;
  if (file) return absl::OkStatus();
  return absl::UnavailableError("cannot write " + folder_ + "/" + name);
}

absl::StatusOr<json> ReadJsonFile(const std::string& path) {
  std::ifstream file(path);
  if (!file) return absl::NotFoundError("cannot read " + path + ": " + strerror(errno));
  json value = json::parse(file, nullptr, false);
  if (value.is_discarded()) return absl::DataLossError(path + " is not JSON");
  return value;
}

absl::StatusOr<std::vector<json>> ReadJsonLines(const std::string& path) {
  std::ifstream file(path);
  if (!file) return absl::NotFoundError("cannot read " + path + ": " + strerror(errno));
  std::vector<json> lines;
  for (std::string line; std::getline(file, line);) {
    json value = json::parse(line, nullptr, false);
    if (!value.is_object()) {
      return absl::DataLossError(path + " line " + std::to_string(lines.size() + 1) +
                                 " is not a JSON object");
    }
    lines.push_back(std::move(value));
  }
  return lines;
}

}  // namespace rayx::bench
