// runtime/torch/key_value_store.h
//
// c10d's Store on rayx::KeyValue: how the ranks of a group find each other without a port.
//
// Purpose:  what ProcessGroupGloo asks of a store, as keys of the job below one prefix.
// Owner:    shared, counted by c10d. Forget() removes what this instance has set.
// Threads:  any.
// Promises: get and wait end by their timeout with c10::DistStoreError that names the missing keys;
//           KeyValue's own errors (HeadUnavailable, ...) pass through unchanged.
// Limits:   compareSet is atomic against other compareSets of the key, not against set. getNumKeys
//           counts all keys of the job, as c10d's own stores count those of every prefix.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <set>
#include <string>
#include <torch/csrc/distributed/c10d/Store.hpp>
#include <vector>

namespace rayx::torch {

class KeyValueStore : public c10d::Store {
 public:
  KeyValueStore(std::string prefix, std::chrono::milliseconds timeout);

  c10::intrusive_ptr<c10d::Store> clone() override;

  using c10d::Store::set;
  void set(const std::string& key, const std::vector<std::uint8_t>& value) override;
  using c10d::Store::compareSet;
  std::vector<std::uint8_t> compareSet(const std::string& key,
                                       const std::vector<std::uint8_t>& expected,
                                       const std::vector<std::uint8_t>& desired) override;
  std::vector<std::uint8_t> get(const std::string& key) override;
  std::int64_t add(const std::string& key, std::int64_t amount) override;
  bool deleteKey(const std::string& key) override;
  bool check(const std::vector<std::string>& keys) override;
  std::int64_t getNumKeys() override;
  void wait(const std::vector<std::string>& keys) override;
  void wait(const std::vector<std::string>& keys,
            const std::chrono::milliseconds& timeout) override;

  // Deletes the keys that were set through this instance, as far as the cluster still answers.
  void Forget() noexcept;

 private:
  std::string Full(const std::string& key) const { return prefix_ + key; }

  const std::string prefix_;
  std::mutex mutex_;
  std::set<std::string> own_keys_;  // under mutex_; without the prefix
};

}  // namespace rayx::torch
