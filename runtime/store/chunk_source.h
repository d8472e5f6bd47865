// runtime/store/chunk_source.h
//
// Where the bytes of an object on another node come from.
// Owner:    whoever builds the node; transfer/ has the one over data connections, tests have fakes.
// Threads:  Fetch from the node loop; a sink's methods from any thread, one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "model/frame.h"
#include "store/core/pull_core.h"

namespace rayx::store {

inline constexpr size_t kCopiesToldMax = 16;

// Takes the bytes of one fetch, into the place where they stay.
class ChunkSink {
 public:
  virtual ~ChunkSink() = default;
  // Where the chunk at `offset` in the object goes: as many bytes as were asked about. Empty: not a
  // chunk that was asked for; the source stops and says kBroken.
  virtual std::span<std::byte> Place(uint64_t offset, uint64_t bytes) = 0;
  // Nodes that have or make copies of the object, at most kCopiesToldMax, before its first chunk.
  // Perhaps never.
  virtual void OnCopies(const std::vector<model::NodeNumber>& nodes) = 0;
  // All bytes of the chunk that Place was asked about last are there.
  virtual void OnPlaced() = 0;
  // Exactly once, and after it nothing more, whatever happened.
  virtual void OnDone(FetchOutcome outcome, std::string_view why) = 0;
};

class ChunkSource {
 public:
  virtual ~ChunkSource() = default;

  // from any thread, any number of times; OnDone follows
  using CancelFetch = std::function<void()>;
  // Streams [range.offset, range.end()) of the object at `source` in order: chunks of kChunkBytes,
  // each beginning at a multiple of it, the object's last one shorter. Bounded in time. `from`:
  // the node of `source`, or one that has or makes a copy: it sends the first chunks in a row that
  // it has, and says kDone.
  virtual CancelFetch Fetch(model::NodeNumber from, const model::StoredLocation& source,
                            ByteRange range, std::shared_ptr<ChunkSink> sink) = 0;
};

}  // namespace rayx::store
