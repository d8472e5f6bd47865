// Goal: what a starter knows of programs goes with their jobs.
// Method: programs that were never run, and one whose zygote is any program that stays.
#include "node/worker_starter.h"

#include <stdlib.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>

namespace rayx::node {
namespace {

using model::JobId;

class Fixture {
 public:
  Fixture() {
    char folder[] = "/tmp/rayx-starter-XXXXXX";
    REQUIRE(::mkdtemp(folder) != nullptr);
    folder_ = folder;
    REQUIRE(::mkdir((folder_ + "/logs").c_str(), 0700) == 0);
    loop_ = *io::Loop::Create(clock_);
    WorkerStarterEvents events;
    events.image_of = [](const std::string&) { return std::string(); };
    starter = std::make_unique<WorkerStarter>(*loop_, folder_, LogLimits{}, std::move(events));
  }
  ~Fixture() {
    starter.reset();
    std::filesystem::remove_all(folder_);
  }
  static proto::Program ProgramOf(const std::string& key) {
    proto::Program program;
    program.set_key(key);
    program.set_executable("/bin/cat");  // reads for ever what nobody writes
    return program;
  }

 private:
  std::string folder_;
  const io::PosixClock clock_;
  std::unique_ptr<io::Loop> loop_;

 public:
  std::unique_ptr<WorkerStarter> starter;
};

}  // namespace

// Regression: nothing was forgotten as long as the node lived.
TEST_CASE("WorkerStarter: a program is forgotten with the last of its jobs") {
  Fixture f;
  f.starter->AddProgram(f.ProgramOf("a"), JobId{1});
  f.starter->AddProgram(f.ProgramOf("a"), JobId{2});
  f.starter->AddProgram(f.ProgramOf("b"), JobId{2});
  f.starter->OnJobEnded(JobId{1});
  CHECK(f.starter->Program("a") != nullptr);
  f.starter->OnJobEnded(JobId{2});
  CHECK(f.starter->Program("a") == nullptr);
  CHECK(f.starter->Program("b") == nullptr);
  f.starter->SetPlan("a", {});  // comes late: changes nothing
  f.starter->AddProgram(f.ProgramOf("a"), JobId{3});
  CHECK(f.starter->Program("a") != nullptr);
}

TEST_CASE("WorkerStarter: a program stays known as long as its zygote is there") {
  Fixture f;
  f.starter->AddProgram(f.ProgramOf("a"), JobId{1});
  f.starter->StartZygote("a");
  REQUIRE(f.starter->zygotes() == 1);
  f.starter->OnJobEnded(JobId{1});
  CHECK(f.starter->Program("a") != nullptr);
  f.starter->EndZygote("a");
  CHECK(f.starter->zygotes() == 0);
  CHECK(f.starter->Program("a") == nullptr);
}

}  // namespace rayx::node
