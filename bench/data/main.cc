// rayx-data: the suite's data sets.
#include <CLI/CLI.hpp>
#include <list>

#include "bench/data/fetch_command.h"
#include "bench/data/gen_command.h"

namespace rayx::bench {
namespace {

int Main(int argc, char** argv) {
  CLI::App app{"Data sets of RayX's benchmark suite: real ones and made-up ones"};
  app.require_subcommand(1);
  FetchArguments fetch_arguments;
  std::list<GenArguments> gen_arguments;
  CLI::App* fetch = AddFetchCommand(app, fetch_arguments);
  AddGenCommand(app, gen_arguments);
  CLI11_PARSE(app, argc, argv);
  return fetch->parsed() ? RunFetch(fetch_arguments) : RunGen(gen_arguments);
}

}  // namespace
}  // namespace rayx::bench

int main(int argc, char** argv) {
  return rayx::bench::Main(argc, argv);
}
