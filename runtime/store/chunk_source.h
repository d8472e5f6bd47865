// runtime/store/chunk_source.h
//
// Where the bytes of an object on another node come from.
// Owner:    whoever builds the node; transfer/ has the one over gRPC, tests have fakes.
// Threads:  Fetch from the node loop; a sink's methods from any thread, one at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include "model/frame.h"
#include "store/core/pull_core.h"

namespace rayx::store {

// Takes the bytes of one fetch.
class ChunkSink {
 public:
  virtual ~ChunkSink() = default;
  // `offset` in the object. False: not what was asked for; the source stops and says kBroken.
  virtual bool OnChunk(uint64_t offset, std::span<const std::byte> bytes) = 0;
  // Exactly once, and after it nothing more, whatever happened.
  virtual void OnDone(FetchOutcome outcome, std::string_view why) = 0;
};

class ChunkSource {
 public:
  virtual ~ChunkSource() = default;

  using CancelFetch = std::function<void()>;  // from any thread, any number of times; OnDone follows
  // Streams [range.offset, range.end()) of the object at `source` in order: chunks of kChunkBytes,
  // each beginning at a multiple of it, the object's last one shorter. Bounded in time.
  virtual CancelFetch Fetch(const model::StoredLocation& source, ByteRange range,
                            std::shared_ptr<ChunkSink> sink) = 0;
};

}  // namespace rayx::store
