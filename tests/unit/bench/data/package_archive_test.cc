// Goal: files come out of sound packages, and nothing comes out of hostile ones. Method: packages
// made by the test, sound, hostile, cut at many lengths.
#include "bench/data/fetch/package_archive.h"

#include "made_up_package.h"
#include "temporary_folder.h"

namespace rayx::bench {
namespace {

using Catch::Matchers::Contains;

class Package {
 public:
  absl::StatusOr<std::map<std::string, std::string>> Read(const std::string& bytes,
                                                          const WantedMembers& wanted) {
    return ReadPackage(folder_.Write("package", bytes), wanted);
  }
  // The error, which names the package.
  std::string Refusal(const std::string& bytes, const WantedMembers& wanted) {
    auto read = Read(bytes, wanted);
    CHECK(read.status().code() == absl::StatusCode::kDataLoss);
    CHECK_THAT(std::string(read.status().message()), Contains(folder_.Name("package")));
    return std::string(read.status().message());
  }

 private:
  TemporaryFolder folder_;
};

TEST_CASE("ReadPackage: wanted files of a .tgz and of a .deb") {
  const std::string large(3'000'000, 'x');
  const std::vector<Member> members = {
      {"./", "", AE_IFDIR}, {"./a/one", "1"}, {"./a/large", large}, {"./a/other", "?"}};
  const WantedMembers wanted = {{"a/one", 10}, {"a/large", 3'000'000}};
  for (const std::string& bytes : {Tgz(members), Deb(members)}) {
    auto read = Package().Read(bytes, wanted);
    INFO(read.status());
    REQUIRE(read.ok());
    CHECK(read->size() == 2);
    CHECK(read->at("a/one") == "1");
    CHECK(read->at("a/large") == large);
  }
}

TEST_CASE("ReadPackage: names that leave the folder are refused, wanted or not") {
  for (const char* name : {"../evil", "a/../../evil", "/etc/evil", "a/..", ".."}) {
    const std::vector<Member> members = {{"good", "1"}, {name, "2"}};
    CAPTURE(name);
    CHECK_THAT(Package().Refusal(Tgz(members), {{"good", 10}}), Contains("leaves its folder"));
    CHECK_THAT(Package().Refusal(Deb(members), {{"good", 10}}), Contains("leaves its folder"));
  }
  CHECK(Package().Read(Tgz({{"a..b/..c", "1"}}), {{"a..b/..c", 10}}).ok());
}

TEST_CASE("ReadPackage: what is wanted must be there, once, a file, and no larger than allowed") {
  Package package;
  CHECK_THAT(package.Refusal(Tgz({{"a", "1"}}), {{"b", 10}}), Contains("has no file b"));
  CHECK_THAT(package.Refusal(Tgz({{"a", "1"}, {"./a", "2"}}), {{"a", 10}}), Contains("twice"));
  CHECK_THAT(package.Refusal(Tgz({{"a", std::string(11, 'x')}}), {{"a", 10}}), Contains("larger"));
  CHECK_THAT(package.Refusal(Tgz({{"a", "", AE_IFLNK, "/etc/passwd"}}), {{"a", 10}}),
             Contains("not a regular file"));
  CHECK_THAT(package.Refusal(Tgz({{"b", "1"}, {"a", "", AE_IFREG, "b"}}), {{"a", 10}}),
             Contains("not a regular file"));
  CHECK_THAT(package.Refusal(Tgz({{"a", "", AE_IFDIR}}), {{"a", 10}}), Contains("has no file"));
  CHECK_THAT(package.Refusal(PackArchive({{"debian-binary", "2.0\n"}}, true), {{"a", 10}}),
             Contains("no data.tar"));
}

TEST_CASE("ReadPackage: truncated or damaged packages are refused") {
  std::string noise;  // does not compress, so that every cut takes something away
  for (unsigned int i = 0, x = 1; i < 5000; ++i) {
    noise += static_cast<char>((x = x * 1664525 + 1013904223) >> 24);
  }
  Package package;
  for (const std::string& bytes : {Tgz({{"a", noise}}), Deb({{"a", noise}})}) {
    REQUIRE(package.Read(bytes, {{"a", 5000}}).ok());
    for (size_t length = 0; length < 4800; length += 97) {
      CAPTURE(length);
      package.Refusal(bytes.substr(0, length), {{"a", 5000}});
    }
  }
  package.Refusal("", {{"a", 10}});
  package.Refusal("neither gzip nor tar", {{"a", 10}});
  CHECK(!ReadPackage("/no/such/package", {{"a", 10}}).ok());
}

}  // namespace
}  // namespace rayx::bench
