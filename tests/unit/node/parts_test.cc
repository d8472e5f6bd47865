// Goal: files of programs are told apart, served by hash alone, and used only when every byte is
// right. Method: real files in a folder of the test; a server and a reader over loopback.
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "io/clock.h"
#include "node/core/program_parts_core.h"
#include "node/parts/part_folder.h"
#include "node/parts/part_server.h"
#include "node/parts/part_stream.h"
#include "node/parts/program_manifest.h"
#include "rpc/channel.h"
#include "rpc/secret.h"
#include "rpc/server.h"

namespace rayx::node {
namespace {

namespace fs = std::filesystem;
using Found = PartLook::Found;

// SHA-256 of "abc" (FIPS 180-2, appendix B.1).
constexpr char kHashOfAbc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

struct Folder {
  Folder() {
    char name[] = "/tmp/rayx-parts-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    path = name;
  }
  ~Folder() { fs::remove_all(path); }
  std::string Write(const std::string& name, const std::string& text) const {
    fs::create_directories(fs::path(path + "/" + name).parent_path());
    std::ofstream(path + "/" + name, std::ios::binary) << text;
    return path + "/" + name;
  }
  std::string path;
};

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string Self() {
  return fs::read_symlink("/proc/self/exe");
}

proto::Part Library(const std::string& path) {
  proto::Part part;
  part.set_path(path);
  part.set_name(fs::path(path).filename());
  return part;
}

ElfFacts FactsOf(const std::string& path) {
  const auto file = FileIdentities::Open(path);
  REQUIRE(file.ok());
  return ReadElf(file->get());
}

}  // namespace

TEST_CASE("ElfFile: a build id is read, and what is no program has none") {
  const Folder folder;
  const std::string own = FactsOf(Self()).build_id;
  const std::string libc = FactsOf("/proc/self/exe").build_id;
  CHECK(own == libc);
  // The C library of every distribution has one, of 20 bytes.
  for (const char* path : {"/lib/x86_64-linux-gnu/libc.so.6", "/lib64/libc.so.6",
                           "/lib/aarch64-linux-gnu/libc.so.6"}) {
    if (fs::exists(path)) CHECK(FactsOf(path).build_id.size() == 40);
  }
  CHECK(FactsOf(folder.Write("empty", "")).build_id.empty());
  CHECK(FactsOf(folder.Write("text", std::string(10000, 'x'))).build_id.empty());
  CHECK(FactsOf(folder.Write("magic",
                             "\x7f"
                             "ELF\x02\x01"))
            .build_id.empty());
}

TEST_CASE("ElfFile: a file cut short or changed anywhere in its tables is read without harm") {
  const Folder folder;
  const std::string whole = ReadAll(Self());
  for (const size_t bytes :
       {size_t{16}, size_t{63}, size_t{64}, size_t{100}, size_t{500}, size_t{1000}, size_t{4096}}) {
    FactsOf(folder.Write("cut", whole.substr(0, bytes)));
  }
  // The header and the table of segments lie in the first KiB; all ones make every size huge.
  for (size_t at = 16; at < 1024; at += 4) {
    std::string changed = whole.substr(0, 64 * 1024);
    std::memset(changed.data() + at, 0xff, 8);
    const ElfFacts facts = FactsOf(folder.Write("changed", changed));
    CHECK(facts.build_id.size() <= 128);
    CHECK(facts.rpath.size() <= 4096);
  }
}

TEST_CASE("Manifest: the daemon's own reading of the files counts, not the driver's word") {
  const Folder folder;
  FileIdentities identities;
  proto::Program program;
  program.set_executable(folder.Write("run", "abc"));
  proto::Part& library = *program.add_parts();
  library = Library(folder.Write("libuser.so.1", "other"));
  library.set_sha256(std::string(64, '0'));
  library.set_bytes(77);
  *program.add_parts() = Library(folder.path + "/gone.so");
  *program.add_parts() = Library(folder.Write("second/libuser.so.1", "shadowed"));
  const auto manifest = MakeManifest(program, model::NodeNumber{4}, identities);
  REQUIRE(manifest.ok());
  const proto::Program& made = manifest->program;
  REQUIRE(ProgramPartsCore::CheckProgram(made).ok());
  REQUIRE(made.parts_size() == 2);
  CHECK(made.parts(0).path() == program.executable());
  CHECK(made.parts(0).sha256() == kHashOfAbc);
  CHECK(made.parts(0).bytes() == 3);
  CHECK(made.parts(1).bytes() == 5);
  CHECK(made.parts(1).sha256() != library.sha256());
  CHECK(made.source_node() == 4);
  REQUIRE(manifest->files.count(kHashOfAbc) == 1);
  // The key names the program, not whose it is; another build is another program.
  const auto elsewhere = MakeManifest(program, model::NodeNumber{5}, identities);
  CHECK(elsewhere->program.key() == made.key());
  folder.Write("libuser.so.1", "build");
  const auto rebuilt = MakeManifest(program, model::NodeNumber{4}, identities);
  CHECK(rebuilt->program.key() != made.key());
}

// A daemon keeps the files of ended drivers: the same program run again and again must not use up
// its descriptors.
TEST_CASE("Manifest: drivers of the same files share descriptors, those of a rebuilt one do not") {
  const Folder folder;
  FileIdentities identities;
  proto::Program program;
  program.set_executable(folder.Write("run", "abc"));
  *program.add_parts() = Library(folder.Write("libuser.so", "library"));
  const auto first = MakeManifest(program, model::NodeNumber{4}, identities);
  auto again = MakeManifest(program, model::NodeNumber{4}, identities);
  REQUIRE(first.ok());
  REQUIRE(again.ok());
  ShareFiles(*first, *again);
  CHECK(again->files == first->files);
  // Of equal bytes, but another file: the first one may be changed in place.
  fs::remove(program.executable());
  folder.Write("run", "abc");
  auto copied = MakeManifest(program, model::NodeNumber{4}, identities);
  REQUIRE(copied.ok());
  ShareFiles(*first, *copied);
  CHECK(copied->files.at(kHashOfAbc) != first->files.at(kHashOfAbc));
  CHECK(copied->files.at(copied->program.parts(1).sha256()) ==
        first->files.at(first->program.parts(1).sha256()));
}

TEST_CASE("Manifest: an executable that cannot be read, and too many libraries, are refused") {
  const Folder folder;
  FileIdentities identities;
  const model::NodeNumber node{1};
  proto::Program program;
  program.set_executable(folder.path + "/nothing");
  CHECK(absl::IsNotFound(MakeManifest(program, node, identities).status()));
  program.set_executable(folder.path);  // a folder
  CHECK(absl::IsNotFound(MakeManifest(program, node, identities).status()));
  REQUIRE(::mkfifo((folder.path + "/pipe").c_str(), 0600) == 0);
  program.set_executable(folder.path + "/pipe");  // opening it would wait for a writer
  CHECK(absl::IsNotFound(MakeManifest(program, node, identities).status()));
  program.set_executable(folder.Write("run", "abc"));
  *program.add_parts() = Library(folder.Write("liba.so", "a"));
  program.mutable_parts(0)->set_name("../liba.so");  // not the driver's to say
  const auto manifest = MakeManifest(program, node, identities);
  REQUIRE(manifest.ok());
  CHECK(manifest->program.parts(1).name() == "liba.so");
  for (int i = 0; i < 1024; ++i) *program.add_parts() = program.parts(0);
  CHECK(absl::IsInvalidArgument(MakeManifest(program, node, identities).status()));
}

TEST_CASE("Manifest: a part is found where it lies, and another build of it is told apart") {
  const Folder folder;
  FileIdentities identities;
  proto::Part part = Library(folder.Write("liba.so", "abc"));
  part.set_bytes(3);
  part.set_sha256(kHashOfAbc);
  CHECK(LookFor(part, false, "", identities).found == Found::kSame);
  folder.Write("liba.so", "abd");
  CHECK(LookFor(part, false, "", identities).found == Found::kOther);
  folder.Write("liba.so", "abcd");
  CHECK(LookFor(part, false, "", identities).found == Found::kOther);
  fs::remove(part.path());
  CHECK(LookFor(part, false, "", identities).found == Found::kNothing);
  // One that travels is not looked for elsewhere: another program's could be found.
  folder.Write("elsewhere/liba.so", "abc");
  CHECK(LookFor(part, false, folder.path + "/elsewhere", identities).found == Found::kNothing);
}

TEST_CASE("Manifest: LibTorch is found in the daemon's search path, by its build id") {
  const Folder folder;
  FileIdentities identities;
  const std::string own = ReadAll(Self());
  const std::string build_id = FactsOf(Self()).build_id;
  proto::Part part = Library(folder.path + "/venv/libtorch_cpu.so");
  part.set_bytes(own.size());
  part.set_build_id(build_id);
  if (build_id.empty())
    part.set_sha256([&] {
      Sha256 hash;
      hash.Add(own);
      return hash.Finish();
    }());
  const std::string search = "relative::" + folder.path + "/one:" + folder.path + "/two";
  CHECK(LookFor(part, false, search, identities).found == Found::kNothing);
  folder.Write("one/libtorch_cpu.so", "another build");
  PartLook look = LookFor(part, false, search, identities);
  CHECK(look.found == Found::kOther);
  CHECK(look.path == folder.path + "/one/libtorch_cpu.so");
  folder.Write("two/libtorch_cpu.so", own);
  look = LookFor(part, false, search, identities);
  CHECK(look.found == Found::kSame);
  CHECK(look.path == folder.path + "/two/libtorch_cpu.so");
  CHECK_FALSE(look.by_default);
}

TEST_CASE("PartFolder: a file has its name only when all its bytes are right") {
  const Folder folder;
  PartFolder parts(folder.path + "/parts");
  REQUIRE(parts.Prepare().ok());
  struct stat info {};
  REQUIRE(::stat(parts.path().c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0700);
  const std::string final = parts.path() + "/" + kHashOfAbc;
  const auto files = [&] {
    return std::distance(fs::directory_iterator(parts.path()), fs::directory_iterator());
  };
  SECTION("right") {
    auto writer = PartWriter::Begin(parts.path(), kHashOfAbc, 3);
    REQUIRE(writer.ok());
    CHECK(writer->Write("a").ok());
    CHECK_FALSE(fs::exists(final));
    CHECK(writer->Write("bc").ok());
    CHECK(writer->Finish().ok());
    CHECK(ReadAll(final) == "abc");
    REQUIRE(::stat(final.c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0500);
    parts.Remove(kHashOfAbc);
    CHECK(files() == 0);
  }
  SECTION("a wrong part") {
    {
      auto writer = PartWriter::Begin(parts.path(), kHashOfAbc, 3);
      CHECK(writer->Write("abd").ok());
      CHECK(absl::IsDataLoss(writer->Finish()));
    }
    CHECK(files() == 0);
  }
  SECTION("too few bytes, too many, and a transfer that was cut short") {
    {
      auto writer = PartWriter::Begin(parts.path(), kHashOfAbc, 3);
      CHECK(writer->Write("ab").ok());
      CHECK(absl::IsDataLoss(writer->Finish()));
    }
    {
      auto writer = PartWriter::Begin(parts.path(), kHashOfAbc, 3);
      CHECK(absl::IsDataLoss(writer->Write("abcd")));
    }
    CHECK(files() == 0);
    // What a killed daemon left is no obstacle.
    folder.Write("parts/." + std::string(kHashOfAbc), "ab");
    auto writer = PartWriter::Begin(parts.path(), kHashOfAbc, 3);
    REQUIRE(writer.ok());
    CHECK(writer->Write("abc").ok());
    CHECK(writer->Finish().ok());
  }
  SECTION("a program's folder") {
    using Links = std::vector<std::pair<std::string, std::string>>;
    const Links links{{"liba.so.1", final}, {"libb.so", "/elsewhere/libb.so"}};
    REQUIRE(parts.Link("k", links).ok());
    REQUIRE(parts.Link("k", links).ok());  // again, after a job that went
    CHECK(fs::read_symlink(parts.path() + "/program-k/liba.so.1") == final);
    parts.Unlink("k");
    CHECK(files() == 0);
  }
}

TEST_CASE("PartFolder: a disk that is full is said as such") {
  const Folder folder;
  PartFolder parts(folder.path + "/parts");
  REQUIRE(parts.Prepare().ok());
  // A limit on the size of files stands for the disk: the kernel refuses the same write.
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  rlimit small = before;
  small.rlim_cur = 4096;
  auto writer = PartWriter::Begin(parts.path(), kHashOfAbc, 1 << 20);
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  const base::Status status = writer->Write(std::string(1 << 20, 'x'));
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
  CHECK(absl::IsResourceExhausted(status));
  CHECK(std::string(base::Message(status)).find(parts.path()) != std::string::npos);
  CHECK(std::string(base::Message(status)).find("RAYX_SESSION_DIR") != std::string::npos);
}

TEST_CASE("PartFolder: what an earlier daemon left is emptied, what is not ours is refused") {
  const Folder folder;
  folder.Write("parts/old", "x");
  PartFolder parts(folder.path + "/parts");
  REQUIRE(parts.Prepare().ok());
  CHECK(fs::is_empty(parts.path()));
  CHECK_FALSE(PartFolder(folder.path + "/no/such/parts").Prepare().ok());
}

namespace {

// A daemon's server of parts, with what it has.
struct Serving {
  Serving() {
    credentials.token = rpc::RandomHex(rpc::kTokenBytes);
    rpc::ServerOptions options;
    options.credentials = credentials;
    server = std::make_unique<rpc::RpcServer>(options);
    parts = std::make_unique<PartServer>(
        [this](std::function<void()> call) {
          if (drop) return false;
          call();
          return true;
        },
        [this](const std::string& sha256) -> std::shared_ptr<const PartFile> {
          auto it = files.find(sha256);
          return it == files.end() ? nullptr : it->second;
        });
    parts->AddTo(*server);
    REQUIRE(server->Start().ok());
    channel = std::make_unique<rpc::RpcChannel>(server->address(), rpc::Role::kNode, credentials);
  }
  ~Serving() {
    parts->Stop();
    server->Stop(std::chrono::milliseconds(200));
  }
  base::Status Get(const std::string& sha256, uint64_t bytes, std::string& data) {
    proto::PartRequest request;
    request.set_sha256(sha256);
    PartStream stream;
    return stream.Run(channel->grpc_channel(), request, bytes, [&](std::string_view chunk) {
      data += chunk;
      return base::OkStatus();
    });
  }

  rpc::ClusterCredentials credentials;
  std::unique_ptr<rpc::RpcServer> server;
  std::unique_ptr<PartServer> parts;
  std::unique_ptr<rpc::RpcChannel> channel;
  PartFiles files;
  std::atomic<bool> drop{false};
};

}  // namespace

TEST_CASE("PartServer: parts are served whole, by their hash and by nothing else") {
  const Folder folder;
  Serving serving;
  FileIdentities identities;
  std::string text;
  for (int i = 0; text.size() < (5u << 20) + 17; ++i) text += std::to_string(i);
  proto::Program program;
  program.set_executable(folder.Write("run", text));
  *program.add_parts() = Library(folder.Write("libempty.so", ""));
  auto manifest = MakeManifest(program, model::NodeNumber{1}, identities);
  REQUIRE(manifest.ok());
  serving.files = manifest->files;
  const proto::Part& part = manifest->program.parts(0);
  fs::remove(program.executable());  // a rebuild: the descriptor is what was hashed
  folder.Write("run", "another build");
  std::string data;
  CHECK(serving.Get(part.sha256(), text.size(), data).ok());
  CHECK(data == text);
  data.clear();
  CHECK(serving.Get(manifest->program.parts(1).sha256(), 0, data).ok());
  CHECK(data.empty());
  for (const std::string& asked : {std::string(), program.executable(), std::string("/etc/passwd"),
                                   std::string("../run"), std::string(64, '0')}) {
    CHECK(absl::IsNotFound(serving.Get(asked, 1 << 20, data)));
  }
  CHECK(data.empty());
  SECTION("more than was announced is not taken") {
    CHECK(absl::IsDataLoss(serving.Get(part.sha256(), 3 << 20, data)));
    CHECK(data.size() <= 3u << 20);
  }
  SECTION("a file that is cut short while it is served") {
    REQUIRE(::truncate(folder.Write("cut", text).c_str(), static_cast<off_t>(text.size())) == 0);
    auto cut = FileIdentities::Open(folder.path + "/cut");
    serving.files["cut"] =
        std::make_shared<const PartFile>(PartFile{*std::move(cut), text.size() + 1, {}});
    CHECK(absl::IsDataLoss(serving.Get("cut", text.size() + 1, data)));
  }
  SECTION("a daemon that ends answers") {
    serving.drop = true;
    CHECK(absl::IsUnavailable(serving.Get(part.sha256(), text.size(), data)));
  }
  SECTION("without the token nothing is served") {
    rpc::ClusterCredentials wrong = serving.credentials;
    wrong.token = rpc::RandomHex(rpc::kTokenBytes);
    serving.channel =
        std::make_unique<rpc::RpcChannel>(serving.server->address(), rpc::Role::kNode, wrong);
    CHECK(absl::IsUnauthenticated(serving.Get(part.sha256(), text.size(), data)));
    CHECK(data.empty());
  }
}

TEST_CASE("PartStream: a cancelled transfer ends, also before it has begun") {
  Serving serving;
  proto::PartRequest request;
  PartStream stream;
  stream.Cancel();
  CHECK(stream.cancelled());
  CHECK_FALSE(stream
                  .Run(serving.channel->grpc_channel(), request, 1,
                       [](std::string_view) { return base::OkStatus(); })
                  .ok());
}

}  // namespace rayx::node
