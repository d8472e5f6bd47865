#include "shm/client_segments.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "shm/fault_report.h"

// Newer than Debian 12's headers.
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

namespace rayx::shm {

// One job's segment as this process sees it. Lives as long as any handle into it.
class SegmentAccess {
 public:
  SegmentAccess(std::shared_ptr<ControlArea> control, std::unique_ptr<ReadView> view,
                std::unique_ptr<PinLedger> ledger)
      : control_(std::move(control)),
        view_(std::move(view)),
        ledger_(std::move(ledger)),
        watched_(*view_, *control_) {}

  ControlArea& control() { return *control_; }
  ReadView& view() { return *view_; }
  PinLedger& ledger() { return *ledger_; }

  // The whole pages of an extent where they can be written: in a mapping of the segment beside the
  // view, made with the first. It stays, as do its pages: to change the protection of megabytes
  // back and forth costs a quarter of a copy. A process that has no room for that (ulimit -v) gets
  // a mapping of the extent alone, into `own`.
  base::StatusOr<std::span<std::byte>> Writable(uint64_t offset, uint64_t bytes, Mapping& own) {
    const std::lock_guard lock(mutex_);
    if (offset % kPageBytes != 0 || offset > view_->bytes() || bytes > view_->bytes() - offset) {
      return base::MakeStatus(base::StatusCode::kOutOfRange,
                              "an extent that is not whole pages of its segment");
    }
    if (writable_.data() == nullptr) {
      auto whole = Mapping::Map(view_->fd(), 0, view_->bytes(), Protection::kReadWrite);
      if (!whole.ok()) {
        RAYX_ASSIGN_OR_RETURN(own,
                              Mapping::Map(view_->fd(), offset, bytes, Protection::kReadWrite));
        return own.bytes();
      }
      writable_ = *std::move(whole);
    }
    const std::span<std::byte> pages(writable_.data() + offset, bytes);
    MapPages(pages, offset);
    return pages;
  }

 private:
  // All at once: one fault at a time costs four times a copy. Only a hint, and nothing to do for
  // those that are mapped since an earlier write. Under mutex_.
  void MapPages(std::span<std::byte> pages, uint64_t offset) {
    if (const uint64_t punches = control_->punches(); punches != punches_seen_) {
      punches_seen_ = punches;
      is_mapped_.clear();
    }
    is_mapped_.resize(view_->bytes() / kPageBytes);
    const auto first = is_mapped_.begin() + static_cast<std::ptrdiff_t>(offset / kPageBytes);
    const auto last = first + static_cast<std::ptrdiff_t>(pages.size() / kPageBytes);
    if (std::find(first, last, false) == last) return;
    if (::madvise(pages.data(), pages.size(), MADV_POPULATE_WRITE) == 0) {
      std::fill(first, last, true);
    }
  }

