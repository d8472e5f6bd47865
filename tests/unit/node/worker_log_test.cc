// Goal: whatever a program prints is kept, filed and passed on within bounds. Method: real pipes.
#include "node/worker_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "node/wire.h"

namespace rayx::node {
namespace {

constexpr uint64_t kFileBytesMax = 2 << 20;

struct Fixture {
  Fixture() {
    int out[2];
    int err[2];
    REQUIRE(::pipe2(out, O_CLOEXEC) == 0);
    REQUIRE(::pipe2(err, O_CLOEXEC) == 0);
    out_write.Reset(out[1]);
    err_write.Reset(err[1]);
    REQUIRE(::mkdtemp(folder) != nullptr);
    file = std::string(folder) + "/worker.log";
    log = std::make_unique<WorkerLog>(base::UniqueFd(out[0]), base::UniqueFd(err[0]), file,
                                      base::RotationLimits{kFileBytesMax, 1},
                                      [this](bool is_stderr, std::vector<std::string> some) {
                                        auto& to = is_stderr ? errors : lines;
                                        to.insert(to.end(), some.begin(), some.end());
                                      });
  }
  ~Fixture() {
    ::unlink(file.c_str());
    ::unlink((file + ".1").c_str());
    ::rmdir(folder);
  }
  void Print(const std::string& text, bool is_stderr = false) {
    const base::UniqueFd& fd = is_stderr ? err_write : out_write;
    REQUIRE(::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    REQUIRE(log->ReadSome(is_stderr, now));
  }

  char folder[32] = "/tmp/rayx-log-XXXXXX";
  std::string file;
  base::UniqueFd out_write;
  base::UniqueFd err_write;
  std::unique_ptr<WorkerLog> log;
  std::vector<std::string> lines;
  std::vector<std::string> errors;
  model::TimePoint now{std::chrono::seconds(10)};
};

}  // namespace

TEST_CASE("WorkerLog: lines come whole, also when they are written in pieces or not ended") {
  Fixture f;
  f.Print("one\ntw");
  CHECK(f.lines == std::vector<std::string>{"one"});
  f.Print("o\n\nthr");
  CHECK(f.lines == std::vector<std::string>{"one", "two", ""});
  f.Print("oops\n", true);
  CHECK(f.log->LastLines() == std::vector<std::string>{"oops"});
  f.log->Finish(f.now);
  CHECK(f.lines.back() == "thr");
  std::ifstream file(f.file);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  CHECK(text == "one\ntwo\n\noops\nthr\n");
}

TEST_CASE("WorkerLog: a line without end is cut, last lines are few, a flood is counted") {
  Fixture f;
  for (int i = 0; i < 4; ++i) f.Print(std::string(5000, 'x'));
  REQUIRE(f.lines.size() == 2);
  CHECK(f.lines[0].size() == WorkerLog::kLineBytesMax);
  f.Print("\n");
  f.lines.clear();
  f.now += std::chrono::seconds(2);
  for (int i = 0; i < 3000; ++i) f.Print("line " + std::to_string(i) + "\n");
  CHECK(f.lines.size() == WorkerLog::kLinesPerSecondMax);
  CHECK(f.log->LastLines().size() == WorkerLog::kLastLinesMax);
  CHECK(f.log->LastLines().back() == "line 2999");
  f.now += std::chrono::seconds(2);
  f.Print("after\n");
  REQUIRE(f.lines.size() == WorkerLog::kLinesPerSecondMax + 2);
  CHECK(f.lines[WorkerLog::kLinesPerSecondMax].find("2000 lines were not shown") !=
        std::string::npos);
}

TEST_CASE("WorkerLog: what a flood hid is said a second later, and at the end at the latest") {
  Fixture f;
  for (int i = 0; i < 1500; ++i) f.Print("line\n");
  f.Print("one error\n", true);
  f.log->Tick(f.now + std::chrono::milliseconds(500));
  CHECK(f.lines.size() == WorkerLog::kLinesPerSecondMax);
  f.now += std::chrono::seconds(1);
  f.log->Tick(f.now);
  REQUIRE(f.lines.size() == WorkerLog::kLinesPerSecondMax + 1);
  CHECK(f.lines.back() ==
        "... 500 lines were not shown (at most 1000 a second are; all are in " + f.file + ")");
  CHECK(f.errors.size() == 1);
  CHECK(f.errors[0].find("1 line was not shown") != std::string::npos);
  f.log->Tick(f.now + std::chrono::seconds(1));
  CHECK(f.lines.size() == WorkerLog::kLinesPerSecondMax + 1);
  f.now += std::chrono::seconds(2);
  f.lines.clear();
  for (int i = 0; i < 1001; ++i) f.Print("line\n");
  CHECK(f.lines.size() == WorkerLog::kLinesPerSecondMax);
  f.log->Finish(f.now);
  REQUIRE(f.lines.size() == WorkerLog::kLinesPerSecondMax + 1);
  CHECK(f.lines.back().find("1 line was not shown") != std::string::npos);
}

TEST_CASE("WorkerLog: the note of a flood says which files have it, and whether all of it") {
  Fixture f;
  const std::string line(1023, 'x');
  const uint64_t lines_a_file = kFileBytesMax / 1024;
  const auto print = [&](uint64_t lines) {
    for (uint64_t i = 0; i < lines; ++i) f.Print(line + "\n");
    f.now += std::chrono::seconds(1);
    f.log->Tick(f.now);
    return f.lines.back();
  };
  CHECK_THAT(print(lines_a_file), Catch::Contains("; all are in " + f.file + ")"));
  CHECK_THAT(print(lines_a_file), Catch::Contains("; all are in " + f.file + ".1 and " + f.file));
  CHECK_THAT(print(lines_a_file), Catch::Contains("; a part of the output is in " + f.file + ".1"));
}

TEST_CASE("ValidUtf8: bytes that are no text become question marks, text stays") {
  CHECK(ValidUtf8("gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x99\x82") ==
        "gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x99\x82");
  CHECK(ValidUtf8("a\xFF\xC3") == "a??");
  CHECK(ValidUtf8("\xC0\x80\xED\xA0\x80") == "?????");
}

}  // namespace rayx::node
