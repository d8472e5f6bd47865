#include "shm/extent_table.h"

#include <bit>
#include <cstring>
#include <string>
#include <utility>

#include "base/check.h"
#include "shm/fence.h"

namespace rayx::shm {
namespace {

struct ControlHeader {
  uint32_t magic;
  uint32_t layout_version;
  uint32_t entries;
  uint32_t ledger_blocks;
};

struct RealOs {
  void Fence() { shm::Fence(); }
};

constexpr uint64_t Bytes(const ControlOptions& options) {
  return kPageBytes + uint64_t{options.entries} * sizeof(ExtentEntry) +
         uint64_t{options.ledger_blocks} * sizeof(LedgerBlock);
}

base::Status InvalidControlArea(const std::string& what) {
  return base::MakeStatus(base::StatusCode::kInvalidArgument, "control area: " + what);
}

base::Status CheckOptions(const ControlOptions& options) {
  if (options.entries == 0 || options.entries > kExtentEntriesMax) {
    return InvalidControlArea(std::to_string(options.entries) + " entries: expected 1 to " +
                              std::to_string(kExtentEntriesMax));
  }
  if (options.ledger_blocks == 0 || options.ledger_blocks > kLedgerBlocksMax) {
    return InvalidControlArea(std::to_string(options.ledger_blocks) +
                              " ledger blocks: expected 1 to " + std::to_string(kLedgerBlocksMax));
  }
  return base::OkStatus();
}

base::Status NoEntry(uint32_t entry) {
  return InvalidControlArea("no entry " + std::to_string(entry));
}

}  // namespace

// --- Both sides ---

base::StatusOr<base::UniqueFd> ControlArea::CreateMemory(const ControlOptions& options) {
  RAYX_RETURN_IF_ERROR(CheckOptions(options));
  RAYX_ASSIGN_OR_RETURN(base::UniqueFd fd, CreateMemoryFile("control", Bytes(options)));
  RAYX_ASSIGN_OR_RETURN(const Mapping mapping,
                        Mapping::Map(fd.get(), 0, kPageBytes, Protection::kReadWrite));
  const ControlHeader header{kControlMagic, kLayoutVersion, options.entries, options.ledger_blocks};
  std::memcpy(mapping.data(), &header, sizeof header);
  return fd;
}

base::StatusOr<std::shared_ptr<ControlArea>> ControlArea::Open(int fd) {
  constexpr uint64_t kBytesMax = Bytes({kExtentEntriesMax, kLedgerBlocksMax}) + kPageBytes;
  RAYX_ASSIGN_OR_RETURN(Mapping mapping, Mapping::MapWhole(fd, Protection::kReadWrite, kBytesMax));
  ControlHeader header;
  std::memcpy(&header, mapping.data(), sizeof header);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  if (header.magic != kControlMagic) return InvalidControlArea("wrong magic");
  if (header.layout_version != kLayoutVersion) {
    return InvalidControlArea("layout " + std::to_string(header.layout_version) + ": expected " +
                              std::to_string(kLayoutVersion));
  }
  const ControlOptions options{header.entries, header.ledger_blocks};
  RAYX_RETURN_IF_ERROR(CheckOptions(options));
  if (mapping.size() < Bytes(options))
    return InvalidControlArea("memory shorter than its header says");
  return std::shared_ptr<ControlArea>(new ControlArea(std::move(mapping), options));
}

ControlArea::ControlArea(Mapping mapping, const ControlOptions& options)
    : mapping_(std::move(mapping)),
      options_(options),
      table_(reinterpret_cast<ExtentEntry*>(mapping_.data() + kPageBytes)),
      blocks_(reinterpret_cast<LedgerBlock*>(table_ + options.entries)) {}

// On the header's page, on a cache line of its own.
std::atomic<uint64_t>& ControlArea::PunchWord() const {
  static_assert(sizeof(ControlHeader) <= kCacheLineBytes);
  return *reinterpret_cast<std::atomic<uint64_t>*>(mapping_.data() + kCacheLineBytes);
}

ExtentEntry* ControlArea::EntryAt(uint32_t entry) const {
  return entry < options_.entries ? table_ + entry : nullptr;
}

LedgerBlock* ControlArea::BlockAt(uint32_t block) const {
  return block < options_.ledger_blocks ? blocks_ + block : nullptr;
}

base::StatusOr<Extent> ControlArea::Read(uint32_t entry) const {
  const ExtentEntry* at = EntryAt(entry);
  if (at == nullptr) return NoEntry(entry);
  const uint64_t word = at->word.load(std::memory_order_acquire);
  Extent extent;
  extent.object.owner.value = at->owner.load(std::memory_order_relaxed);
  extent.object.sequence = at->sequence.load(std::memory_order_relaxed);
  extent.offset = at->offset.load(std::memory_order_relaxed);
  extent.size = at->size.load(std::memory_order_relaxed);
  extent.generation = PinProtocol::GenerationOf(word);
  extent.state = PinProtocol::StateOf(word);
  return extent;
}

base::Status ControlArea::Seal(uint32_t entry, uint32_t generation) {
  ExtentEntry* at = EntryAt(entry);
  if (at == nullptr) return NoEntry(entry);
  if (PinProtocol::Move(at->word, generation, ExtentState::kWriting, ExtentState::kSealed)) {
    return base::OkStatus();
  }
  return base::MakeStatus(base::StatusCode::kFailedPrecondition,
                          "control area: entry " + std::to_string(entry) +
                              " is not being written under generation " +
                              std::to_string(generation));
}

bool ControlArea::Free(uint32_t entry, uint32_t generation) {
  ExtentEntry* at = EntryAt(entry);
  return at != nullptr &&
         PinProtocol::Move(at->word, generation, ExtentState::kSealed, ExtentState::kFreed);
}

bool ControlArea::TakeBlock(uint32_t block, model::ProcessId process) {
  uint64_t nobody = 0;
  return blocks_[block].process.compare_exchange_strong(nobody, process.value,
                                                        std::memory_order_acq_rel);
}

// --- The daemon ---

ExtentGranter::ExtentGranter(std::shared_ptr<ControlArea> area)
    : area_(std::move(area)), generations_(area_->entries(), 0) {}

base::StatusOr<uint32_t> ExtentGranter::Grant(uint32_t entry, model::ObjectId object,
                                              uint64_t offset, uint64_t size) {
  ExtentEntry* at = area_->EntryAt(entry);
  if (at == nullptr) return NoEntry(entry);
  const uint32_t generation = ++generations_[entry];
  at->owner.store(object.owner.value, std::memory_order_relaxed);
  at->sequence.store(object.sequence, std::memory_order_relaxed);
  at->offset.store(offset, std::memory_order_relaxed);
  at->size.store(size, std::memory_order_relaxed);
  at->word.store(PinProtocol::Word(generation, ExtentState::kWriting), std::memory_order_release);
  return generation;
}

uint32_t ExtentGranter::GenerationOf(uint32_t entry) const {
  return entry < generations_.size() ? generations_[entry] : 0;
}

bool ExtentGranter::Discard(uint32_t entry, uint32_t generation) {
  ExtentEntry* at = area_->EntryAt(entry);
  return at != nullptr &&
         PinProtocol::Move(at->word, generation, ExtentState::kWriting, ExtentState::kFreed);
}

void ExtentGranter::ForceFreed(uint32_t entry) {
  ExtentEntry* at = area_->EntryAt(entry);
  if (at == nullptr) return;
  at->word.store(PinProtocol::Word(generations_[entry], ExtentState::kFreed),
                 std::memory_order_release);
}

bool ExtentGranter::BeginEvict(uint32_t entry, uint32_t generation) {
  ExtentEntry* at = area_->EntryAt(entry);
  return at != nullptr &&
         PinProtocol::Move(at->word, generation, ExtentState::kSealed, ExtentState::kEvicting);
}

bool ExtentGranter::CancelEvict(uint32_t entry, uint32_t generation) {
  ExtentEntry* at = area_->EntryAt(entry);
  return at != nullptr &&
         PinProtocol::Move(at->word, generation, ExtentState::kEvicting, ExtentState::kSealed);
}

bool ExtentGranter::IsPinned(uint32_t entry, uint32_t generation) const {
  RealOs os;
  PinProtocol::BeginScan(os);
  for (uint32_t i = 0; i < area_->ledger_blocks(); ++i) {
    const LedgerBlock& block = area_->blocks_[i];
    if (block.process.load(std::memory_order_acquire) == 0) continue;
    for (const auto& slot : block.slots) {
      if (PinProtocol::SlotNames(slot, entry, generation)) return true;
    }
  }
  return false;
}

base::StatusOr<uint32_t> ExtentGranter::AssignLedger(model::ProcessId process) {
  RAYX_CHECK(process.value != 0, "a ledger needs a process");
  for (uint32_t i = 0; i < area_->ledger_blocks(); ++i) {
    if (area_->TakeBlock(i, process)) return i;
  }
  return base::MakeStatus(base::StatusCode::kResourceExhausted,
                          "control area: all " + std::to_string(area_->ledger_blocks()) +
                              " pin ledger blocks are in use");
}

void ExtentGranter::ReleaseLedger(model::ProcessId process) {
  for (uint32_t i = 0; i < area_->ledger_blocks(); ++i) {
    LedgerBlock& block = area_->blocks_[i];
    if (block.process.load(std::memory_order_acquire) != process.value) continue;
    for (auto& slot : block.slots) PinProtocol::Unpin(slot);
    block.process.store(0, std::memory_order_release);
  }
}

// --- A process ---

PinLedger::PinLedger(std::shared_ptr<ControlArea> area, model::ProcessId process)
    : area_(std::move(area)), process_(process) {}

base::StatusOr<std::unique_ptr<PinLedger>> PinLedger::Open(std::shared_ptr<ControlArea> area,
                                                           model::ProcessId process,
                                                           uint32_t first_block) {
  const LedgerBlock* block = area->BlockAt(first_block);
  if (process.value == 0 || block == nullptr ||
      block->process.load(std::memory_order_acquire) != process.value) {
    return InvalidControlArea("ledger block " + std::to_string(first_block) +
                              " is not of process " + ToString(process));
  }
  std::unique_ptr<PinLedger> ledger(new PinLedger(std::move(area), process));
  ledger->AddBlock(first_block);
  return ledger;
}

void PinLedger::AddBlock(uint32_t block) {
  const auto first = static_cast<uint32_t>(blocks_.size()) * kPinSlotsPerBlock;
  blocks_.push_back(block);
  // Low slots first: a process with few pins keeps to few cache lines.
  for (uint32_t i = kPinSlotsPerBlock; i > 0; --i) free_slots_.push_back(first + i - 1);
}

bool PinLedger::TakeAnotherBlock() {
  for (uint32_t i = 0; i < area_->ledger_blocks(); ++i) {
    if (!area_->TakeBlock(i, process_)) continue;
    AddBlock(i);
    return true;
  }
  return false;
}

std::atomic<uint64_t>& PinLedger::SlotAt(uint32_t slot) const {
  return area_->blocks_[blocks_[slot / kPinSlotsPerBlock]].slots[slot % kPinSlotsPerBlock];
}

PinLedger::Pin PinLedger::TryPin(uint32_t entry, uint32_t generation) {
  const ExtentEntry* at = area_->EntryAt(entry);
  if (at == nullptr) return {PinResult::kGone, 0};
  const std::lock_guard lock(mutex_);
  if (free_slots_.empty() && !TakeAnotherBlock()) return {PinResult::kNoSlot, 0};
  const uint32_t slot = free_slots_.back();
  RealOs os;
  PinResult result = PinProtocol::Pin(SlotAt(slot), at->word, entry, generation, os);
  // The daemon may hold a copy that it is making: it frees it on the thread that it pins it on, so
  // that nothing comes between.
  if (result == PinResult::kGone && process_.is_daemon() &&
      at->word.load(std::memory_order_acquire) ==
          PinProtocol::Word(generation, ExtentState::kWriting)) {
    SlotAt(slot).store(PinProtocol::Name(entry, generation), std::memory_order_release);
    result = PinResult::kPinned;
  }
  if (result == PinResult::kPinned) {
    free_slots_.pop_back();
    ++pins_;
  }
  return {result, slot};
}

void PinLedger::Unpin(uint32_t slot) {
  const std::lock_guard lock(mutex_);
  RAYX_CHECK(slot < blocks_.size() * kPinSlotsPerBlock, "unpin of a slot that was never given");
  PinProtocol::Unpin(SlotAt(slot));
  free_slots_.push_back(slot);
  --pins_;
}

size_t PinLedger::pins() const {
  const std::lock_guard lock(mutex_);
  return pins_;
}

}  // namespace rayx::shm
