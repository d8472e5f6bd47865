#include "bench/workloads/arm/arm_program.h"

#include <openssl/evp.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <ctime>
#include <iostream>
#include <limits>
#include <sstream>
#include <stdexcept>

#include "bench/runner/arm_protocol.h"

namespace rayx::bench {
namespace {

using nlohmann::json;

constexpr int64_t kStepsMax = 10'000'000;

double Now() {
  timespec time = {};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

RepCommand ParseCommand(const std::string& line) {
  std::istringstream words(line);
  std::string verb;
  RepCommand command;
  words >> verb >> command.name >> command.steps >> std::ws;
  std::getline(words, command.series_prefix);
  if (verb != "run" || command.series_prefix.empty() || command.steps < 1 ||
      command.steps > kStepsMax) {
    throw std::invalid_argument("not a command: '" + line + "'");
  }
  return command;
}

void WriteSeries(const std::string& path, const std::vector<double>& numbers) {
  FILE* file = fopen(path.c_str(), "we");
  bool good = file != nullptr;
  for (double number : numbers) good = good && fprintf(file, "%a\n", number) > 0;
  if (file != nullptr) good = fclose(file) == 0 && good;
  if (!good) throw std::runtime_error("cannot write the series " + path);
}

}  // namespace

ArmOptions ParseArmOptions(int argc, char** argv, const std::function<void(CLI::App&)>& add) {
  ArmOptions options;
  CLI::App app{"An arm of RayX's benchmark suite"};
  const int int_max = std::numeric_limits<int>::max();
  app.add_option("--data", options.data, "Folder of the workload's files")->required();
  app.add_option("--seed", options.seed, "Of the initialisation");
  app.add_option("--threads", options.threads, "Threads a rank")->check(CLI::Range(1, 1024));
  app.add_option("--world-size", options.world_size, "Ranks")->check(CLI::Range(1, 1024));
  app.add_option("--rank", options.rank, "This rank")->check(CLI::Range(0, 1023));
  app.add_option("--rendezvous", options.rendezvous, "ADDRESS:PORT where ranks meet");
  app.add_option("--own-address", options.own_address, "By which other ranks reach this one");
  app.add_option("--control", options.control, "FIFO of commands");
  app.add_option("--out", options.out, "File or FIFO of events");
  app.add_option("--reps", options.reps, "Without --control")->check(CLI::Range(1, int_max));
  app.add_option("--steps", options.steps, "Without --control")
      ->check(CLI::Range(int64_t{1}, kStepsMax));
  app.add_flag("--step-events", options.step_events, "Write when each step is done");
  add(app);
  try {
    app.parse(argc, argv);
    if (options.rank >= options.world_size) {
      throw CLI::ValidationError("--rank", "must be below --world-size");
    }
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error));
  }
  return options;
}

PhaseClock::PhaseClock() : begin_(Now()) {}

double PhaseClock::Seconds() const {
  return Now() - begin_;
}

ArmEvents::ArmEvents(const std::string& path, int rank) {
  if (rank != 0) return;
  out_ = &std::cout;
  if (path.empty()) return;
  file_.open(path);
  if (!file_) throw std::runtime_error("cannot write events to " + path);
  out_ = &file_;
}

void ArmEvents::Write(json event) {
  if (out_ == nullptr) return;
  if (!rep.empty()) event["rep"] = rep;
  // The message of an error may hold any bytes.
  *out_ << event.dump(-1, ' ', false, json::error_handler_t::replace) << '\n' << std::flush;
}

void ArmEvents::Ready(const json& facts) {
  json event = facts;
  event["event"] = "ready";
  event["protocol"] = kArmProtocolVersion;
  event["at"] = Now();
  Write(event);
}

void ArmEvents::Phase(const std::string& name, double seconds) {
  Write({{"event", "phase"}, {"name", name}, {"seconds", seconds}});
}

void ArmEvents::Step(int64_t done) {
  if (step_events) Write({{"event", "step"}, {"done", done}, {"at", Now()}});
}

void ArmEvents::Result(const RepCommand& command, const ArmOutcome& outcome) {
  if (out_ == nullptr) return;
  if (!command.series_prefix.empty()) {
    for (const auto& [name, numbers] : outcome.series) {
      WriteSeries(command.series_prefix + "." + name + ".txt", numbers);
    }
  }
  Write({{"event", "result"},
         {"steps", outcome.steps},
         {"hashes", outcome.hashes},
         {"values", outcome.values},
         {"texts", outcome.texts}});
}

void ArmEvents::Error(const std::string& message) {
  Write({{"event", "error"}, {"message", message}});
}

int ServeRepetitions(const ArmOptions& options, ArmEvents& events,
                     const std::function<void(const RepCommand&)>& run,
                     const std::function<std::string(const std::string&)>& share) {
  try {
    const auto serve = [&](const RepCommand& command) {
      events.rep = command.name;
      events.step_events = options.step_events;
      run(command);
      events.rep.clear();
    };
    if (options.control.empty()) {
      for (int i = 1; i <= options.reps; ++i) serve({"r" + std::to_string(i), options.steps, ""});
      return 0;
    }
    std::ifstream control;
    if (options.rank == 0) control.open(options.control);
    for (;;) {
      std::string line;
      // The runner's end of the FIFO is gone: as "quit".
      if (options.rank == 0 && !std::getline(control, line)) line = "quit";
      if (share) line = share(line);
      if (line == "quit") return 0;
      serve(ParseCommand(line));
    }
  } catch (const std::exception& error) {
    events.Error(error.what());
    fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  EVP_DigestInit_ex(static_cast<EVP_MD_CTX*>(context_), EVP_sha256(), nullptr);
}

int RunArm(const char* program, ArmEvents& events, const std::function<int()>& work) {
  try {
    return work();
  } catch (const std::exception& error) {
    events.Error(error.what());
    fprintf(stderr, "%s: %s\n", program, error.what());
    return 1;
  }
}

Sha256::~Sha256() {
  EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context_));
}

void Sha256::Add(const void* bytes, size_t size) {
  EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(context_), bytes, size);
}

std::string Sha256::Binary() {
  std::string digest(32, '\0');
  EVP_DigestFinal_ex(static_cast<EVP_MD_CTX*>(context_),
                     reinterpret_cast<unsigned char*>(digest.data()), nullptr);
  return digest;
}

std::string Sha256::Hex(std::string_view binary) {
  std::string hex;
  for (const char c : binary) {
    constexpr char kDigits[] = "0123456789abcdef";
    hex += kDigits[static_cast<unsigned char>(c) >> 4];
    hex += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return hex;
}

std::string Sha256OfFiles(const std::vector<std::string>& paths) {
  Sha256 digest;
  std::vector<char> buffer(1 << 20);
  for (const std::string& path : paths) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error("cannot read " + path);
    while (file.read(buffer.data(), static_cast<std::streamsize>(buffer.size())),
           file.gcount() > 0) {
      digest.Add(buffer.data(), static_cast<size_t>(file.gcount()));
    }
  }
  return Sha256::Hex(digest.Binary());
}

}  // namespace rayx::bench
