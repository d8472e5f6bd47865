// Goal: a driver says of its program what workers elsewhere need, and nothing of its terminal.
// Method: this test's own process, with a library that it loads from a folder of its own.
#include <dlfcn.h>
#include <stdlib.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "client/own_program.h"
#include "rayx/errors.h"

namespace rayx::client {
namespace {

namespace fs = std::filesystem;

struct Folder {
  Folder() {
    char name[] = "/tmp/rayx-own-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    path = name;
  }
  ~Folder() { fs::remove_all(path); }
  std::string path;
};

// A system's library that hardly any process has loaded, under a name of the user's.
std::string UserLibrary(const std::string& folder) {
  for (const char* name : {"libBrokenLocale.so.1", "libnss_hesiod.so.2", "libanl.so.1"}) {
    for (const char* system : {"/lib/x86_64-linux-gnu/", "/lib/aarch64-linux-gnu/", "/lib64/"}) {
      const std::string library = std::string(system) + name;
      if (!fs::exists(library)) continue;
      const std::string own = folder + "/libown.so.1";
      fs::copy_file(library, own);
      return own;
    }
  }
  FAIL("no library to copy");
  return "";
}

}  // namespace

TEST_CASE("OwnProgram: the system's folders are the system's, and only they") {
  for (const char* path :
       {"/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2", "/usr/lib/libz.so.1",
        "/usr/lib/jvm/lib/libjvm.so", "/usr/lib64/libm.so.6", "/usr/libexec/x/liby.so"}) {
    INFO(path);
    CHECK(IsSystemPath(path));
  }
  for (const char* path : {"/usr/local/lib/libuser.so", "/opt/lib/libuser.so", "/library/libx.so",
                           "/data/lib/libx.so", "/usr/library/libx.so", "/lib", ""}) {
    INFO(path);
    CHECK_FALSE(IsSystemPath(path));
  }
}

TEST_CASE("OwnProgram: variables of a terminal, a login or RayX itself are left out") {
  for (const char* name :
       {"_", "SHLVL", "PWD", "OLDPWD", "TERM", "TERM_PROGRAM", "WINDOWID", "DISPLAY", "SSH_TTY",
        "XDG_SESSION_ID", "DBUS_SESSION_BUS_ADDRESS", "RAYX_ADDRESS", "RAYX_WORKER_FD"}) {
    INFO(name);
    CHECK(IsDeniedVariable(name));
  }
  for (const char* name : {"PATH", "HOME", "LD_LIBRARY_PATH", "PWD2", "XDG_CACHE_HOME", "MYTERM"}) {
    INFO(name);
    CHECK_FALSE(IsDeniedVariable(name));
  }
}

TEST_CASE("OwnProgram: paths are made absolute, names stay names, links are not looked through") {
  CHECK(AbsolutePath("libuser.so", "/nowhere") == "libuser.so");
  CHECK(AbsolutePath("./libuser.so", "/nowhere") == "/nowhere/libuser.so");
  CHECK(AbsolutePath("/nowhere/lib/libuser.so", "/x") == "/nowhere/lib/libuser.so");
  const Folder folder;
  fs::create_directories(folder.path + "/real/deep");
  fs::create_directory_symlink(folder.path + "/real/deep", folder.path + "/link");
  std::ofstream(folder.path + "/real/a.so") << "a";
  std::ofstream(folder.path + "/b.so") << "b";
  CHECK(AbsolutePath("real/deep/../a.so", folder.path) == folder.path + "/real/a.so");
  // Through the link ".." is another folder.
  CHECK(AbsolutePath("link/../a.so", folder.path) == folder.path + "/link/../a.so");
}

TEST_CASE("OwnProgram: libraries from outside the system's folders are named as they were loaded") {
  const Folder folder;
  const std::string own = UserLibrary(folder.path);
  const auto before = LoadedLibraries();
  CHECK(std::find(before.begin(), before.end(), own) == before.end());
  void* handle = ::dlopen(own.c_str(), RTLD_NOW);
  REQUIRE(handle != nullptr);
  ::setenv("OWN_PROGRAM_TEST", "said", 1);
  ::setenv("RAYX_LOG_LEVEL", "error", 1);
  Options options;
  options.env = {{"EXTRA", "1"}, {"OWN_PROGRAM_TEST", "changed"}};
  options.working_folder = "/some/folder/";
  const proto::Program program = OwnProgram(options);
  ::dlclose(handle);
  CHECK(program.executable() == fs::read_symlink("/proc/self/exe"));
  CHECK(program.working_folder() == "/some/folder/");
  REQUIRE(program.parts_size() >= 1);
  const proto::Part& last = program.parts(program.parts_size() - 1);
  CHECK(last.path() == own);
  for (const auto& part : program.parts()) CHECK_FALSE(IsSystemPath(part.path()));
  const auto& environment = program.environment();
  const auto has = [&](const std::string& variable) {
    return std::find(environment.begin(), environment.end(), variable) != environment.end();
  };
  CHECK(has("EXTRA=1"));
  CHECK(has("OWN_PROGRAM_TEST=changed"));
  CHECK_FALSE(has("OWN_PROGRAM_TEST=said"));
  CHECK_FALSE(has("RAYX_LOG_LEVEL=error"));
  CHECK(std::is_sorted(environment.begin(), environment.end()));
}

// Workers were given the folder itself as LD_PRELOAD, which loads nothing.
TEST_CASE("OwnProgram: a folder of libraries to be loaded stands for those in it") {
  const Folder folder;
  for (const char* name : {"b.so", "a.so", "c.txt"}) {
    std::ofstream(folder.path + "/" + name) << "x";
  }
  Options options;
  options.preload_libraries = {folder.path, "libname.so"};
  const proto::Program program = OwnProgram(options);
  const std::vector<std::string> libraries(program.preload_libraries().begin(),
                                           program.preload_libraries().end());
  CHECK(libraries ==
        std::vector<std::string>{folder.path + "/a.so", folder.path + "/b.so", "libname.so"});
}

}  // namespace rayx::client
