// Goal: a process page shows peers what its process wrote, and a page of another kind or layout is
// refused. Method: two mappings of one page; corrupted headers.
#include "shm/process_page.h"

#include <sched.h>
#include <catch2/catch.hpp>

namespace rayx::shm {
namespace {

const model::ProcessId kProcess = model::ProcessId::Make(model::NodeNumber{2}, 7);

base::UniqueFd Page() {
  auto fd = ProcessPage::CreateMemory(kProcess, 1234);
  REQUIRE(fd.ok());
  return *std::move(fd);
}

template <typename T>
base::Status OpenWith(size_t offset, T value) {
  const base::UniqueFd fd = Page();
  const auto mapping = Mapping::MapWhole(fd.get(), Protection::kReadWrite, kPageBytes);
  std::memcpy(mapping->data() + offset, &value, sizeof value);
  return ProcessPage::Open(fd.get()).status();
}

}  // namespace

TEST_CASE("ProcessPage: peers see what the process shows") {
  const base::UniqueFd fd = Page();
  auto self = ProcessPage::Open(fd.get());
  auto peer = ProcessPage::Open(fd.get());
  REQUIRE(self.ok());
  REQUIRE(peer.ok());
  CHECK(peer->process() == kProcess);
  CHECK(peer->pid() == 1234);
  CHECK(peer->cpu() == kNoCpu);
  CHECK(peer->awake());
  CHECK(peer->last_activity_ns() == 0);
  CHECK_FALSE(peer->blocked());
  CHECK_FALSE(peer->fault().has_value());
  self->SetPid(99);
  self->SetLastActivity(17);
  self->SetBlocked(true);
  self->AddPeerDeath();
  const uint32_t cpu = self->PublishCpu();
  CHECK(peer->pid() == 99);
  CHECK(peer->last_activity_ns() == 17);
  CHECK(peer->blocked());
  CHECK(peer->peer_deaths() == 1);
  CHECK(peer->cpu() == cpu);
  CHECK(cpu < CPU_SETSIZE);
}

TEST_CASE("ProcessPage: the first fault report stays") {
  const base::UniqueFd fd = Page();
  auto page = ProcessPage::Open(fd.get());
  page->ReportFault({model::ObjectId{kProcess, 5}, 0xabc});
  page->ReportFault({model::ObjectId{kProcess, 6}, 0xdef});
  const auto fault = ProcessPage::Open(fd.get())->fault();
  REQUIRE(fault.has_value());
  CHECK(fault->object == model::ObjectId{kProcess, 5});
  CHECK(fault->address == 0xabc);
}

TEST_CASE("ProcessPage: a title is cut to 64 bytes and cannot carry control characters") {
  const base::UniqueFd fd = Page();
  auto page = ProcessPage::Open(fd.get());
  CHECK(page->title().empty());
  page->SetTitle("train step");
  CHECK(page->title() == "train step");
  page->SetTitle(std::string(100, 'x'));
  CHECK(page->title() == std::string(64, 'x'));
  page->SetTitle("a\x1b[31m\n");
  CHECK(page->title() == "a?[31m?");
  page->SetTitle({});
  CHECK(page->title().empty());
}

TEST_CASE("ProcessPage: another magic, layout or file is refused with what was expected") {
  CHECK(base::Message(OpenWith(0, uint32_t{1})).find("magic") != std::string::npos);
  CHECK(base::Message(OpenWith(4, uint32_t{77})).find("layout 77") != std::string::npos);
  const auto large = CreateMemoryFile("large", 1 << 20);
  CHECK_FALSE(ProcessPage::Open(large->get()).ok());
  CHECK_FALSE(ProcessPage::Open(-1).ok());
}

}  // namespace rayx::shm
