// tests/stress/store_client.h
//
// A process that writes, reads, pins and frees objects of a NodeStore without pause, as a client
// does, until it is killed: from outside, by itself between two steps, or single-stepped to some
// instruction inside an operation and killed there.
// Owner:    the test that forks it; the test plays the node daemon at the other end of the socket.
// Threads:  one.
// Promises: every byte that it reads under a pin is compared, when it pins and again before it
//           unpins; what differs, or any answer that the store must not give, is told as kWrong.
#pragma once

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "base/prng.h"
#include "tests/unit/store/store_fixture.h"

namespace rayx::store {

enum class Tell : uint32_t {
  kAllocate,  // answered by a Reply
  kPick,      // any object that is there, answered by a Reply
  kSealed,
  kFree,
  kWrong,
};

struct Told {
  Tell tell = Tell::kPick;
  bool own = false;  // kAllocate: the object is the asker's own, not the driver's
  model::JobId job;
  uint64_t bytes = 0;
  StoredLocation location;
  char text[120] = {};
};

struct Reply {
  int32_t code = 0;
  StoredLocation location;
};

enum class Death : uint32_t {
  kFromOutside,  // at any moment
  kAtStep,       // by itself, after so many steps
  kTraced,       // stops before its so-manieth operation on shared memory, to be stepped
};
inline constexpr size_t kDeaths = 3;

struct ClientPlan {
  uint64_t seed = 0;
  uint64_t number = 0;  // of the process, in its run
  Death death = Death::kFromOutside;
  uint64_t step = 0;
};

// What an object holds is a function of its id: no two objects share a word.
inline uint64_t WordOf(const ObjectId& object, uint64_t index) {
  return base::MixBits(object.sequence * 0x9e3779b97f4a7c15u + object.owner.value + index);
}
inline void FillWords(std::span<std::byte> bytes, const ObjectId& object, uint64_t from) {
  for (uint64_t at = from; at < bytes.size(); at += 8) {
    const uint64_t word = WordOf(object, at / 8);
    std::memcpy(bytes.data() + at, &word, std::min<uint64_t>(8, bytes.size() - at));
  }
}
inline bool HasWords(std::span<const std::byte> bytes, const ObjectId& object) {
  for (uint64_t at = 0; at < bytes.size(); at += 8) {
    const uint64_t word = WordOf(object, at / 8);
    const uint64_t size = std::min<uint64_t>(8, bytes.size() - at);
    if (std::memcmp(bytes.data() + at, &word, size) != 0) return false;
  }
  return true;
}

class StoreClient {
 public:
  StoreClient(int socket, model::ProcessId process, const ClientPlan& plan)
      : socket_(socket),
        plan_(plan),
        random_(plan.seed, plan.number, /*stream=*/1),
        segments_(process) {
    if (plan.death == Death::kTraced) ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
  }

  void Attach(model::JobId job, const NodeStore::Attachment& memory) {
    const auto status = segments_.AddSegment(
        job, base::UniqueFd(::dup(memory.segment)), base::UniqueFd(::dup(memory.control)),
        memory.segment_bytes, memory.control_bytes, memory.ledger);
    if (!status.ok()) Wrong("cannot be attached", status);
    jobs_.push_back(job);
  }

  [[noreturn]] void Run() {
    while (true) {
      const uint64_t dice = random_.NextBelow(100);
      if (dice < 40) {
        Put();
      } else if (dice < 85) {
        Get();
      } else if (dice < 97) {
        if (!pins_.empty()) Drop(random_.NextBelow(pins_.size()));
      } else {
        PinManyTimes();
      }
      while (pins_.size() > 8) Drop(0);
    }
  }

 private:
  struct Pinned {
    StoredLocation at;
    shm::PinnedObject object;
  };

  // Between two steps.
  void Point() {
    if (plan_.death == Death::kAtStep && --plan_.step == 0) ::raise(SIGKILL);
  }
  // Something that the shared memory sees. A traced process does not live past it.
  template <typename Operation>
  auto Do(Operation operation) {
    Point();
    const bool is_last = plan_.death == Death::kTraced && --plan_.step == 0;
    if (is_last) ::raise(SIGSTOP);
    auto result = operation();
    if (is_last) ::raise(SIGKILL);
    Point();
    return result;
  }

