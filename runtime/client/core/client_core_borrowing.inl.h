// runtime/client/core/client_core_borrowing.inl.h
//
// ClientCore: who else holds an object. The contract is client_core.h's, of which this is a part:
// include that. The protocol is that of RELIABILITY section 3 ("register before reply"):
//
//   a call's arguments   the caller holds them until the reply; what the executor has kept then, it
//                        registers with the owners before it replies (R1, R2)
//   a call's results     the executor registers the caller, for the object that each becomes, with
//                        the owners of what the results refer to (R3); the reply names those
//   a fetched value      the receiver registers itself, and holds the outer object until then (R4)
//
// A token names one reason to hold an object; an owner keeps (process, token) pairs, and each is
// taken back by its own name, so that repeats and late messages change nothing (R5). The death of a
// process takes its own with it (R6).
#pragma once

#include <algorithm>

#include "base/prng.h"
#include "client/core/client_core.h"

namespace rayx::client {

inline constexpr size_t kBorrowsPerFrame = 1024;
inline constexpr size_t kGoneMax = 4096;  // dead processes that are remembered

// Of the hold that a result has on what it refers to. The executor and the caller both know it, and
// a superseded attempt's is another one. Those of a process's own count up from 1.
inline uint64_t ContainToken(const model::ObjectId& outer, uint32_t attempt) {
  return base::RandomWord(outer.owner.value, outer.sequence, attempt, 0) | (uint64_t{1} << 63);
}

template <class Sink>
Bonds& ClientCore<Sink>::BondsOf(Entry& entry) {
  if (!entry.bonds) entry.bonds = std::make_unique<Bonds>();
  return *entry.bonds;
}

template <class Sink>
void ClientCore<Sink>::Contain(uint32_t slot, std::span<const model::ObjectId> objects) {
  for (const model::ObjectId& id : objects) {
    const uint32_t inner = Find(id);
    if (inner == kNoSlot) continue;
    ++slab_.At(inner).holds;
    BondsOf(slab_.At(slot)).contains.push_back(inner);
  }
}

// The records to their owners, in frames of bounded size. The last request's id.
template <class Sink>
uint64_t ClientCore<Sink>::SendBorrows(model::FrameKind kind, const Borrows& borrows) {
  for (const auto& [owner, records] : borrows) {
    for (size_t at = 0; at < records.size(); at += kBorrowsPerFrame) {
      const auto part =
          std::span(records).subspan(at, std::min(kBorrowsPerFrame, records.size() - at));
      std::vector<std::byte> body;
      model::BodyWriter writer(body);
      writer.AddInline(std::as_bytes(part));
      model::FrameHeader header;
      header.kind = kind;
      header.destination = owner;
      header.source = options_.self;
      header.job = options_.job;
      header.item_count = writer.item_count();
      header.cookie_slot = kNoSlot;
      if (kind == model::FrameKind::kAddBorrower) {
        header.number = ++last_registration_;
        Registration& registration = registrations_[last_registration_];
        registration.owner = owner;
        for (const model::BorrowRecord& record : part) {
          const uint32_t slot = Find(record.object);
          const bool own = record.borrower == options_.self && slot != kNoSlot &&
                           slab_.At(slot).bonds && slab_.At(slot).bonds->asked == record.token;
          if (own) registration.slots.push_back(slot);
        }
      }
      sink_.SendMessage(header, body, /*urgent=*/kind == model::FrameKind::kAddBorrower);
    }
  }
  return last_registration_;
}

// A foreign object has got one more hold.
template <class Sink>
void ClientCore<Sink>::Register(uint32_t slot, uint32_t through) {
  Entry& entry = slab_.At(slot);
  if (!lost_.empty() || gone_.contains(entry.id.owner)) return;
  if (entry.bonds && !entry.bonds->tokens.empty()) return;
  if (through == kNoSlot && options_.serves_calls) {
    if (!entry.bonds || entry.bonds->asked == 0) unregistered_.push_back(slot);
    return;
  }
  Bonds& bonds = BondsOf(entry);
  if (through != kNoSlot) {
    ++slab_.At(through).holds;
    bonds.outers.push_back(through);
  }
  if (bonds.asked != 0) return;
  bonds.asked = ++last_token_;
  SendBorrows(model::FrameKind::kAddBorrower,
              {{entry.id.owner, {{entry.id, options_.self, bonds.asked}}}});
}

template <class Sink>
uint64_t ClientCore<Sink>::RegisterBeforeReply(const model::FrameHeader& call,
                                               std::span<const Returned> returned) {
  Borrows borrows;
  for (uint32_t slot : std::exchange(unregistered_, {})) {
    Entry& entry = slab_.At(slot);
    const bool held =
        entry.state != EntryState::kFree && entry.id.owner != options_.self && entry.holds > 0;
    if (!held || gone_.contains(entry.id.owner)) continue;
    Bonds& bonds = BondsOf(entry);
    if (bonds.asked != 0 || !bonds.tokens.empty()) continue;
    bonds.asked = ++last_token_;
    borrows[entry.id.owner].push_back({entry.id, options_.self, bonds.asked});
  }
  const model::ProcessId caller = call.task.owner;
  for (const Returned& result : returned) {
    const model::ObjectId outer{caller, call.task.sequence + result.index};
    const uint64_t token = ContainToken(outer, call.attempt);
    for (const model::ObjectId& object : result.objects) {
      if (object.owner == caller || gone_.contains(object.owner)) continue;
      const model::BorrowRecord record{object, caller, token};
      if (object.owner == options_.self) {
        Lend(record);
      } else {
        borrows[object.owner].push_back(record);
      }
    }
  }
  return SendBorrows(model::FrameKind::kAddBorrower, borrows);
}

template <class Sink>
void ClientCore<Sink>::Lend(const model::BorrowRecord& record) {
  const uint32_t slot = slab_.FindOwn(record.object);
  if (slot == kNoSlot || record.borrower == options_.self || gone_.contains(record.borrower))
    return;
  BondsOf(slab_.At(slot)).borrowers.emplace(record.borrower, record.token);
  borrowed_[record.borrower].insert(slot);
}

template <class Sink>
void ClientCore<Sink>::TakeBack(const model::BorrowRecord& record) {
  const uint32_t slot = slab_.FindOwn(record.object);
  if (slot == kNoSlot || !slab_.At(slot).bonds) return;
  auto& borrowers = slab_.At(slot).bonds->borrowers;
  borrowers.erase({record.borrower, record.token});
  const auto first = borrowers.lower_bound({record.borrower, 0});
  const bool others = first != borrowers.end() && first->first == record.borrower;
  const auto of = borrowed_.find(record.borrower);
  if (!others && of != borrowed_.end()) {
    of->second.erase(slot);
    if (of->second.empty()) borrowed_.erase(of);
  }
  TryFree(slot);
}

template <class Sink>
void ClientCore<Sink>::TakeBackAll(model::ProcessId borrower) {
  if (gone_.insert(borrower).second) gone_order_.push_back(borrower);
  if (gone_order_.size() > kGoneMax) {
    gone_.erase(gone_order_.front());
    gone_order_.pop_front();
  }
  const auto of = borrowed_.find(borrower);
  if (of == borrowed_.end()) return;
  const std::set<uint32_t> slots = std::move(of->second);
  borrowed_.erase(of);
  for (uint32_t slot : slots) {
    std::erase_if(slab_.At(slot).bonds->borrowers,
                  [&](const auto& each) { return each.first == borrower; });
    TryFree(slot);
  }
}

// Calls `each` for every record of a kAddBorrower or kRemoveBorrower frame.
template <class Each>
void ForEachBorrow(const model::FrameHeader& header, std::span<const std::byte> body, Each&& each) {
  model::BodyReader reader(body, header.item_count);
  model::Item item;
  if (!reader.Next(item) || item.kind != model::ItemKind::kInline) return;
  for (size_t at = 0; at + sizeof(model::BorrowRecord) <= item.bytes.size();
       at += sizeof(model::BorrowRecord)) {
    model::BorrowRecord record;
    std::memcpy(static_cast<void*>(&record), item.bytes.data() + at, sizeof record);
    each(record);
  }
}

// A borrower for whom another process asked is greeted: from then on the daemons know that its
// death concerns this process.
template <class Sink>
void ClientCore<Sink>::OnAddBorrower(const model::FrameHeader& header,
                                     std::span<const std::byte> body) {
  std::set<model::ProcessId> to_greet;
  ForEachBorrow(header, body, [&](const model::BorrowRecord& record) {
    Lend(record);
    if (record.borrower != header.source && borrowed_.contains(record.borrower)) {
      to_greet.insert(record.borrower);
    }
  });
  model::FrameHeader ack;
  ack.kind = model::FrameKind::kBorrowerAck;
  ack.destination = header.source;
  ack.source = options_.self;
  ack.job = header.job;
  ack.cookie_slot = kNoSlot;
  ack.number = header.number;
  sink_.SendMessage(ack, {}, /*urgent=*/true);
  ack.number = 0;
  for (model::ProcessId borrower : to_greet) {
    ack.destination = borrower;
    sink_.SendMessage(ack, {}, /*urgent=*/false);
  }
}

template <class Sink>
void ClientCore<Sink>::OnRemoveBorrower(const model::FrameHeader& header,
                                        std::span<const std::byte> body) {
  ForEachBorrow(header, body, [&](const model::BorrowRecord& record) {
    if (record.borrower == header.source) TakeBack(record);
  });
}

template <class Sink>
void ClientCore<Sink>::OnBorrowerAck(uint64_t request, model::ProcessId owner) {
  const auto found = registrations_.find(request);
  if (found == registrations_.end() || found->second.owner != owner) return;
  const std::vector<uint32_t> slots = std::move(found->second.slots);
  registrations_.erase(found);
  sink_.Resolved(kNoSlot);  // somebody may wait to reply
  for (uint32_t slot : slots) {
    Bonds& bonds = *slab_.At(slot).bonds;
    bonds.tokens.insert(std::exchange(bonds.asked, 0));
    const std::vector<uint32_t> outers = std::exchange(bonds.outers, {});
    for (uint32_t outer : outers) ReleaseHold(outer);
    TryFree(slot);
  }
}

// The owner is gone: there is nothing to wait for, and nobody to tell.
template <class Sink>
void ClientCore<Sink>::ForgetRegistrations(model::ProcessId owner) {
  std::vector<uint64_t> requests;
  for (const auto& [request, registration] : registrations_) {
    if (registration.owner == owner) requests.push_back(request);
  }
  for (uint64_t request : requests) OnBorrowerAck(request, owner);
  removals_.erase(owner);
}

template <class Sink>
void ClientCore<Sink>::ContainReturned(uint32_t slot, const model::FrameHeader& reply,
                                       uint32_t index, const model::Item& item) {
  const model::ObjectId outer{reply.task.owner, reply.task.sequence + index};
  for (size_t at = 0; at < item.bytes.size(); at += sizeof(model::ObjectId)) {
    model::ObjectId id;
    std::memcpy(static_cast<void*>(&id), item.bytes.data() + at, sizeof id);
    const uint32_t inner = Hold(id);
    if (inner == kNoSlot) continue;
    BondsOf(slab_.At(slot)).contains.push_back(inner);
    if (id.owner == options_.self) continue;
    BondsOf(slab_.At(inner)).tokens.insert(ContainToken(outer, reply.attempt));
  }
}

// Of a reply that nobody waits for. One that comes twice names what the object still is.
template <class Sink>
void ClientCore<Sink>::DropReturned(const model::FrameHeader& reply, uint32_t index,
                                    const model::Item& item) {
  const model::ObjectId outer{reply.task.owner, reply.task.sequence + index};
  const uint64_t token = ContainToken(outer, reply.attempt);
  for (size_t at = 0; at < item.bytes.size(); at += sizeof(model::ObjectId)) {
    model::ObjectId id;
    std::memcpy(static_cast<void*>(&id), item.bytes.data() + at, sizeof id);
    if (id.owner == options_.self || !id) continue;
    const uint32_t inner = Find(id);
    const Bonds* bonds = inner == kNoSlot ? nullptr : slab_.At(inner).bonds.get();
    const bool in_use = bonds != nullptr && bonds->tokens.contains(token);
    if (!in_use) removals_[id.owner].push_back({id, options_.self, token});
  }
}

}  // namespace rayx::client
