// Rows of workers that have LibTorch loaded, as those of a program that links it have.
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>

#include "cli/microbenchmark/fresh_program.h"
#include "cli/microbenchmark/rows.h"

namespace rayx::cli {

// What a worker has loaded: so many of its mappings are of that library.
int64_t MappingsOf(const std::string& library) {
  const std::string name = library.substr(library.find_last_of('/') + 1);
  std::ifstream maps("/proc/self/maps");
  int64_t count = 0;
  for (std::string line; std::getline(maps, line);) {
    if (line.ends_with('/' + name)) ++count;
  }
  return count;
}

namespace {

constexpr char kProbeLibtorch[] = "libtorch";
constexpr char kLibraryVariable[] = "RAYX_MICROBENCHMARK_LIBTORCH";
constexpr size_t kActorsOneByOne = 20;
constexpr int kSamples = 3;

double MillisecondsOfOneActor() {
  const int64_t argument = TakeArguments(1);
  const auto start = RowClock::now();
  const auto actor = EndsWithRow(rayx::Actor<&Counter::Create>().Remote());
  Expect(*actor->Task<&Counter::Add>().Remote(argument).Get(), argument);
  return SecondsSince(start) * 1e3;
}

void CreateActorsWithLibtorch() {
  const char* const library = std::getenv(kLibraryVariable);
  if (library == nullptr) throw std::runtime_error(std::string(kLibraryVariable) + " is not set");
  Options options;
  options.preload_libraries = {library};
  rayx::Init(options);
  if (*rayx::Task<&MappingsOf>().Remote(std::string(library)).Get() == 0) {
    throw std::runtime_error("a worker has not loaded " + std::string(library));
  }
  std::vector<double> each;
  for (size_t i = 0; i < kActorsOneByOne; ++i) each.push_back(MillisecondsOfOneActor());
  SayNumbers({CreateCallKill(), Quantile(each, 0.5)});
}

Sampler ActorsWith(const std::string& library) {
  if (library.empty()) throw NotRun("--libtorch names no libtorch_cpu.so");
  return [library](size_t) {
    FreshProgram program(kProbeLibtorch, {std::string(kLibraryVariable) + '=' + library});
    std::vector<double> numbers = program.Numbers(2);
    program.ExpectEnd();
    return numbers;
  };
}

}  // namespace

std::vector<Part> LibtorchParts() {
  return {{kProbeLibtorch, CreateActorsWithLibtorch}};
}

std::vector<Row> LibtorchRows(const std::string& library) {
  return {{{{"100 actors created, called and killed, LibTorch loaded", Unit::kSeconds, Limit::kFork,
             static_cast<double>(kCreatedActors)},
            {"an actor created and called, LibTorch loaded", Unit::kMilliseconds, Limit::kFork}},
           [library] { return ActorsWith(library); },
           1,
           kSamples,
           RunsIn::kOwnPrograms}};
}

}  // namespace rayx::cli