  void Put() {
    Told ask;
    ask.tell = Tell::kAllocate;
    ask.job = jobs_[random_.NextBelow(jobs_.size())];
    ask.own = random_.NextBelow(2) == 0;
    ask.bytes = 1 + random_.NextBelow(random_.NextBelow(8) == 0 ? 300'000 : 20'000);
    const Reply reply = Ask(ask);
    if (reply.code != 0) return;  // the store is full, or the job ends
    const StoredLocation& at = reply.location;
    auto object = Do([&] { return segments_.MapWritable(at); });
    if (!object.ok()) Wrong("a grant cannot be written", object.status());
    const auto bytes = object->bytes();
    for (uint64_t page = 0; page < bytes.size(); page += kPageBytes) {
      FillWords(bytes.first(std::min(bytes.size(), page + kPageBytes)), at.object, page);
      Point();
    }
    if (random_.NextBelow(16) == 0) {  // given up
      *object = shm::WritableObject();
      Point();
      return Say(Tell::kFree, at);
    }
    if (const auto status = Do([&] { return object->Seal(); }); !status.ok()) {
      Wrong("a grant cannot be sealed", status);
    }
    Say(Tell::kSealed, at);
    if (ask.own && random_.NextBelow(2) == 0) {
      Point();
      Say(Tell::kFree, at);
    }
  }

  void Get() {
    Told ask;
    ask.tell = Tell::kPick;
    const Reply reply = Ask(ask);
    if (reply.code != 0) return;
    auto object = Do([&] { return segments_.Pin(reply.location); });
    if (object.status().code() == StatusCode::kNotFound) return;  // freed meanwhile
    if (!object.ok()) Wrong("a pin is refused", object.status());
    pins_.push_back({reply.location, *std::move(object)});
    Check(pins_.back());
    if (random_.NextBelow(3) == 0) Drop(pins_.size() - 1);
  }

  void Drop(size_t index) {
    Check(pins_[index]);
    Pinned pinned = std::move(pins_[index]);
    pins_.erase(pins_.begin() + static_cast<std::ptrdiff_t>(index));
    Do([&] {
      pinned.object = shm::PinnedObject();
      return 0;
    });
  }

  // More than a block of the ledger has slots.
  void PinManyTimes() {
    if (pins_.empty()) return;
    std::vector<shm::PinnedObject> many;
    for (uint32_t i = 0; i < shm::kPinSlotsPerBlock + 10; ++i) {
      auto object = segments_.Pin(pins_.back().at);
      if (object.status().code() == StatusCode::kNotFound) break;
      if (!object.ok()) Wrong("a further pin is refused", object.status());
      many.push_back(*std::move(object));
      Point();
    }
    Check(pins_.back());
  }

  void Check(const Pinned& pinned) {
    if (!HasWords(pinned.object.bytes(), pinned.at.object)) {
      Wrong("wrong bytes of " + ToString(pinned.at.object), base::OkStatus());
    }
  }

  void Say(Tell tell, const StoredLocation& location) {
    Told told;
    told.tell = tell;
    told.location = location;
    Send(told);
    Point();
  }
  Reply Ask(const Told& told) {
    Send(told);
    Point();
    Reply reply;
    if (::recv(socket_, &reply, sizeof(reply), 0) != sizeof(reply)) ::_exit(98);
    Point();
    return reply;
  }
  void Send(const Told& told) {
    if (::send(socket_, &told, sizeof(told), MSG_NOSIGNAL) != sizeof(told)) ::_exit(97);
  }
  [[noreturn]] void Wrong(const std::string& what, const base::Status& status) {
    Told told;
    told.tell = Tell::kWrong;
    (what + ": " + std::string(base::Message(status))).copy(told.text, sizeof(told.text) - 1);
    Send(told);
    ::_exit(99);
  }

  const int socket_;
  ClientPlan plan_;
  base::RandomStream random_;
  shm::ClientSegments segments_;
  std::vector<model::JobId> jobs_;
  std::vector<Pinned> pins_;
};

}  // namespace rayx::store
