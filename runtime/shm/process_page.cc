#include "shm/process_page.h"

#include <sched.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace rayx::shm {

base::StatusOr<base::UniqueFd> ProcessPage::CreateMemory(model::ProcessId process, int32_t pid) {
  RAYX_ASSIGN_OR_RETURN(base::UniqueFd fd, CreateMemoryFile("process", sizeof(ProcessPageLayout)));
  RAYX_ASSIGN_OR_RETURN(const Mapping mapping,
                        Mapping::MapWhole(fd.get(), Protection::kReadWrite, kPageBytes));
  auto* page = new (mapping.data()) ProcessPageLayout{};
  page->magic = kProcessPageMagic;
  page->layout_version = kLayoutVersion;
  page->process = process.value;
  page->pid.store(pid, std::memory_order_relaxed);
  page->cpu.store(kNoCpu, std::memory_order_relaxed);
  return fd;
}

base::StatusOr<ProcessPage> ProcessPage::Open(int fd) {
  RAYX_ASSIGN_OR_RETURN(Mapping mapping, Mapping::MapWhole(fd, Protection::kReadWrite, kPageBytes));
  ProcessPage page(std::move(mapping));
  if (page.page().magic != kProcessPageMagic) {
    return base::MakeStatus(base::StatusCode::kInvalidArgument, "not a process page (wrong magic)");
  }
  if (const uint32_t version = page.page().layout_version; version != kLayoutVersion) {
    return base::MakeStatus(base::StatusCode::kInvalidArgument,
                            "process page of layout " + std::to_string(version) + ": expected " +
                                std::to_string(kLayoutVersion));
  }
  page.process_ = model::ProcessId{page.page().process};
  return page;
}

ProcessPage::ProcessPage(Mapping mapping) : mapping_(std::move(mapping)) {}

uint32_t ProcessPage::PublishCpu() {
  // glibc reads the rseq area: no system call.
  const int now = ::sched_getcpu();
  const uint32_t cpu = now < 0 ? kNoCpu : static_cast<uint32_t>(now);
  if (page().cpu.load(std::memory_order_relaxed) != cpu) {
    page().cpu.store(cpu, std::memory_order_relaxed);
  }
  return cpu;
}

void ProcessPage::ReportFault(const FaultReport& report) {
  if (page().faulted.load(std::memory_order_relaxed) != 0) return;
  page().fault_owner.store(report.object.owner.value, std::memory_order_relaxed);
  page().fault_sequence.store(report.object.sequence, std::memory_order_relaxed);
  page().fault_address.store(report.address, std::memory_order_relaxed);
  page().faulted.store(1, std::memory_order_release);
}

std::optional<FaultReport> ProcessPage::fault() const {
  if (page().faulted.load(std::memory_order_acquire) == 0) return std::nullopt;
  FaultReport report;
  report.object.owner.value = page().fault_owner.load(std::memory_order_relaxed);
  report.object.sequence = page().fault_sequence.load(std::memory_order_relaxed);
  report.address = page().fault_address.load(std::memory_order_relaxed);
  return report;
}

void ProcessPage::SetTitle(std::string_view title) {
  uint64_t words[kTitleBytesMax / sizeof(uint64_t)] = {};
  title.copy(reinterpret_cast<char*>(words), kTitleBytesMax);  // of none, too
  for (size_t i = 0; i < std::size(words); ++i) {
    page().title[i].store(words[i], std::memory_order_relaxed);
  }
}

std::string ProcessPage::title() const {
  uint64_t words[kTitleBytesMax / sizeof(uint64_t)];
  for (size_t i = 0; i < std::size(words); ++i) {
    words[i] = page().title[i].load(std::memory_order_relaxed);
  }
  const char* text = reinterpret_cast<const char*>(words);
  std::string title(text, ::strnlen(text, kTitleBytesMax));
  for (char& c : title) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) c = '?';
  }
  return title;
}

}  // namespace rayx::shm
