// runtime/node/parts/part_folder.h
//
// The parts that came from other VMs, in the session folder, 0700:
//   parts/<SHA-256>          a part, 0500
//   parts/program-<key>/     links to the libraries of a program under the names they are found by
// Owner:    ProgramParts.
// Threads:  one at a time, but for PartWriters, which may be used beside it.
// Promises: a file has its name only when all its bytes have that hash. The folder is the user's
//           alone, so that what was verified is what is run.
// Limits:   names and hashes have passed ProgramPartsCore::CheckProgram.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/status.h"
#include "node/parts/sha256.h"

namespace rayx::node {

// One file that comes. Unfinished it is removed.
class PartWriter {
 public:
  // ResourceExhausted: the disk is full.
  static base::StatusOr<PartWriter> Begin(const std::string& folder, const std::string& sha256,
                                          uint64_t bytes);
  PartWriter(PartWriter&& other) noexcept;
  PartWriter& operator=(PartWriter&&) = delete;
  ~PartWriter();

  base::Status Write(std::string_view data);
  // DataLoss: these are not the bytes of the part.
  base::Status Finish();

 private:
  PartWriter() = default;

  std::string temporary_, final_, sha256_;
  base::UniqueFd file_;
  Sha256 hash_;
  uint64_t left_ = 0;
};

class PartFolder {
 public:
  explicit PartFolder(std::string path) : path_(std::move(path)) {}

  const std::string& path() const { return path_; }
  // Makes it, empty. FailedPrecondition: nothing can be run from there.
  base::Status Prepare() const;
  base::Status Link(const std::string& key,
                    const std::vector<std::pair<std::string, std::string>>& links) const;
  void Unlink(const std::string& key) const;
  void Remove(const std::string& sha256) const;

 private:
  std::string ProgramFolder(const std::string& key) const { return path_ + "/program-" + key; }

  const std::string path_;
};

}  // namespace rayx::node
