// rayx-data: the suite's data sets.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "bench/data/data_folder.h"
#include "bench/data/fetch.h"

namespace rayx::bench {
namespace {

int Main(int argc, char** argv) {
  CLI::App app{"Data sets of RayX's benchmark suite"};
  app.require_subcommand(1);
  std::string name, deb, out = DataFolder();
  CLI::App* fetch = app.add_subcommand(
      "fetch", "Bring a real data set from the package registry, pinned by SHA-256");
  fetch->add_option("name", name, "The data set")
      ->required()
      ->check(CLI::IsMember({"fashion-mnist"}));
  fetch->add_option("--out", out, "Folder for data sets")->capture_default_str();
  fetch->add_option("--deb", deb, "The package's file, where it is at hand")
      ->check(CLI::ExistingFile);
  CLI11_PARSE(app, argc, argv);
  auto folder = FetchFashionMnist(out, deb);
  if (!folder.ok()) {
    fprintf(stderr, "rayx-data: %s\n", std::string(folder.status().message()).c_str());
    return 1;
  }
  printf("%s\n", folder->c_str());
  return 0;
}

}  // namespace
}  // namespace rayx::bench

int main(int argc, char** argv) {
  return rayx::bench::Main(argc, argv);
}
