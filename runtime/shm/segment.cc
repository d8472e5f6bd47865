#include "shm/segment.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <functional>
#include <string>
#include <utility>

#include "base/page_block.h"

namespace rayx::shm {
namespace {

base::Status OutOfRange(uint64_t offset, uint64_t size, uint64_t segment_bytes) {
  return base::MakeStatus(base::StatusCode::kOutOfRange, "segment: " + std::to_string(size) +
                                                             " bytes at " + std::to_string(offset) +
                                                             " do not lie in its " +
                                                             std::to_string(segment_bytes));
}

bool Inside(uint64_t offset, uint64_t size, uint64_t segment_bytes) {
  return offset <= segment_bytes && size <= segment_bytes - offset;
}

base::Status FallocateError(const char* what) {
  const int error = errno;
  const bool memory = error == ENOSPC || error == ENOMEM;
  return base::MakeStatus(
      memory ? base::StatusCode::kResourceExhausted : base::StatusCode::kUnavailable,
      std::string("segment: ") + what + ": " + std::strerror(error));
}

// One fallocate; false leaves errno.
bool Change(int fd, int mode, uint64_t offset, uint64_t bytes) {
  int result;
  do {
    result = ::fallocate(fd, mode, static_cast<off_t>(offset), static_cast<off_t>(bytes));
  } while (result != 0 && errno == EINTR);
  return result == 0;
}

// Of shared memory: most systems have them switched off ("never").
bool HasHugePages() {
  std::ifstream file("/sys/kernel/mm/transparent_hugepage/shmem_enabled");
  std::string choices;
  return std::getline(file, choices) && choices.find("[never]") == std::string::npos &&
         choices.find("[deny]") == std::string::npos;
}

// Whole huge pages of a range, where the VM has them: an object of megabytes is then mapped and
// written by its few huge pages, not by its thousands of small ones. fallocate gives small ones
// alone. Only a try: whatever it leaves out, fallocate gives.
void GiveHugePages(int segment, uint64_t offset, uint64_t bytes) {
  static const bool kHas = HasHugePages();
  if (!kHas) return;
  const uint64_t first = (offset + base::kHugePageBytes - 1) & ~(base::kHugePageBytes - 1);
  const uint64_t end = (offset + bytes) & ~(base::kHugePageBytes - 1);
  if (first >= end) return;
  const auto mapping = Mapping::Map(segment, first, end - first, Protection::kReadWrite);
  if (!mapping.ok()) return;
  if (::madvise(mapping->data(), end - first, MADV_HUGEPAGE) != 0) return;
  (void)mapping->Populate(0, end - first);
}

}  // namespace

base::StatusOr<base::UniqueFd> CreateSegment(model::JobId job, uint64_t bytes) {
  return CreateMemoryFile("segment-" + ToString(job), bytes);
}

uint64_t FallocateStep(uint64_t offset, uint64_t bytes) {
  return std::min(bytes, kFallocateStepBytes - offset % base::kHugePageBytes);
}

base::Status Fallocate(int segment, uint64_t offset, uint64_t bytes) {
  RAYX_ASSIGN_OR_RETURN(const uint64_t segment_bytes, CheckedFileBytes(segment));
  if (bytes == 0 || !Inside(offset, bytes, segment_bytes)) {
    return OutOfRange(offset, bytes, segment_bytes);
  }
  for (uint64_t done = 0; done < bytes;) {
    const uint64_t step = FallocateStep(offset + done, bytes - done);
    GiveHugePages(segment, offset + done, step);
    if (!Change(segment, FALLOC_FL_KEEP_SIZE, offset + done, step)) {
      const base::Status status = FallocateError("no memory for an extent");
      (void)Punch(segment, offset, ExtentBytes(done + step));  // huge pages of this step, too
      return status;
    }
    done += step;
  }
  return base::OkStatus();
}

base::Status Punch(int segment, uint64_t offset, uint64_t bytes) {
  RAYX_ASSIGN_OR_RETURN(const uint64_t segment_bytes, CheckedFileBytes(segment));
  if (bytes == 0 || offset % kPageBytes != 0 || bytes % kPageBytes != 0 ||
      !Inside(offset, bytes, segment_bytes)) {
    return OutOfRange(offset, bytes, segment_bytes);
  }
  if (Change(segment, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, bytes)) {
    return base::OkStatus();
  }
  return FallocateError("giving memory back");
}

base::StatusOr<std::unique_ptr<ReadView>> ReadView::Open(base::UniqueFd segment) {
  RAYX_ASSIGN_OR_RETURN(const uint64_t bytes, CheckedFileBytes(segment.get()));
  return std::unique_ptr<ReadView>(new ReadView(std::move(segment), bytes));
}

ReadView::ReadView(base::UniqueFd segment, uint64_t bytes)
    : segment_(std::move(segment)), bytes_(bytes) {}

base::StatusOr<std::span<const std::byte>> ReadView::View(uint64_t offset, uint64_t size) {
  if (!Inside(offset, size, bytes_)) return OutOfRange(offset, size, bytes_);
  const std::byte* base = base_.load(std::memory_order_acquire);
  if (base == nullptr) {
    const std::lock_guard lock(mutex_);
    if (mapping_.data() == nullptr) {
      RAYX_ASSIGN_OR_RETURN(mapping_, Mapping::Map(segment_.get(), 0, bytes_, Protection::kRead));
      base_.store(mapping_.data(), std::memory_order_release);
    }
    base = mapping_.data();
  }
  return std::span<const std::byte>(base + offset, size);
}

bool ReadView::Contains(const void* address) const {
  const std::byte* base = base_.load(std::memory_order_acquire);
  const auto* at = static_cast<const std::byte*>(address);
  return base != nullptr && std::less_equal<>()(base, at) && std::less<>()(at, base + bytes_);
}

uint64_t ReadView::OffsetOf(const void* address) const {
  return static_cast<uint64_t>(static_cast<const std::byte*>(address) -
                               base_.load(std::memory_order_acquire));
}

}  // namespace rayx::shm
