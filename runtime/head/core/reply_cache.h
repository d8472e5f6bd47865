// runtime/head/core/reply_cache.h
//
// Remembers how changes were answered, so that a repeated request changes nothing and gets the same
// answer. Pure.
// Owner:    HeadCore.
// Threads:  the head's loop only.
// Promises: the answer to (process, request id) as it was given.
// Limits:   the newest entries_max answers and bytes_max bytes; an older repeat is a new request.
//           Callers repeat for seconds only.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <utility>

#include "base/check.h"
#include "proto/cluster.pb.h"

namespace rayx::head {

struct ReplyCacheOptions {
  size_t entries_max = 131072;
  size_t bytes_max = 64 * 1024 * 1024;
};

class ReplyCache {
 public:
  explicit ReplyCache(ReplyCacheOptions options) : options_(options) {}

  const proto::HeadResponse* Find(uint64_t process, uint64_t request_id) const {
    const auto found = replies_.find({process, request_id});
    return found == replies_.end() ? nullptr : &found->second;
  }

  // A request id of 0 is nobody's.
  void Remember(uint64_t process, uint64_t request_id, const proto::HeadResponse& response) {
    if (request_id == 0 || !replies_.emplace(std::pair(process, request_id), response).second)
      return;
    order_.emplace_back(process, request_id);
    bytes_ += response.ByteSizeLong();
    while (order_.size() > options_.entries_max || bytes_ > options_.bytes_max) {
      const auto oldest = replies_.find(order_.front());
      bytes_ -= oldest->second.ByteSizeLong();
      replies_.erase(oldest);
      order_.pop_front();
    }
  }

  void CheckInvariants() const {
    RAYX_CHECK(order_.size() == replies_.size() && order_.size() <= options_.entries_max);
  }

 private:
  using Key = std::pair<uint64_t, uint64_t>;
  const ReplyCacheOptions options_;
  std::map<Key, proto::HeadResponse> replies_;
  std::deque<Key> order_;  // oldest first
  size_t bytes_ = 0;
};

}  // namespace rayx::head