  const std::shared_ptr<ControlArea> control_;
  const std::unique_ptr<ReadView> view_;
  const std::unique_ptr<PinLedger> ledger_;
  const WatchedSegment watched_;
  std::mutex mutex_;
  Mapping writable_;             // under mutex_
  std::vector<bool> is_mapped_;  // in it, by page; under mutex_
  uint64_t punches_seen_ = 0;    // under mutex_
};

namespace {

base::Status Stale(const model::StoredLocation& location, const char* what) {
  return base::MakeStatus(base::StatusCode::kNotFound,
                          "object " + ToString(location.object) + " " + what);
}

// The entry says the same as the location, under the location's generation. Both may be forged:
// what they agree on is still checked against the segment before it is used.
bool Agree(const Extent& extent, const model::StoredLocation& location) {
  return extent.generation == location.generation && extent.object == location.object &&
         extent.offset == location.offset && extent.size == location.size && location.size > 0;
}

}  // namespace

// --- Writing ---

WritableObject::WritableObject(WritableObject&& other) noexcept
    : access_(std::move(other.access_)),
      own_(std::move(other.own_)),
      bytes_(std::exchange(other.bytes_, {})),
      entry_(other.entry_),
      generation_(other.generation_) {}

WritableObject& WritableObject::operator=(WritableObject&& other) noexcept {
  if (this == &other) return *this;
  access_ = std::move(other.access_);
  own_ = std::move(other.own_);
  bytes_ = std::exchange(other.bytes_, {});
  entry_ = other.entry_;
  generation_ = other.generation_;
  return *this;
}

WritableObject::~WritableObject() = default;

base::Status WritableObject::Seal() {
  if (access_ == nullptr) {
    return base::MakeStatus(base::StatusCode::kFailedPrecondition, "no object is being written");
  }
  bytes_ = {};
  own_ = Mapping();
  const auto access = std::exchange(access_, nullptr);
  return access->control().Seal(entry_, generation_);
}

// --- Reading ---

PinnedObject::PinnedObject(PinnedObject&& other) noexcept
    : access_(std::move(other.access_)),
      bytes_(std::exchange(other.bytes_, {})),
      slot_(other.slot_) {}

PinnedObject& PinnedObject::operator=(PinnedObject&& other) noexcept {
  if (this == &other) return *this;
  Release();
  access_ = std::move(other.access_);
  bytes_ = std::exchange(other.bytes_, {});
  slot_ = other.slot_;
  return *this;
}

PinnedObject::~PinnedObject() {
  Release();
}

void PinnedObject::Release() {
  if (access_ == nullptr) return;
  bytes_ = {};
  access_->ledger().Unpin(slot_);
  access_ = nullptr;
}

// --- The process's segments ---

base::Status ClientSegments::AddSegment(model::JobId job, base::UniqueFd segment,
                                        base::UniqueFd control, uint64_t segment_bytes,
                                        uint64_t control_bytes, uint32_t ledger) {
  const std::lock_guard lock(mutex_);
  if (segments_.count(job) != 0) return base::OkStatus();
  RAYX_ASSIGN_OR_RETURN(const uint64_t actual_control, CheckedFileBytes(control.get()));
  RAYX_ASSIGN_OR_RETURN(auto area, ControlArea::Open(control.get()));
  RAYX_ASSIGN_OR_RETURN(auto view, ReadView::Open(std::move(segment)));
  if (view->bytes() != segment_bytes || actual_control != control_bytes) {
    return base::MakeStatus(base::StatusCode::kInvalidArgument,
                            "the memory of " + ToString(job) + " is not of the size that was said");
  }
  RAYX_ASSIGN_OR_RETURN(auto pins, PinLedger::Open(area, process_, ledger));
  segments_.emplace(
      job, std::make_shared<SegmentAccess>(std::move(area), std::move(view), std::move(pins)));
  return base::OkStatus();
}

bool ClientSegments::HasSegment(model::JobId job) const {
  return Find(job) != nullptr;
}

void ClientSegments::RemoveSegment(model::JobId job) {
  std::shared_ptr<SegmentAccess> last;  // unmapped after the lock
  const std::lock_guard lock(mutex_);
  const auto at = segments_.find(job);
  if (at == segments_.end()) return;
  last = std::move(at->second);
  segments_.erase(at);
}

std::shared_ptr<SegmentAccess> ClientSegments::Find(model::JobId job) const {
  const std::lock_guard lock(mutex_);
  const auto at = segments_.find(job);
  return at == segments_.end() ? nullptr : at->second;
}

base::StatusOr<WritableObject> ClientSegments::MapWritable(const model::StoredLocation& granted) {
  const auto access = Find(granted.job);
  if (access == nullptr) return Stale(granted, "is of a job whose segment is not attached");
  const auto extent = access->control().Read(granted.entry);
  if (!extent.ok() || !Agree(*extent, granted) || extent->state != ExtentState::kWriting) {
    return Stale(granted, "is not granted to be written");
  }
  if (granted.size > access->view().bytes()) {
    return base::MakeStatus(base::StatusCode::kOutOfRange, "an extent larger than its segment");
  }
  WritableObject object;
  RAYX_ASSIGN_OR_RETURN(const auto pages,
                        access->Writable(granted.offset, ExtentBytes(granted.size), object.own_));
  object.access_ = access;
  object.bytes_ = pages.first(granted.size);
  object.entry_ = granted.entry;
  object.generation_ = granted.generation;
  return object;
}

base::StatusOr<PinnedObject> ClientSegments::Pin(const model::StoredLocation& location) {
  const auto access = Find(location.job);
  if (access == nullptr) return Stale(location, "is of a job whose segment is not attached");
  const PinLedger::Pin pin = access->ledger().TryPin(location.entry, location.generation);
  switch (pin.result) {
    case PinResult::kPinned:
      break;
    case PinResult::kGone:
      return Stale(location, "is no longer where it was");
    case PinResult::kEvicting:
      return base::MakeStatus(base::StatusCode::kUnavailable,
                              "object " + ToString(location.object) + " is being moved");
    case PinResult::kNoSlot:
      return base::MakeStatus(base::StatusCode::kResourceExhausted,
                              "no pin is left for object " + ToString(location.object) +
                                  ": too many objects of the job are being read on this node");
  }
  PinnedObject object;
  object.access_ = access;
  object.slot_ = pin.slot;
  const auto extent = access->control().Read(location.entry);
  if (!extent.ok() || !Agree(*extent, location)) {
    return Stale(location, "is not what its location says");  // unpinned by `object`
  }
  RAYX_ASSIGN_OR_RETURN(object.bytes_, access->view().View(location.offset, location.size));
  return object;
}

}  // namespace rayx::shm
