// Goal: a log stays within its bounds and tells what it lost.
// Method: files in a folder of the test's own; a limit of file size stands for a full disk.
#include "base/rotated_file.h"

#include <sys/resource.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace rayx::base {
namespace {

namespace fs = std::filesystem;

struct Folder {
  Folder() { REQUIRE(::mkdtemp(name) != nullptr); }
  ~Folder() { fs::remove_all(name); }
  std::string Path() const { return std::string(name) + "/log"; }
  std::string Read(const std::string& suffix = "") const {
    std::ifstream file(Path() + suffix);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  char name[32] = "/tmp/rayx-rotated-XXXXXX";
};

// Files of this process end at so many bytes, as a full disk ends them.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FullDisk() { ::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

TEST_CASE("RotatedFile: lines are whole in one file, no file outgrows its limit") {
  const Folder folder;
  RotatedFile file(folder.Path(), {100, 3});
  REQUIRE(file.Open().ok());
  std::string all;
  for (int i = 0; i < 30; ++i) all += "line " + std::to_string(10 + i) + "\n";  // 8 bytes each
  file.Write(all);
  CHECK(folder.Read(".2") + folder.Read(".1") + folder.Read() == all);
  for (const char* suffix : {"", ".1", ".2"}) CHECK(folder.Read(suffix).size() <= 100);
  CHECK(folder.Read(".1").size() == 96);
  CHECK(file.old_files() == 2);
  CHECK(file.is_complete());
}

TEST_CASE("RotatedFile: what was removed is told at the top of the file that took its room") {
  const Folder folder;
  RotatedFile file(folder.Path(), {400, 1});
  for (int i = 0; i < 100; ++i) file.Write("line " + std::to_string(100 + i) + "\n");
  CHECK_FALSE(file.is_complete());
  const std::string last = folder.Read();
  CHECK(last.find("(rayx) what came before was removed: ") == 0);
  CHECK(last.find(" bytes; a log has 2 files of 400 bytes at most\n") != std::string::npos);
  CHECK(last.find("line 199\n") != std::string::npos);
  CHECK_FALSE(fs::exists(folder.Path() + ".2"));
  // What it says and what there is make up all that was written; 900 bytes of lines.
  const auto removed = std::stoul(last.substr(last.find(": ") + 2));
  const auto kept = folder.Read(".1").size() + last.size();
  CHECK(removed + kept > 900);
}

TEST_CASE("RotatedFile: without old files the one begins anew, and says so") {
  const Folder folder;
  RotatedFile file(folder.Path(), {200, 0});
  for (int i = 0; i < 30; ++i) file.Write("line " + std::to_string(100 + i) + "\n");
  CHECK_FALSE(fs::exists(folder.Path() + ".1"));
  CHECK(folder.Read().find("a log has 1 files") != std::string::npos);
  CHECK(file.old_files() == 0);
}

TEST_CASE("RotatedFile: a line longer than a file has one of its own") {
  const Folder folder;
  RotatedFile file(folder.Path(), {50, 5});
  const std::string longer = std::string(80, 'x') + "\n";
  file.Write("a\n" + longer + "b\n");
  CHECK(folder.Read(".2") == "a\n");
  CHECK(folder.Read(".1") == longer);
  CHECK(folder.Read() == "b\n");
}

TEST_CASE("RotatedFile: what a full disk refused is told once there is room") {
  const Folder folder;
  RotatedFile file(folder.Path(), {1000, 1});
  {
    const FullDisk full(12);
    file.Write("before\n");
    file.Write("cut by the disk\n");  // 5 bytes of it fit
    file.Write("refused\n");
  }
  CHECK_FALSE(file.is_complete());
  file.Write("after\n");
  CHECK(folder.Read() ==
        "before\ncut b\n(rayx) up to 2 lines are missing here: File too large\nafter\n");
  file.Write("more\n");
  CHECK(folder.Read().find("after\nmore\n") != std::string::npos);
}

TEST_CASE("RotatedFile: a folder that is not there costs lines, not the writer") {
  const Folder folder;
  const std::string below = std::string(folder.name) + "/later";
  RotatedFile file(below + "/log", {1000, 1});
  CHECK(file.Open().code() == StatusCode::kUnavailable);
  file.Write("lost\n");
  fs::create_directory(below);
  file.Write("kept\n");
  std::ifstream read(below + "/log");
  const std::string text{std::istreambuf_iterator<char>(read), {}};
  CHECK(text.find("(rayx) up to 1 line is missing here: cannot log to ") == 0);
  CHECK(text.find("\nkept\n") != std::string::npos);
}

TEST_CASE("RotatedFile: a file that was there is gone on with and counted") {
  const Folder folder;
  std::ofstream(folder.Path()) << std::string(90, 'x') << "\n";
  RotatedFile file(folder.Path(), {100, 1});
  file.Write("0123456789\n");
  CHECK(folder.Read(".1").size() == 91);
  CHECK(folder.Read() == "0123456789\n");
}

}  // namespace
}  // namespace rayx::base
