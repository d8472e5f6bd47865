// runtime/head/core/kv_core.h
//
// The key-value store, one space a job. Pure.
// Owner:    HeadCore.
// Threads:  the head's loop only.
// Inputs:   requests of one job each (the caller has checked that it runs).
// Outputs:  answers; those of waiters come later, as effects.replies.
// Promises: a waiter is answered once, when all its keys are there or at its time; keys that were
//           there together at one moment are enough. A wrong key or value changes nothing.
// Limits:   KvOptions.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "head/core/effects.h"
#include "model/ids.h"
#include "model/time.h"

namespace rayx::head {

struct KvOptions {
  size_t key_bytes_max = 1024;
  size_t value_bytes_max = 64 * 1024;
  size_t total_bytes_max = 64 * 1024 * 1024;  // keys and values and kEntryBytes each
  size_t keys_a_wait_max = 1024;
  size_t waiters_max = 16384;
  model::Duration wait_max = std::chrono::seconds(10);
};

class KvCore {
 public:
  static constexpr size_t kEntryBytes = 64;

  explicit KvCore(KvOptions options) : options_(options) {}

  // Fills in the reply's member or its error.
  void OnPut(model::JobId job, const proto::KvPut& put, HeadEffects& effects,
             proto::HeadResponse& response);
  void OnGet(model::JobId job, const proto::KvGet& get, proto::HeadResponse& response) const;
  void OnDelete(model::JobId job, const proto::KvDelete& del, HeadEffects& effects,
                proto::HeadResponse& response);
  void OnAdd(model::JobId job, const proto::KvAdd& add, HeadEffects& effects,
             proto::HeadResponse& response);
  void OnCount(model::JobId job, proto::HeadResponse& response) const;
  // True: answered in `response` now. False: the answer comes as an effect.
  bool OnWait(model::JobId job, const proto::KvWait& wait, uint64_t request_id, ReplyTo to,
              model::TimePoint now, proto::HeadResponse& response);

  void OnJobEnded(model::JobId job, HeadEffects& effects);
  void OnTick(model::TimePoint now, HeadEffects& effects);
  void CheckInvariants() const;

 private:
  using Space = std::map<std::string, std::string>;
  struct Waiter {
    model::JobId job;
    uint64_t request_id = 0;
    std::vector<std::string> keys;
    std::string missing;  // one of them that is not there: the wait goes on when it comes
    model::TimePoint deadline;
  };
  proto::ErrorInfo CheckKey(const std::string& key) const;
  const std::string* Find(model::JobId job, const std::string& key) const;
  proto::ErrorInfo Store(model::JobId job, const std::string& key, const std::string& value,
                         HeadEffects& effects);
  void Wake(model::JobId job, const std::string& key, HeadEffects& effects);
  const std::string* FirstMissing(model::JobId job, const std::vector<std::string>& keys) const;
  void Unlink(ReplyTo to, const Waiter& waiter);
  void Answer(ReplyTo to, bool all_present, HeadEffects& effects);

  const KvOptions options_;
  std::map<model::JobId, Space> spaces_;
  size_t bytes_ = 0;
  std::map<ReplyTo, Waiter> waiters_;
  std::map<std::pair<model::JobId, std::string>, std::set<ReplyTo>> waiting_for_;
  std::set<std::pair<model::TimePoint, ReplyTo>> deadlines_;
};

}  // namespace rayx::head
