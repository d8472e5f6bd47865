// Goal: memory files are what peers may rely on, and nothing else is mapped. Method: make them,
// then offer every kind of wrong descriptor.
#include "shm/memory_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <catch2/catch.hpp>

#include <cstring>
#include <fstream>
#include <string>

namespace rayx::shm {
namespace {

bool Resident(const Mapping& mapping, size_t page) {
  unsigned char resident = 0;
  ::mincore(mapping.data() + page * kPageBytes, kPageBytes, &resident);
  return (resident & 1) != 0;
}

}  // namespace

TEST_CASE("Memory file: sealed, private, named, close-on-exec and of whole pages") {
  const auto fd = CreateMemoryFile("test", 5000);
  REQUIRE(fd.ok());
  struct stat status;
  REQUIRE(::fstat(fd->get(), &status) == 0);
  CHECK(status.st_size == 8192);
  CHECK((status.st_mode & 0777) == 0600);
  CHECK(status.st_blocks == 0);
  CHECK((::fcntl(fd->get(), F_GETFD) & FD_CLOEXEC) != 0);
  const int seals = ::fcntl(fd->get(), F_GET_SEALS);
  CHECK((seals & F_SEAL_SHRINK) != 0);
  CHECK((seals & F_SEAL_GROW) != 0);
  CHECK((seals & F_SEAL_SEAL) != 0);
  CHECK(::ftruncate(fd->get(), 4096) != 0);
  CHECK(::ftruncate(fd->get(), 16384) != 0);
  char target[128] = {};
  REQUIRE(::readlink(("/proc/self/fd/" + std::to_string(fd->get())).c_str(), target, 127) > 0);
  CHECK(std::string(target).find("memfd:rayx:test") != std::string::npos);
}

TEST_CASE("Memory file: a size of zero or beyond the limit is refused") {
  CHECK(CreateMemoryFile("test", 0).status().code() == base::StatusCode::kInvalidArgument);
  CHECK(CreateMemoryFile("test", kMemoryFileBytesMax + 1).status().code() ==
        base::StatusCode::kInvalidArgument);
}

TEST_CASE("Mapping: descriptors that could shrink or are no memory files are refused") {
  const base::UniqueFd unsealed(::memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  REQUIRE(::ftruncate(unsealed.get(), 8192) == 0);
  CHECK(Mapping::MapWhole(unsealed.get(), Protection::kRead, 8192).status().code() ==
        base::StatusCode::kInvalidArgument);
  const base::UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  CHECK_FALSE(Mapping::MapWhole(null.get(), Protection::kRead, 8192).ok());
  CHECK_FALSE(Mapping::MapWhole(-1, Protection::kRead, 8192).ok());
  const base::UniqueFd empty(::memfd_create("empty", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  REQUIRE(::fcntl(empty.get(), F_ADD_SEALS, F_SEAL_SHRINK) == 0);
  CHECK_FALSE(Mapping::MapWhole(empty.get(), Protection::kRead, 8192).ok());
}

TEST_CASE("Mapping: ranges outside the file are refused") {
  const auto fd = CreateMemoryFile("test", 8192);
  REQUIRE(fd.ok());
  CHECK(Mapping::Map(fd->get(), 4096, 4096, Protection::kRead).ok());
  CHECK_FALSE(Mapping::Map(fd->get(), 4096, 4097, Protection::kRead).ok());
  CHECK_FALSE(Mapping::Map(fd->get(), 0, 0, Protection::kRead).ok());
  CHECK_FALSE(Mapping::Map(fd->get(), 1, 100, Protection::kRead).ok());
  CHECK_FALSE(Mapping::Map(fd->get(), UINT64_MAX - 4095, 8192, Protection::kRead).ok());
  CHECK_FALSE(Mapping::MapWhole(fd->get(), Protection::kRead, 4096).ok());
}

TEST_CASE("Mapping: shared between mappings, absent in a forked child") {
  const auto fd = CreateMemoryFile("test", 4096);
  REQUIRE(fd.ok());
  const auto writer = Mapping::MapWhole(fd->get(), Protection::kReadWrite, 4096);
  const auto reader = Mapping::MapWhole(fd->get(), Protection::kRead, 4096);
  REQUIRE(writer.ok());
  REQUIRE(reader.ok());
  std::memcpy(writer->data(), "rayx", 4);
  CHECK(std::memcmp(reader->data(), "rayx", 4) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    // ENOMEM from mincore: nothing is mapped there.
    unsigned char resident;
    ::_exit(::mincore(writer->data(), kPageBytes, &resident) == 0 ? 1 : 0);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}

TEST_CASE("Mapping: moving leaves nothing behind, Populate touches pages") {
  const auto fd = CreateMemoryFile("test", 4 * kPageBytes);
  REQUIRE(fd.ok());
  auto mapping = Mapping::MapWhole(fd->get(), Protection::kReadWrite, 1 << 20);
  REQUIRE(mapping.ok());
  Mapping moved = std::move(*mapping);
  CHECK(mapping->data() == nullptr);
  CHECK_FALSE(Resident(moved, 1));
  if (moved.Populate(kPageBytes, 10)) {
    CHECK(Resident(moved, 1));
    CHECK_FALSE(Resident(moved, 3));
  }
  CHECK_FALSE(moved.Populate(moved.size(), 1));
  moved = Mapping();
  CHECK(moved.data() == nullptr);
}

}  // namespace rayx::shm
