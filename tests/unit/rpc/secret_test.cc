// Goal: secrets are random, private on disk and compared safely.
// Method: files in a fresh folder, with right and wrong modes.
#include "rpc/secret.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include <catch2/catch.hpp>

namespace rayx::rpc {
namespace {

struct Folder {
  Folder() {
    char name[] = "/tmp/rayx-secret-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string path;
};

}  // namespace

TEST_CASE("Secret: tokens are 64 hex digits and differ") {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    const std::string token = RandomHex(kTokenBytes);
    CHECK(IsToken(token));
    seen.insert(token);
  }
  CHECK(seen.size() == 100);
  CHECK_FALSE(IsToken(""));
  CHECK_FALSE(IsToken(std::string(64, 'g')));
  CHECK_FALSE(IsToken(std::string(63, 'a')));
  CHECK_FALSE(IsToken(std::string(64, 'A')));
}

TEST_CASE("Secret: comparing sees every difference") {
  const std::string token = RandomHex(kTokenBytes);
  CHECK(EqualInConstantTime(token, token));
  for (size_t i = 0; i < token.size(); ++i) {
    std::string other = token;
    other[i] ^= 1;
    CHECK_FALSE(EqualInConstantTime(token, other));
  }
  CHECK_FALSE(EqualInConstantTime(token, token.substr(1)));
  CHECK(EqualInConstantTime("", ""));
}

TEST_CASE("Secret: a file is 0600, replaced whole, and comes back") {
  const Folder folder;
  const std::string path = folder.path + "/join";
  REQUIRE(WriteSecretFile(path, "first").ok());
  REQUIRE(WriteSecretFile(path, "second").ok());
  struct stat info = {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  CHECK(ReadSecretFile(path).value() == "second");
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path), {}) == 1);
}

TEST_CASE("Secret: a file that others can read, that is missing, too large or no file is refused") {
  const Folder folder;
  const std::string path = folder.path + "/join";
  REQUIRE(WriteSecretFile(path, "x").ok());
  REQUIRE(::chmod(path.c_str(), 0644) == 0);
  const auto open = ReadSecretFile(path);
  CHECK_THAT(std::string(base::Message(open.status())), Catch::Contains("chmod 600"));
  CHECK(absl::IsNotFound(ReadSecretFile(folder.path + "/none").status()));
  CHECK_FALSE(ReadSecretFile(folder.path).ok());
  REQUIRE(WriteSecretFile(path, std::string(70000, 'x')).ok());
  CHECK_FALSE(ReadSecretFile(path).ok());
  CHECK_FALSE(WriteSecretFile(folder.path + "/no/such/folder", "x").ok());
}

}  // namespace rayx::rpc
