// Goal: extents are written through one mapping and read through another that cannot be written;
// memory is given and taken back; nothing outside the segment is reachable. Method: a real segment.
#include "shm/segment.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <catch2/catch.hpp>

#include <csignal>
#include <cstring>

#include "base/page_block.h"

namespace rayx::shm {
namespace {

constexpr uint64_t kMiB = 1 << 20;

base::UniqueFd Segment(uint64_t bytes = 64 * kMiB) {
  return *CreateSegment(model::JobId{4}, bytes);
}

uint64_t AllocatedBytes(int fd) {
  struct stat status;
  ::fstat(fd, &status);
  return static_cast<uint64_t>(status.st_blocks) * 512;
}

}  // namespace

TEST_CASE("Segment: sparse at first, an extent takes memory, punching gives it back") {
  const base::UniqueFd segment = Segment(uint64_t{1} << 36);
  CHECK(AllocatedBytes(segment.get()) == 0);
  REQUIRE(Fallocate(segment.get(), 5 * kPageBytes, 9 * kMiB + 1).ok());
  CHECK(AllocatedBytes(segment.get()) == ExtentBytes(9 * kMiB + 1));
  REQUIRE(Punch(segment.get(), 5 * kPageBytes, ExtentBytes(9 * kMiB + 1)).ok());
  CHECK(AllocatedBytes(segment.get()) == 0);
}

TEST_CASE("Segment: what one writes the other reads, and a punched extent reads as zeros") {
  const base::UniqueFd segment = Segment();
  REQUIRE(Fallocate(segment.get(), kMiB, 10'000).ok());
  auto view = ReadView::Open(base::UniqueFd(::dup(segment.get())));
  REQUIRE(view.ok());
  {
    const auto extent =
        Mapping::Map(segment.get(), kMiB, ExtentBytes(10'000), Protection::kReadWrite);
    REQUIRE(extent.ok());
    std::memset(extent->data(), 7, 10'000);
  }
  const auto bytes = (*view)->View(kMiB, 10'000);
  REQUIRE(bytes.ok());
  CHECK(bytes->front() == std::byte{7});
  CHECK(bytes->back() == std::byte{7});
  CHECK((*view)->Contains(bytes->data()));
  CHECK((*view)->OffsetOf(bytes->data()) == kMiB);
  CHECK_FALSE((*view)->Contains(&segment));
  REQUIRE(Punch(segment.get(), kMiB, ExtentBytes(10'000)).ok());
  CHECK(bytes->front() == std::byte{0});
}

TEST_CASE("Segment: ranges outside it are refused") {
  const base::UniqueFd segment = Segment(kMiB);
  CHECK(Fallocate(segment.get(), kMiB, 1).code() == base::StatusCode::kOutOfRange);
  CHECK(Fallocate(segment.get(), UINT64_MAX, 2).code() == base::StatusCode::kOutOfRange);
  CHECK(Fallocate(segment.get(), 0, 0).code() == base::StatusCode::kOutOfRange);
  CHECK(Punch(segment.get(), 1, kPageBytes).code() == base::StatusCode::kOutOfRange);
  CHECK(Punch(segment.get(), 0, kMiB + kPageBytes).code() == base::StatusCode::kOutOfRange);
  auto view = ReadView::Open(base::UniqueFd(::dup(segment.get())));
  CHECK_FALSE((*view)->Contains(&segment));
  CHECK((*view)->View(kMiB, 1).status().code() == base::StatusCode::kOutOfRange);
  CHECK_FALSE((*view)->View(1, UINT64_MAX).ok());
  CHECK((*view)->View(kMiB, 0)->empty());
  CHECK_FALSE(ReadView::Open(base::UniqueFd()).ok());
}

TEST_CASE("Segment: memory is given in steps that end where a huge page does") {
  for (const uint64_t start : {uint64_t{0}, 5 * uint64_t{kPageBytes}, 3 * kMiB}) {
    constexpr uint64_t kBytes = 9 * kMiB + 123;
    uint64_t at = start;
    while (at < start + kBytes) {
      const uint64_t step = FallocateStep(at, start + kBytes - at);
      REQUIRE(step > 0);
      REQUIRE(step <= kFallocateStepBytes);
      at += step;
      CHECK((at == start + kBytes || at % base::kHugePageBytes == 0));
    }
  }
}

TEST_CASE("Segment: a write through a view faults") {
  const base::UniqueFd segment = Segment(kMiB);
  REQUIRE(Fallocate(segment.get(), 0, kPageBytes).ok());
  const pid_t child = ::fork();
  if (child == 0) {
    // A sanitizer's own handler would turn the signal into an exit.
    std::signal(SIGSEGV, SIG_DFL);
    auto view = ReadView::Open(base::UniqueFd(::dup(segment.get())));
    const auto bytes = (*view)->View(0, 1);
    *const_cast<volatile std::byte*>(bytes->data()) = std::byte{1};
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGSEGV);
}

}  // namespace rayx::shm
