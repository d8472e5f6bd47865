// Goal: levels, files and laziness hold. Method: log to a file of the test's own and read it.
#include "base/log.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <catch2/catch.hpp>

using namespace rayx::base;
namespace fs = std::filesystem;

namespace {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "rayx-log-test-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TemporaryFolder() { fs::remove_all(path_); }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

std::string ReadAll(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

LogOptions ToFile(const fs::path& file) {
  LogOptions options;
  options.process = "tester";
  options.to_stderr = false;
  options.file = file.string();
  return options;
}

}  // namespace

TEST_CASE("Log: a line has process, place and text; lower levels cost no evaluation") {
  TemporaryFolder folder;
  REQUIRE(SetUpLogging(ToFile(folder.path() / "log")).ok());
  int evaluated = 0;
  RAYX_LOG(kDebug) << "hidden " << ++evaluated;
  if (evaluated == 0)
    RAYX_LOG(kInfo) << "seen " << 42;
  else
    FAIL("the macro took somebody's else");
  FlushLog();
  const std::string text = ReadAll(folder.path() / "log");
  CHECK(evaluated == 0);
  CHECK_THAT(text, Catch::Contains("seen 42") && Catch::Contains("tester") &&
                       Catch::Contains("log_test.cc:"));
  CHECK_THAT(text, !Catch::Contains("hidden"));
}

TEST_CASE("Log: files are bounded in size and number") {
  TemporaryFolder folder;
  LogOptions options = ToFile(folder.path() / "log");
  options.file_bytes_max = 2000;
  options.files_max = 2;
  REQUIRE(SetUpLogging(options).ok());
  for (int i = 0; i < 500; ++i) RAYX_LOG(kInfo) << "line " << i;
  FlushLog();
  std::size_t files = 0;
  for (const auto& entry : fs::directory_iterator(folder.path())) {
    ++files;
    CHECK(entry.file_size() <= 2000);
  }
  CHECK(files == 3);
}

TEST_CASE("Log: a file that cannot be opened is an error, and the old log goes on") {
  TemporaryFolder folder;
  REQUIRE(SetUpLogging(ToFile(folder.path() / "log")).ok());
  const Status status = SetUpLogging(ToFile(folder.path() / "log" / "below-a-file"));
  CHECK(status.code() == StatusCode::kUnavailable);
  RAYX_LOG(kError) << "still here";
  CHECK_THAT(ReadAll(folder.path() / "log"), Catch::Contains("still here"));
}

TEST_CASE("Log: level names are read back, others are refused") {
  CHECK(ParseLogLevel("warning").value() == LogLevel::kWarning);
  CHECK(ParseLogLevel("loud").status().code() == StatusCode::kInvalidArgument);
}
