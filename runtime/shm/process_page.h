// runtime/shm/process_page.h
//
// What a process shows its peers: one page of shared memory with its doorbell word, the CPU it was
// last seen on, its activity, and, if it died by writing to a sealed object, what it wrote to.
// Owner:    the node daemon creates one a process; the process and its peers map it.
// Threads:  any; every field is an atomic word on a cache line of its own.
// Inputs:   peers may write anything at any time: readers treat every value as a hint, except the
//           layout header, which Open() checks once.
// Promises: no method blocks, allocates or fails after Open.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/status.h"
#include "model/ids.h"
#include "shm/memory_file.h"

namespace rayx::shm {

inline constexpr uint32_t kProcessPageMagic = 0x50505852;  // "RXPP"
inline constexpr size_t kTitleBytesMax = 64;
inline constexpr uint32_t kNoCpu = UINT32_MAX;

// Values of the doorbell word (shm/doorbell.h). Anything else counts as kAwake.
enum DoorbellState : uint32_t { kAwake = 0, kUser = 1, kAttendant = 2 };

struct ProcessPageLayout {
  // Written once, before any peer has the descriptor; `pid` when it is known.
  alignas(kCacheLineBytes) uint32_t magic;
  uint32_t layout_version;
  uint64_t process;
  std::atomic<int32_t> pid;

  alignas(kCacheLineBytes) std::atomic<uint32_t> doorbell;
  alignas(kCacheLineBytes) std::atomic<uint32_t> cpu;
  alignas(kCacheLineBytes) std::atomic<uint64_t> last_activity_ns;
  alignas(kCacheLineBytes) std::atomic<uint32_t> blocked;
  alignas(kCacheLineBytes) std::atomic<uint32_t> peer_dead;

  // Written by the SIGSEGV handler: the three values, then `faulted`.
  alignas(kCacheLineBytes) std::atomic<uint64_t> fault_owner;
  std::atomic<uint64_t> fault_sequence;
  std::atomic<uint64_t> fault_address;
  std::atomic<uint32_t> faulted;

  // Not terminated when all 64 bytes are used. A reader may see a mix of two titles.
  alignas(kCacheLineBytes) std::atomic<uint64_t> title[kTitleBytesMax / sizeof(uint64_t)];
};
static_assert(sizeof(ProcessPageLayout) == 8 * kCacheLineBytes);
static_assert(offsetof(ProcessPageLayout, doorbell) == 64);
static_assert(offsetof(ProcessPageLayout, cpu) == 128);
static_assert(offsetof(ProcessPageLayout, fault_owner) == 384);
static_assert(offsetof(ProcessPageLayout, title) == 448);
static_assert(std::atomic<uint32_t>::is_always_lock_free && sizeof(std::atomic<uint32_t>) == 4);
static_assert(std::atomic<uint64_t>::is_always_lock_free && sizeof(std::atomic<uint64_t>) == 8);

// A write to an immutable object, seen by the daemon after the death.
struct FaultReport {
  model::ObjectId object;
  uint64_t address = 0;
};

class ProcessPage {
 public:
  // Daemon: a new page. `pid` may be 0 and told later.
  static base::StatusOr<base::UniqueFd> CreateMemory(model::ProcessId process, int32_t pid);
  // InvalidArgument: not a memory file, too small, wrong magic, or another layout version.
  static base::StatusOr<ProcessPage> Open(int fd);

  model::ProcessId process() const { return process_; }
  int32_t pid() const { return page().pid.load(std::memory_order_relaxed); }
  void SetPid(int32_t pid) { page().pid.store(pid, std::memory_order_relaxed); }

  std::atomic<uint32_t>& doorbell() const { return page().doorbell; }
  bool awake() const { return doorbell().load(std::memory_order_relaxed) == kAwake; }

  // The CPU that this thread runs on; written only when it changed, so peers' copies stay valid.
  uint32_t PublishCpu();
  uint32_t cpu() const { return page().cpu.load(std::memory_order_relaxed); }

  // Nanoseconds of any steady clock of the process's choice; 0 = never.
  void SetLastActivity(uint64_t ns) {
    page().last_activity_ns.store(ns, std::memory_order_relaxed);
  }
  uint64_t last_activity_ns() const {
    return page().last_activity_ns.load(std::memory_order_relaxed);
  }

  // True while a Get of user code waits.
  void SetBlocked(bool blocked) { page().blocked.store(blocked, std::memory_order_relaxed); }
  bool blocked() const { return page().blocked.load(std::memory_order_relaxed) != 0; }

  // Counts the deaths of peers; a waiting user thread re-reads its peers when it has changed.
  void AddPeerDeath() { page().peer_dead.fetch_add(1, std::memory_order_release); }
  uint32_t peer_deaths() const { return page().peer_dead.load(std::memory_order_acquire); }

  // Async-signal-safe. The first report stays.
  void ReportFault(const FaultReport& report);
  std::optional<FaultReport> fault() const;

  // Cut to 64 bytes; control characters read back as '?'.
  void SetTitle(std::string_view title);
  std::string title() const;

 private:
  explicit ProcessPage(Mapping mapping);
  ProcessPageLayout& page() const { return *reinterpret_cast<ProcessPageLayout*>(mapping_.data()); }

  Mapping mapping_;
  model::ProcessId process_;  // copied once at Open
};

}  // namespace rayx::shm
