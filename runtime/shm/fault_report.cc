#include "shm/fault_report.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <mutex>
#include <string>
#include <string_view>

namespace rayx::shm {
namespace {

struct Slot {
  std::atomic<const ReadView*> view{nullptr};
  std::atomic<const ControlArea*> control{nullptr};
};
Slot watched[kWatchedSegmentsMax];
std::atomic<ProcessPage*> process_page{nullptr};
std::atomic<bool> says_on_stderr{false};

std::mutex install_mutex;
struct sigaction previous_action;  // written before the handler is installed

// A line in a fixed buffer, with nothing that is not async-signal-safe.
class ReportLine {
 public:
  void Add(std::string_view text) {
    const size_t count = std::min(text.size(), sizeof(text_) - size_);
    std::memcpy(text_ + size_, text.data(), count);
    size_ += count;
  }
  void Add(uint64_t number, int base = 10) {
    const auto end = std::to_chars(text_ + size_, text_ + sizeof(text_), number, base);
    if (end.ec == std::errc()) size_ = static_cast<size_t>(end.ptr - text_);
  }
  void Write() const { [[maybe_unused]] const auto n = ::write(STDERR_FILENO, text_, size_); }

 private:
  char text_[256];
  size_t size_ = 0;
};

// An extent that was freed and granted again lies under two entries: those in use come first.
model::ObjectId ObjectAt(const ControlArea& control, uint64_t offset) {
  model::ObjectId freed;
  for (uint32_t entry = 0; entry < control.entries(); ++entry) {
    const auto extent = control.Read(entry);  // in range, so nothing is allocated
    if (!extent.ok() || extent->state == ExtentState::kFree) continue;
    if (offset < extent->offset || offset - extent->offset >= ExtentBytes(extent->size)) continue;
    if (extent->state != ExtentState::kFreed) return extent->object;
    freed = extent->object;
  }
  return freed;
}

void Say(const FaultReport& report) {
  ReportLine line;
  line.Add("rayx: wrote to immutable object n");
  line.Add(report.object.owner.node().value);
  line.Add(".p");
  line.Add(report.object.owner.number());
  line.Add(".o");
  line.Add(report.object.sequence);
  line.Add(" at address 0x");
  line.Add(report.address, 16);
  line.Add(": clone it first\n");
  line.Write();
}

void DieByDefault(int signal, const siginfo_t& info) {
  struct sigaction action = {};
  action.sa_handler = SIG_DFL;
  ::sigaction(signal, &action, nullptr);
  // A fault comes again when the handler returns; a signal that somebody sent does not.
  if (info.si_code <= 0) ::raise(signal);
}

void Chain(int signal, siginfo_t* info, void* context) {
  if ((previous_action.sa_flags & SA_SIGINFO) != 0) {
    previous_action.sa_sigaction(signal, info, context);
  } else if (previous_action.sa_handler == SIG_DFL || previous_action.sa_handler == SIG_IGN) {
    DieByDefault(signal, *info);
  } else {
    previous_action.sa_handler(signal);
  }
}

void OnFault(int signal, siginfo_t* info, void* context) {
  if (info->si_code == SEGV_ACCERR) {
    for (const Slot& slot : watched) {
      const ReadView* view = slot.view.load(std::memory_order_acquire);
      if (view == nullptr || !view->Contains(info->si_addr)) continue;
      const ControlArea* control = slot.control.load(std::memory_order_relaxed);
      const FaultReport report{ObjectAt(*control, view->OffsetOf(info->si_addr)),
                               reinterpret_cast<uint64_t>(info->si_addr)};
      if (ProcessPage* page = process_page.load(std::memory_order_acquire)) {
        page->ReportFault(report);
      }
      if (says_on_stderr.load(std::memory_order_relaxed)) Say(report);
      DieByDefault(signal, *info);
      return;
    }
  }
  Chain(signal, info, context);
}

}  // namespace

base::Status InstallFaultReport(ProcessPage* page, bool say_on_stderr) {
  const std::lock_guard lock(install_mutex);
  process_page.store(page, std::memory_order_release);
  says_on_stderr.store(say_on_stderr, std::memory_order_relaxed);
  struct sigaction present = {};
  if (::sigaction(SIGSEGV, nullptr, &present) == 0 && (present.sa_flags & SA_SIGINFO) != 0 &&
      present.sa_sigaction == OnFault) {
    return base::OkStatus();
  }
  previous_action = present;
  struct sigaction action = {};
  action.sa_sigaction = OnFault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  ::sigemptyset(&action.sa_mask);
  if (::sigaction(SIGSEGV, &action, nullptr) != 0) {
    return base::MakeStatus(base::StatusCode::kInternal,
                            std::string("installing the SIGSEGV handler: ") + std::strerror(errno));
  }
  return base::OkStatus();
}

void ForgetPage(const ProcessPage* page) {
  const std::lock_guard lock(install_mutex);
  if (process_page.load(std::memory_order_relaxed) == page) process_page.store(nullptr);
}

WatchedSegment::WatchedSegment(const ReadView& view, const ControlArea& control)
    : slot_(kWatchedSegmentsMax) {
  const std::lock_guard lock(install_mutex);
  for (size_t i = 0; i < kWatchedSegmentsMax; ++i) {
    if (watched[i].view.load(std::memory_order_relaxed) != nullptr) continue;
    watched[i].control.store(&control, std::memory_order_relaxed);
    watched[i].view.store(&view, std::memory_order_release);
    slot_ = i;
    return;
  }
}

WatchedSegment::~WatchedSegment() {
  const std::lock_guard lock(install_mutex);
  if (slot_ < kWatchedSegmentsMax) {
    watched[slot_].view.store(nullptr, std::memory_order_release);
  }
}

}  // namespace rayx::shm
