#include "bench/runner/mistake_run.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace rayx::bench {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr size_t kTextBytesMax = 300;

// Everything that the processes of a launch have printed.
std::string Printed(const std::string& folder) {
  std::string text;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    std::ifstream file(entry.path());
    text.append(std::istreambuf_iterator<char>(file), {});
    text += '\n';
  }
  return text;
}

std::string LastLine(std::string_view text) {
  const size_t end = text.find_last_not_of(" \n");
  if (end == std::string_view::npos) return "";
  text = text.substr(0, end + 1);
  const size_t begin = text.rfind('\n');
  text.remove_prefix(begin == std::string_view::npos ? 0 : begin + 1);
  text.remove_prefix(std::min(text.size(), text.find_first_not_of(' ')));
  return std::string(text.substr(0, kTextBytesMax));
}

// Of an error of ArmSession: the last line that VM 1 printed, where the program is looked at.
std::string LastWords(std::string_view message) {
  constexpr std::string_view kSection = "\n  last lines of ";
  const size_t first = message.find(kSection);
  if (first != std::string_view::npos) {
    message = message.substr(0, message.find(kSection, first + 1));
  }
  return LastLine(message);
}

// Where LibTorch lies in the virtual environment, or "".
std::string TorchLibraries(const std::string& venv) {
  std::error_code error;
  for (const auto& python : fs::directory_iterator(venv + "/lib", error)) {
    const fs::path folder = python.path() / "site-packages/torch/lib";
    if (fs::exists(folder, error)) return folder.string();
  }
  return "";
}

}  // namespace

std::string UsefulLine(std::string_view text, const std::vector<std::vector<std::string>>& groups) {
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    const auto has = [&](const std::string& word) {
      return line.find(word) != std::string_view::npos;
    };
    const bool useful = std::all_of(groups.begin(), groups.end(), [&](const auto& group) {
      return std::any_of(group.begin(), group.end(), has);
    });
    if (useful) return std::string(line.substr(0, kTextBytesMax));
  }
  return "";
}

MistakeRecord MakeMistake(const MistakeSpec& spec, const WorkloadSpec& workload, const ArmSpec& arm,
                          const Places& places, const MachineShape& shape, int nodes) {
  MistakeRecord record = {.mistake = spec.name, .title = spec.title, .arm = arm.name};
  const auto not_run = [&](const std::string& why) {
    record.ending = "not run";
    record.text = why;
    return record;
  };
  Places own = places;  // logs of this launch alone
  own.result += "/mistakes/" + spec.name + "-" + arm.name;
  std::error_code error;
  for (const char* part : {"logs", "series", "empty"}) {
    fs::create_directories(fs::path(own.result) / part, error);
  }
  std::vector<VmMount> mounts;
  if (spec.hides_library) {
    const std::string libraries = TorchLibraries(places.venv);
    if (libraries.empty()) return not_run("there is no LibTorch in " + places.venv);
    mounts.push_back({nodes, own.result + "/empty", libraries});
  }
  auto machines = Machines::Simulate(
      nodes, shape, {places.checkout, places.venv, places.data, places.result}, mounts);
  if (!machines.ok()) return not_run(std::string(machines.status().message()));

  // A launch begins when the daemons are up: the program is what the mistake is made with.
  Clock::time_point begin;
  bool begun = false;
  const auto look = [&](const std::string& text) {
    if (!record.ending.empty()) return;
    record.text = UsefulLine(text, spec.useful);
    if (record.text.empty()) return;
    record.ending = "named";
    record.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  };
  const LaunchOptions launch = {.only_vm1_counts = true,
                                .mistake = spec.mistake,
                                .ready_timeout = std::chrono::seconds(kMistakeSeconds),
                                .watch = [&](const RunTrace&) {
                                  if (!begun) begin = Clock::now();
                                  begun = true;
                                  look(Printed(own.result + "/logs"));
                                }};
  begin = Clock::now();
  auto session = ArmSession::Start(workload, arm, *machines, own, launch);
  absl::Status status = session.status();
  if (session.ok()) status = (*session)->Run("first", 1, std::chrono::seconds(60)).status();
  record.cpu_seconds = machines->Read("").cpu_seconds.value_or(0);
  look(std::string(status.message()) + "\n" + Printed(own.result + "/logs"));
  if (!record.ending.empty()) return record;
  record.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  const bool late = status.code() == absl::StatusCode::kDeadlineExceeded;
  record.ending = status.ok() ? "unnoticed" : late ? "nothing" : "ended";
  if (!status.ok()) record.text = LastWords(std::string(status.message()));
  return record;
}

nlohmann::json ToJson(const MistakeRecord& record) {
  return {{"kind", "mistake"},  {"mistake", record.mistake}, {"title", record.title},
          {"arm", record.arm},  {"ending", record.ending},   {"seconds", record.seconds},
          {"text", record.text}};
}

}  // namespace rayx::bench
