// runtime/shm/fault_report.h
//
// Says what was wrong when user code writes to an immutable object: a SIGSEGV handler that
// recognises an address in a read-only view, puts {object, address} into the process page, where
// the daemon finds it after the death, and lets the process die of its signal.
// Owner:    process-wide, as signal handlers are.
// Threads:  InstallFaultReport and WatchedSegment from any; the handler runs on the thread at
//           fault.
// Promises: the handler is async-signal-safe and acts only on SEGV_ACCERR inside a watched segment;
//           any other fault goes to the handler that was there before.
// Limits:   kWatchedSegmentsMax segments; beyond it a fault is an ordinary SIGSEGV. A handler that
//           is installed later by others and does not chain hides this one.
#pragma once

#include <cstddef>

#include "base/status.h"
#include "shm/extent_table.h"
#include "shm/process_page.h"
#include "shm/segment.h"

namespace rayx::shm {

inline constexpr size_t kWatchedSegmentsMax = 256;

// `page` lives until ForgetPage; nullptr: the sentence goes to stderr alone. May be called again (a
// forked worker does). `say_on_stderr`: also write the sentence there, as a driver does.
base::Status InstallFaultReport(ProcessPage* page, bool say_on_stderr);
// Before `page` ends. The handler stays: views may outlive it.
void ForgetPage(const ProcessPage* page);

// One segment's read-only view and the table that tells which object lies where, known to the
// handler as long as this object lives. Both outlive it.
class WatchedSegment {
 public:
  WatchedSegment(const ReadView& view, const ControlArea& control);
  ~WatchedSegment();
  WatchedSegment(const WatchedSegment&) = delete;
  WatchedSegment& operator=(const WatchedSegment&) = delete;

 private:
  size_t slot_;  // kWatchedSegmentsMax: none was free
};

}  // namespace rayx::shm
