#include "cli/start_options.h"

#include <sched.h>
#include <sys/sysinfo.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <optional>

#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "io/address.h"
#include "scheduling/label_selector.h"

namespace rayx::cli {
namespace {

constexpr uint64_t kStoreBytesMin = 16 * 1024 * 1024;
constexpr size_t kTextBytesMax = 64 * 1024;
constexpr double kLogBytesMin = 64 * 1024;
constexpr double kLogBytesMax = 1099511627776.0;
constexpr uint32_t kLogFilesMax = 100;

base::Status Wrong(const std::string& option, const std::string& text,
                   const std::string& expected) {
  return absl::InvalidArgumentError(
      absl::StrCat(option, " \"", text.substr(0, 200), "\": expected ", expected));
}

int CpusOfVm() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

base::Status AddCustomResources(const std::string& text, model::ResourceSet& resources) {
  const std::string expected = "a JSON object of names and amounts, for example {\"disk\": 2}";
  if (text.size() > kTextBytesMax) return Wrong("--resources", text, expected);
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return Wrong("--resources", text, expected);
  for (const auto& [name, amount] : json.items()) {
    const std::string option = absl::StrCat("--resources \"", name.substr(0, 100), "\"");
    if (name == model::kCpu || name == model::kGpu || name == model::kMemory) {
      return absl::InvalidArgumentError(
          absl::StrCat(option, ": this one has an option of its own (--num-cpus, --num-gpus, ",
                       "--object-store-memory leaves the rest as memory)"));
    }
    if (!amount.is_number()) return Wrong(option, amount.dump(), "a number");
    const base::Status status = resources.SetDouble(name, amount.get<double>());
    if (!status.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(option, ": ", status.message()));
    }
  }
  return base::OkStatus();
}

// Bytes with a unit, or a share of `whole`, where there is one.
std::optional<double> BytesOf(const std::string& text, uint64_t whole) {
  double number = 0;
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, number);
  if (result.ec != std::errc() || !std::isfinite(number) || number < 0) return std::nullopt;
  const std::string unit(result.ptr, end);
  for (const auto& [name, factor] :
       std::initializer_list<std::pair<const char*, double>>{{"", 1},
                                                             {"B", 1},
                                                             {"KB", 1e3},
                                                             {"MB", 1e6},
                                                             {"GB", 1e9},
                                                             {"TB", 1e12},
                                                             {"KiB", 1024.0},
                                                             {"MiB", 1048576.0},
                                                             {"GiB", 1073741824.0},
                                                             {"TiB", 1099511627776.0}}) {
    if (unit == name) return number * factor;
  }
  if (unit == "%" && whole > 0) return number * static_cast<double>(whole) / 100;
  return std::nullopt;
}

base::StatusOr<uint16_t> ParsePort(const std::string& text) {
  unsigned port = 0;
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, port);
  if (result.ec != std::errc() || result.ptr != end || port > 65535) {
    return Wrong("--port", text, "0 (any free one) to 65535");
  }
  return static_cast<uint16_t>(port);
}

base::Status CheckTogether(const StartOptions& options) {
  const auto refuse = [](const char* why) { return absl::InvalidArgumentError(why); };
  if (options.head && !options.address.empty()) {
    return refuse("--head starts a cluster and --address joins one: give one of them");
  }
  if (!options.head && options.address.empty()) {
    return refuse("give --head to start a cluster, or --address=ip:port to join one");
  }
  if (!options.head && (!options.port.empty() || options.embedded)) {
    return refuse("--port and --embedded are for --head");
  }
  if (options.head && !options.join_file.empty()) {
    return refuse("--join-file is for --address; a head makes its own join file");
  }
  if (options.embedded && (options.pipe_fd < 0 || options.driver_pid <= 0)) {
    return refuse("--embedded expects --pipe-fd and --driver-pid of the driver");
  }
  return base::OkStatus();
}

}  // namespace

uint64_t MemoryOfVm() {
  struct sysinfo info = {};
  ::sysinfo(&info);
  uint64_t bytes = uint64_t{info.totalram} * info.mem_unit;
  for (const char* path :
       {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    std::ifstream file(path);
    uint64_t limit = 0;
    if (file >> limit && limit > 0) bytes = std::min(bytes, limit);
  }
  return bytes;
}

base::StatusOr<double> ParseAmount(const std::string& option, const std::string& text) {
  double amount = 0;
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, amount);
  if (result.ec != std::errc() || result.ptr != end || !std::isfinite(amount) || amount < 0 ||
      amount > 100000) {
    return Wrong(option, text, "a number from 0 to 100000");
  }
  return amount;
}

base::StatusOr<uint64_t> ParseMemory(const std::string& option, const std::string& text,
                                     uint64_t vm_bytes) {
  const std::optional<double> bytes = BytesOf(text, vm_bytes);
  if (!bytes) {
    return Wrong(option, text,
                 "bytes with an optional unit, or a share of the memory: 2GiB, 500MB, 1073741824, "
                 "30%");
  }
  if (*bytes < static_cast<double>(kStoreBytesMin)) return Wrong(option, text, "at least 16MiB");
  if (*bytes > static_cast<double>(vm_bytes)) {
    return Wrong(option, text,
                 absl::StrCat("at most the memory of this VM, ", vm_bytes >> 20, " MiB"));
  }
  return static_cast<uint64_t>(*bytes) & ~uint64_t{4095};
}

