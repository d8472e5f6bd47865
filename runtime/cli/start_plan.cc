#include "cli/start_plan.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "cli/files.h"

namespace rayx::cli {
namespace {

std::string PathIn(const std::string& folder) {
  return folder + "/start.json";
}

}  // namespace

base::Status WriteStartPlan(const std::string& folder, const StartPlan& plan) {
  nlohmann::json resources = nlohmann::json::object();
  for (const auto& [name, units] : plan.resources.units()) resources[name] = units;
  const nlohmann::json json = {{"with_head", plan.with_head},
                               {"cluster", plan.cluster},
                               {"head_address", plan.head_address},
                               {"listen_ip", plan.listen_ip},
                               {"port", plan.port},
                               {"insecure", plan.insecure},
                               {"embedded", plan.embedded},
                               {"resource_units", resources},
                               {"labels", plan.labels},
                               {"store_bytes", plan.store_bytes},
                               {"log_file_bytes", plan.logs.file_bytes},
                               {"log_files", plan.logs.files},
                               {"log_total_bytes", plan.logs.total_bytes}};
  return WriteFile(PathIn(folder), json.dump(2) + "\n");
}

base::StatusOr<StartPlan> ReadStartPlan(const std::string& folder) {
  RAYX_ASSIGN_OR_RETURN(const std::string text, ReadFile(PathIn(folder)));
  try {
    const nlohmann::json json = nlohmann::json::parse(text);
    StartPlan plan;
    plan.with_head = json.at("with_head").get<bool>();
    plan.cluster = json.at("cluster").get<std::string>();
    plan.head_address = json.at("head_address").get<std::string>();
    plan.listen_ip = json.at("listen_ip").get<std::string>();
    plan.port = json.at("port").get<uint16_t>();
    plan.insecure = json.at("insecure").get<bool>();
    plan.embedded = json.at("embedded").get<bool>();
    for (const auto& [name, units] : json.at("resource_units").items()) {
      plan.resources.Set(name, units.get<int64_t>());
    }
    plan.labels = json.at("labels").get<scheduling::Labels>();
    plan.store_bytes = json.at("store_bytes").get<uint64_t>();
    plan.logs.file_bytes = json.at("log_file_bytes").get<uint64_t>();
    plan.logs.files = json.at("log_files").get<uint32_t>();
    plan.logs.total_bytes = json.at("log_total_bytes").get<uint64_t>();
    return plan;
  } catch (const nlohmann::json::exception& error) {
    return absl::InvalidArgumentError(
        absl::StrCat(PathIn(folder), ": not a start's plan: ", error.what()));
  }
}

std::string FormatReadyAnswer(const ReadyAnswer& answer) {
  const nlohmann::json json = {{"error", answer.error},
                               {"address", answer.address},
                               {"node", answer.node},
                               {"cluster", answer.cluster}};
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

base::StatusOr<ReadyAnswer> ParseReadyAnswer(const std::string& line) {
  try {
    const nlohmann::json json = nlohmann::json::parse(line);
    return ReadyAnswer{json.at("error").get<std::string>(), json.at("address").get<std::string>(),
                       json.at("node").get<uint32_t>(), json.at("cluster").get<std::string>()};
  } catch (const nlohmann::json::exception&) {
    return absl::InternalError(absl::StrCat("answered with \"", line.substr(0, 200), "\""));
  }
}

}  // namespace rayx::cli