base::StatusOr<LogBounds> ParseLogBounds(const StartOptions& options) {
  LogBounds bounds;
  const auto parse = [](const std::string& option, const std::string& text, uint64_t& target) {
    if (text.empty()) return base::OkStatus();
    const std::optional<double> bytes = BytesOf(text, 0);
    if (!bytes || *bytes < kLogBytesMin || *bytes > kLogBytesMax) {
      return Wrong(option, text, "64KiB to 1TiB, as bytes with an optional unit: 16MiB, 1GB");
    }
    target = static_cast<uint64_t>(*bytes);
    return base::OkStatus();
  };
  RAYX_RETURN_IF_ERROR(parse("--log-file-size", options.log_file_size, bounds.file_bytes));
  RAYX_RETURN_IF_ERROR(parse("--log-total", options.log_total, bounds.total_bytes));
  if (!options.log_files.empty() && (!absl::SimpleAtoi(options.log_files, &bounds.files) ||
                                     bounds.files < 1 || bounds.files > kLogFilesMax)) {
    return Wrong("--log-files", options.log_files, "1 to 100 files");
  }
  if (bounds.total_bytes < bounds.files * bounds.file_bytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--log-total ", bounds.total_bytes, ": expected room for one process at least, ",
        bounds.files, " files (--log-files) of ", bounds.file_bytes, " bytes (--log-file-size)"));
  }
  return bounds;
}

base::StatusOr<scheduling::Labels> ParseLabels(const std::string& text) {
  scheduling::Labels labels;
  if (text.empty()) return labels;
  const std::string expected = "key=value pairs apart by commas, for example zone=a,disk=ssd";
  if (text.size() > kTextBytesMax) return Wrong("--labels", text, expected);
  for (const std::string& pair : std::vector<std::string>(absl::StrSplit(text, ','))) {
    const size_t equals = pair.find('=');
    if (equals == std::string::npos) return Wrong("--labels", text, expected);
    const std::string key = pair.substr(0, equals);
    const std::string value = pair.substr(equals + 1);
    if (!scheduling::IsLabelWord(key) || !scheduling::IsLabelWord(value)) {
      return Wrong("--labels", pair, "key and value of letters, digits, '_', '-', '.' and '/'");
    }
    if (!labels.emplace(key, value).second) {
      return absl::InvalidArgumentError(absl::StrCat("--labels: \"", key, "\" is given twice"));
    }
  }
  if (labels.size() > static_cast<size_t>(scheduling::kLabelsMax))
    return Wrong("--labels", text, "at most 64 labels");
  return labels;
}

base::StatusOr<model::ResourceSet> ParseResources(const StartOptions& options, uint64_t vm_bytes,
                                                  uint64_t store_bytes) {
  model::ResourceSet resources;
  double cpus = CpusOfVm();
  double gpus = 0;
  if (!options.num_cpus.empty()) {
    RAYX_ASSIGN_OR_RETURN(cpus, ParseAmount("--num-cpus", options.num_cpus));
  }
  if (!options.num_gpus.empty()) {
    RAYX_ASSIGN_OR_RETURN(gpus, ParseAmount("--num-gpus", options.num_gpus));
  }
  RAYX_RETURN_IF_ERROR(resources.SetDouble(model::kCpu, cpus));
  RAYX_RETURN_IF_ERROR(resources.SetDouble(model::kGpu, gpus));
  const uint64_t memory = vm_bytes > store_bytes ? vm_bytes - store_bytes : 0;
  RAYX_RETURN_IF_ERROR(resources.SetDouble(
      model::kMemory, static_cast<double>(std::min<uint64_t>(memory, uint64_t{1} << 39))));
  if (!options.resources.empty()) {
    RAYX_RETURN_IF_ERROR(AddCustomResources(options.resources, resources));
  }
  return resources;
}

base::StatusOr<StartPlan> MakePlan(const StartOptions& options) {
  RAYX_RETURN_IF_ERROR(CheckTogether(options));
  StartPlan plan;
  plan.with_head = options.head;
  plan.insecure = options.insecure;
  plan.embedded = options.embedded;
  plan.port = io::kDefaultPort;
  if (!options.port.empty()) {
    RAYX_ASSIGN_OR_RETURN(plan.port, ParsePort(options.port));
  } else if (options.embedded) {
    plan.port = 0;
  }
  if (!options.address.empty()) {
    RAYX_ASSIGN_OR_RETURN(const io::Address head, io::ParseAddress(options.address));
    plan.head_address = head.ToString();
  }
  if (!options.listen.empty()) {
    if (const auto status = io::CheckListenIp(options.listen); !status.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("--listen: ", status.message()));
    }
    plan.listen_ip = options.listen;
  }
  const uint64_t vm_bytes = MemoryOfVm();
  const std::string store =
      options.object_store_memory.empty() ? "30%" : options.object_store_memory;
  RAYX_ASSIGN_OR_RETURN(plan.store_bytes, ParseMemory("--object-store-memory", store, vm_bytes));
  RAYX_ASSIGN_OR_RETURN(plan.logs, ParseLogBounds(options));
  RAYX_ASSIGN_OR_RETURN(plan.labels, ParseLabels(options.labels));
  RAYX_ASSIGN_OR_RETURN(plan.resources, ParseResources(options, vm_bytes, plan.store_bytes));
  return plan;
}

}  // namespace rayx::cli
